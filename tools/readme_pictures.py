#!/usr/bin/env python3
"""Make the pictures of the README: a recording of `edgeprof measure`, and a predictor's plot.

    python tools/readme_pictures.py -o docs/pictures

Four known networks are written and measured in a terminal (see `terminal_picture.py`); then
`edgeprof quickstart` runs, and `edgeprof report --png` draws its predictor. That takes some five
minutes; the machine should have nothing else to do. Needs `pip install 'edgeprof[test]'`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgeprof.export.recipes import write_recipe
from edgeprof.networks.suites.large import resnet
from edgeprof.networks.suites.mobile import mobilenet_v2, mobilenet_v3, squeezenet

HERE = Path(__file__).resolve().parent
NETWORKS = {
    "mobilenet_v2": mobilenet_v2(),
    "mobilenet_v3": mobilenet_v3("large"),
    "resnet18": resnet(18),
    "squeezenet": squeezenet(),
}
PLOT = "predicted.png"


def run(*words: object, folder: Path) -> None:
    """Run a command; the edgeprof beside this Python comes first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(word) for word in words]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "PATH": path})


def make_recording(folder: Path, output: Path) -> None:
    """Measure the networks in a terminal, and record that."""
    for name, recipe in NETWORKS.items():
        write_recipe(recipe, folder / f"{name}.onnx", format="onnx", precision="fp32")
    recorder = [sys.executable, HERE / "terminal_picture.py", "-o", output / "measure.svg"]
    run(*recorder, "edgeprof measure *.onnx --max-secs 3", folder=folder)


def make_plot(folder: Path, output: Path) -> None:
    """Learn a predictor of this machine, and plot what it predicts against what was measured."""
    run("edgeprof", "quickstart", "-o", "quickstart", folder=folder)
    made = folder / "quickstart"
    options = ["--predictor", made / "here.edgp", "--no-learning-curve", "--png", folder / "plots"]
    run("edgeprof", "report", made / "store.db", *options, folder=folder)
    shutil.copyfile(folder / "plots" / PLOT, output / PLOT)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make both, or one of them."""
    makers = {"recording": make_recording, "plot": make_plot}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--only", choices=makers, help="make this one")
    chosen = parser.parse_args(arguments)
    output = chosen.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edgeprof-pictures-") as folder:
        for name, make in makers.items():
            if chosen.only in (None, name):
                make(Path(folder), output)


if __name__ == "__main__":
    main()
