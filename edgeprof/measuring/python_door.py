"""The harness program's stand-in for runtimes that only Python can open (tflite-runtime).

Owns: reading job lines and writing record lines, as ``edgeprof-harness run`` does, and working off
batches, as ``edgeprof-harness worker`` does. Each job runs in a child of this process, watched over
by the same C++ code as the program's children.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Run with the caller's search path: neither the working directory nor this folder, whose modules
# would hide others of the same name, comes before it.
_START = """
import os, sys
sys.path[:] = sys.argv[1].split(os.pathsep)
from edgeprof.measuring.python_door import main
main(sys.argv[2:])
"""


def door_command(package_folder: str | None = None) -> list[str]:
    """Return the command that serves jobs on its standard input, or as a worker.

    Args:
        package_folder: folder to import the runtime from, where Python would not look for it.
    """
    folders = [folder or str(Path.cwd()) for folder in sys.path]
    if package_folder is not None and package_folder not in folders:
        folders.insert(0, package_folder)
    return [sys.executable, "-c", _START, os.pathsep.join(folders)]


def main(arguments: Sequence[str] = ()) -> None:
    """Answer each job line with its record line; or be the worker that the arguments describe."""
    # This process stays without threads, which would not survive in its children; and theirs
    # should be the runtime's only.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edgeprof import _core

    if arguments:
        sys.exit(_core.worker(list(arguments[1:])))
    for line in sys.stdin:
        print(_core.run_isolated_job(line), flush=True)
