"""Files that appear whole or not at all, hashes of files, and the files that come with edgeprof.

Owns: atomic replacement with one clear error for whatever the disk refuses; the cache's place.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import edgeprof
from edgeprof.base.errors import OutputError


def packaged(name: str) -> Path:
    """Return where a file or folder that comes with the package lies, such as ``bin/...``.

    An editable installation has two folders: the sources, and what was built from them.
    """
    places = [Path(folder) / name for folder in edgeprof.__path__]
    return next((place for place in places if place.exists()), places[0])


def cache_folder() -> Path:
    """Return where what costs time to make or find out is kept between runs.

    Raises:
        OutputError: no variable names it, and this user has no home.
    """
    chosen = os.environ.get("EDGEPROF_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "edgeprof"
    except RuntimeError as error:  # a user id without an entry, as in containers
        raise OutputError(
            "no place for the cache: HOME is not set; set EDGEPROF_CACHE to a folder"
        ) from error


@contextmanager
def atomic_write(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Open a file to write that takes its final name only when all has been written.

    Yields:
        A text stream (UTF-8), or a binary one.

    Raises:
        OutputError: read-only folder, full disk and the like; nothing stays behind.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(
            descriptor, "wb" if binary else "w", encoding=None if binary else "utf-8"
        ) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        # mkstemp makes private files; a result is as readable as the user's umask has it.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file as ``atomic_write`` does."""
    with atomic_write(path, binary=isinstance(content, bytes)) as stream:
        stream.write(content)


def make_folder(path: Path) -> Path:
    """Make a folder and its parents where they are missing.

    Raises:
        OutputError: if that cannot be done.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made: {error.strerror or error}") from error
    return path


def remove_file(path: Path) -> None:
    """Remove a file if it is there.

    Raises:
        OutputError: if that cannot be done.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {error.strerror or error}") from error


def has_sha256(path: Path, wanted: str) -> bool:
    """Return whether the file is there with this content; one that cannot be read is not."""
    try:
        return sha256_of(path) == wanted
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
