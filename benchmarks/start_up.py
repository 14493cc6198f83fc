"""How long it takes until edgeprof is there: user and system time of fresh processes, medians.

python benchmarks/start_up.py
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

N_RUNS = 20
COMMANDS = {
    "python -c pass": [sys.executable, "-P", "-c", "pass"],
    "import edgeprof": [sys.executable, "-P", "-c", "import edgeprof"],
    "edgeprof --help": [str(Path(sys.executable).with_name("edgeprof")), "--help"],
}


def cpu_ms(command: list[str]) -> float:
    """Run a command and return what it took, without waiting for a core."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def main() -> None:
    print("| what | median ms | least ms |\n|---|---|---|")
    for name, command in COMMANDS.items():
        found = [cpu_ms(command) for _ in range(N_RUNS)]
        print(f"| `{name}` | {statistics.median(found):.0f} | {min(found):.0f} |")


if __name__ == "__main__":
    main()
