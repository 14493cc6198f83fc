"""Make the bank that ships with the package from the public tables; the same tables, the same file.

    EDGEPROF_DATA=../shared/data python benchmarks/make_bank.py [edgeprof/predictors/bank/bank.npz]

Boards whose measurements the tables have are all in it. What it reaches on boards that it has not
seen is the affair of ``benchmarks/bank.py``.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

from bank_tables import NCNN_LAYERS, TABLES, read_tables
from networks import DATA

from edgeprof.predictors.bank.file import SHIPPED, bank_bytes
from edgeprof.predictors.bank.learning import learn_bank

ROOT = Path(__file__).resolve().parent.parent

MOST_BYTES = 200_000


def make() -> bytes:
    """Return the content of the file."""
    tables = read_tables()
    bank = learn_bank(tables.settings, tables.terms, say=lambda line: print(line, file=sys.stderr))
    hashes = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (*(DATA / name for name in TABLES), NCNN_LAYERS)
    }
    sources = {**TABLES, NCNN_LAYERS.name: TABLES["ncnn_boards.csv.gz"]}
    tables_of = {
        name: {"source": source, "licence": licence, "sha256": hashes[name]}
        for name, (source, licence) in sources.items()
    }
    provenance = {
        "tables": tables_of,
        "settings": len(tables.settings),
        "networks": len(tables.names),
        "measurements": sum(len(setting.networks) for setting in tables.settings),
    }
    return bank_bytes(replace(bank, provenance=provenance))


def main() -> None:
    default = ROOT / "edgeprof" / "predictors" / "bank" / SHIPPED
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    content = make()
    if len(content) > MOST_BYTES:
        sys.exit(f"{len(content)} bytes, want {MOST_BYTES} at most")
    output.write_bytes(content)
    print(f"{output}: {len(content)} bytes")


if __name__ == "__main__":
    main()
