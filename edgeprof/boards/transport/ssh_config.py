"""What the user's SSH configuration says of a host, as OpenSSH itself reads it.

Owns: asking ``ssh -G``, the ``%`` tokens that it leaves in its answer, and the options of asyncssh
that say the same. Host names, ports, users and jump hosts come resolved from ``ssh -G``: there is
no second reader of the configuration here.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from edgeprof.base.errors import MissingDependency
from edgeprof.boards.destination import Destination

_ASK_DEADLINE_S = 20.0
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


class SshSettings:
    """The answer of ``ssh -G`` for one destination.

    Attributes:
        host, port, user: to connect to.
        jump: the ``ProxyJump`` hosts, separated by commas; empty without one.
        known_hosts: files of known host keys, whether they exist or not.
    """

    def __init__(self, asked: Destination, answer: Mapping[str, Sequence[str]]) -> None:
        self._answer = answer
        self.host = self._first("hostname") or asked.host
        self.port = int(self._first("port") or 22)
        self.user = self._first("user") or ""
        self.jump = self._first("proxyjump") or ""
        self._tokens = self._make_tokens(asked.host)
        files = " ".join(filter(None, map(self._first, _KNOWN_HOSTS)))
        self.known_hosts = list(_split_paths(self._expanded(files))) or [
            self._expanded("~/.ssh/known_hosts")
        ]

    @property
    def key_name(self) -> str:
        """The name that the host's key is known by."""
        return self._first("hostkeyalias") or self.host

    @property
    def proxy_command(self) -> str | None:
        """The shell's command whose input and output are the connection; ``None`` without one."""
        command = self._first("proxycommand")
        return None if command is None else f"exec {self._with_tokens(command)}"

    def options(self, asyncssh: Any, known_hosts: Any) -> dict[str, Any]:
        """Return keyword arguments of ``asyncssh.SSHClientConnectionOptions``.

        Args:
            asyncssh: the module.
            known_hosts: the host keys to check with, as asyncssh holds them.
        """
        options: dict[str, Any] = {
            "config": None,  # asyncssh reads no configuration
            "host": self.host,
            "port": self.port,
            "username": self.user,
            "known_hosts": known_hosts,
            "host_key_alias": self._first("hostkeyalias"),
            "family": _FAMILIES[self._first("addressfamily") or "any"],
            "tcp_keepalive": self._is_on("tcpkeepalive"),
            "gss_auth": self._is_on("gssapiauthentication"),
            "gss_kex": self._is_on("gssapikeyexchange"),
            "gss_delegate_creds": self._is_on("gssapidelegatecredentials"),
            "pkcs11_provider": self._first("pkcs11provider"),
            "env": self._all("setenv") or None,
            **self._identities(asyncssh),
            **self._algorithms(asyncssh, known_hosts),
        }
        if address := self._first("bindaddress"):
            options["local_addr"] = (address, 0)
        return options

    def _all(self, key: str) -> list[str]:
        return [value for value in self._answer.get(key, ()) if value.lower() != "none"]

    def _first(self, key: str) -> str | None:
        values = self._all(key)
        return values[0] if values else None

    def _is_on(self, key: str) -> bool:
        return self._first(key) in ("yes", "true")

    def _paths(self, key: str) -> list[str]:
        return [self._expanded(value) for value in self._all(key)]

    def _make_tokens(self, original_host: str) -> dict[str, str]:
        account, node = pwd.getpwuid(os.getuid()), socket.gethostname()
        tokens = {
            "%": "%",
            "d": account.pw_dir,
            "h": self.host,
            "i": str(account.pw_uid),
            "j": self.jump,
            "k": self.key_name if self._first("hostkeyalias") else original_host,
            "L": node.partition(".")[0],
            "l": node,
            "n": original_host,
            "p": str(self.port),
            "r": self.user,
            "u": account.pw_name,
        }
        connection = "".join(tokens[name] for name in "lhprj")
        return {**tokens, "C": hashlib.sha1(connection.encode()).hexdigest()}

    def _with_tokens(self, text: str) -> str:
        return re.sub("%(.)", lambda found: self._tokens.get(found[1], found[0]), text)

    def _expanded(self, path: str) -> str:
        """Replace ``~``, tokens and variables in the name of a file."""
        if path == "~" or path.startswith("~/"):  # ssh asks the system, not $HOME
            path = "%d" + path[1:]
        text = self._with_tokens(path)
        return re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], found[0]), text)

    def _identities(self, asyncssh: Any) -> dict[str, Any]:
        """Return the keys to log in with; files that are missing or unreadable are passed over."""
        pairs: list[Any] = []
        public: list[bytes] = []
        certificates = [name for name in self._paths("certificatefile") if Path(name).is_file()]
        for name in self._paths("identityfile"):
            with suppress(OSError, asyncssh.KeyImportError):
                pairs += asyncssh.load_keypairs(
                    [name], certlist=certificates, ignore_encrypted=True
                )
            for file in (f"{name}.pub", name):
                with suppress(OSError, asyncssh.KeyImportError):
                    public.append(asyncssh.read_public_key(file).public_data)
        agent = self._agent()
        only = self._is_on("identitiesonly")
        return {
            "client_keys": pairs,
            "ignore_encrypted": True,
            "agent_path": "" if only and not public else agent,
            "agent_identities": public if only else None,
        }

    def _agent(self) -> str:
        name = (self._answer.get("identityagent") or ["SSH_AUTH_SOCK"])[0]
        if name.lower() == "none":
            return ""
        if name == "SSH_AUTH_SOCK" or name.startswith("$"):
            return os.environ.get(name.strip("${}"), "")
        return self._expanded(name)

    def _algorithms(self, asyncssh: Any, known_hosts: Any) -> dict[str, Any]:
        """Return the algorithms that the user chose and asyncssh has; without a choice, nothing."""
        chosen: dict[str, Any] = {}
        for key, name, having in (
            ("kexalgorithms", "kex_algs", asyncssh.kex.get_kex_algs()),
            ("ciphers", "encryption_algs", asyncssh.encryption.get_encryption_algs()),
            ("macs", "mac_algs", asyncssh.mac.get_mac_algs()),
            ("hostkeyalgorithms", "server_host_key_algs", _host_key_algorithms(asyncssh)),
        ):
            values = self._answer.get(key, ())
            if values and values != _defaults().get(key):
                usable = {algorithm.decode() for algorithm in having}
                chosen[name] = [item for item in values[0].split(",") if item in usable]
        if "server_host_key_algs" in chosen:
            # Like ssh: those of the keys that are known go first.
            port = None if self.port == 22 else self.port
            known = asyncssh.match_known_hosts(known_hosts, self.key_name, "", port)[0]
            first = {name.decode() for key in known for name in key.sig_algorithms}
            chosen["server_host_key_algs"].sort(key=lambda item: item not in first)
        if self._is_on("compression"):
            chosen["compression_algs"] = ["zlib@openssh.com", "zlib", "none"]
        return chosen


_KNOWN_HOSTS = ("userknownhostsfile", "globalknownhostsfile")


def ask_ssh(asked: Destination, config: Path | None) -> SshSettings:
    """Ask ``ssh -G`` what the configuration says of a destination.

    Args:
        asked: where to connect to; what it does not say is left to the configuration.
        config: SSH configuration to read instead of the user's and the system's.

    Raises:
        MissingDependency: there is no ``ssh`` program.
        ValueError: ``ssh`` refuses the configuration; the message is its own.
    """
    return SshSettings(asked, _answer_of(*_words(asked, config)))


def ask_about_host_key(asked: Destination, config: Path | None) -> None:
    """Let ``ssh`` ask on the terminal whether a host's key is the right one, and note the answer.

    The key comes before the login, and no way to log in is offered.
    """
    ask = ["-o", "StrictHostKeyChecking=ask", "-o", "PreferredAuthentications=none"]
    with suppress(OSError):
        subprocess.run(
            ["ssh", *ask, *_words(asked, config), "true"], stderr=subprocess.DEVNULL, check=False
        )


def _words(asked: Destination, config: Path | None) -> list[str]:
    """Return the arguments of ``ssh`` that stand for a destination."""
    words = ["-F", str(config)] if config else []
    if asked.port is not None:
        words += ["-p", str(asked.port)]
    if asked.user is not None:
        words += ["-l", asked.user]
    return [*words, "--", asked.host]


@cache
def _defaults() -> Mapping[str, Sequence[str]]:
    """Return what ``ssh`` does without any configuration."""
    return _answer_of("-F", "none", "--", "localhost")


def _answer_of(*arguments: str) -> dict[str, list[str]]:
    try:
        done = subprocess.run(
            ["ssh", "-G", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_DEADLINE_S,
            check=False,
        )
    except OSError as error:
        raise MissingDependency(
            "boards over SSH need the program ssh to read your SSH configuration; "
            "install OpenSSH's client (Debian: openssh-client)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"ssh -G gave no answer within {_ASK_DEADLINE_S:g} s") from error
    if done.returncode != 0:
        lines = os.fsdecode(done.stderr).strip().splitlines()
        raise ValueError(lines[0] if lines else f"ssh -G ended with status {done.returncode}")
    answer: dict[str, list[str]] = {}
    for line in os.fsdecode(done.stdout).splitlines():
        key, _, value = line.partition(" ")
        answer.setdefault(key.lower(), []).append(value)
    return answer


def _split_paths(text: str) -> Iterator[str]:
    """Split names of files at spaces, but for those of files that have spaces in them."""
    words = text.split(" ")
    while words:
        joined = (" ".join(words[:count]) for count in range(len(words), 0, -1))
        name = next((name for name in joined if Path(name).is_file()), words[0])
        words = words[name.count(" ") + 1 :]
        if name not in ("", "none"):
            yield name


def _host_key_algorithms(asyncssh: Any) -> list[bytes]:
    public = asyncssh.public_key
    return [*public.get_certificate_algs(), *public.get_public_key_algs()]
