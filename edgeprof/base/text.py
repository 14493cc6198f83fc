"""Text from elsewhere, made safe to show."""

from __future__ import annotations


def reason_of(error: BaseException) -> str:
    """Return what went wrong; of the system's errors without number and file name."""
    return getattr(error, "strerror", None) or str(error)


def printable(text: str, keep: str = "") -> str:
    r"""Return a text with control characters and the like written as escapes (``\x1b``).

    A terminal obeys some of them, and text from a board or a file may hold any.

    Args:
        text: what to show.
        keep: characters to leave as they are, such as line feeds.
    """
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode()
        for character in text
    )
