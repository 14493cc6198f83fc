"""Where to connect to, as people write it: ``user@host:port``, ``[IPv6]:port``, ``ssh://...``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True)
class Destination:
    """One host to connect to.

    Attributes:
        host: a name, an address, or a ``Host`` of the SSH configuration.
        port, user: ``None`` leaves them to the SSH configuration.
    """

    host: str
    port: int | None = None
    user: str | None = None


def parse_destination(text: str) -> Destination:
    """Take apart what ``ssh`` and ``ProxyJump`` accept as a destination, and ``host:port``.

    An IPv6 address needs brackets only where a port follows.

    Raises:
        ValueError: it is no destination; the message says what was wanted.
    """
    is_uri = text.lower().startswith("ssh://")
    rest = text[6:].rstrip("/") if is_uri else text
    user, _, address = rest.rpartition("@")
    if is_uri:
        user = unquote(user.partition(";")[0])
    if address.startswith("["):
        host, closed, after = address[1:].partition("]")
        if not closed or ":" not in host or (after and after[0] != ":"):
            raise ValueError("wanted [IPv6 address]:port")
        colon, port = after[:1], after[1:]
    elif address.count(":") == 1:
        host, colon, port = address.partition(":")
    else:
        host, colon, port = address, "", ""
    if "@" in rest and not is_name(user):
        raise ValueError("wanted a user name before '@'")
    if not is_host(host):
        raise ValueError("wanted a host name or an address")
    if colon and not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise ValueError(f"port {port!r}; wanted an integer from 1 to 65535")
    return Destination(host, int(port) if colon else None, user or None)


def is_host(text: str) -> bool:
    """Whether a text may be a host name or an address."""
    # ssh hands it to the shell of a ProxyCommand: it must be neither an option nor shell syntax.
    return text != "" and text[0] != "-" and all(c.isalnum() or c in "-_.:%" for c in text)


def is_name(text: str) -> bool:
    """Whether a text may be a user name."""
    return text != "" and text[0] != "-" and all(c.isalnum() or c in "-_.@+$\\" for c in text)
