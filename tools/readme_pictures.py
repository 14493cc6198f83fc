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


def make_plot(folder: Path, output: Path, quickstart: Path | None) -> None:
    """Learn a predictor of this machine, and plot what it predicts against what was measured."""
    if quickstart is None:
        quickstart = folder / "quickstart"
        run("edgeprof", "quickstart", "-o", quickstart, folder=folder)
    predictor = ["--predictor", quickstart / "here.edgp", "--no-learning-curve"]
    options = [*predictor, "--png", folder / "plots", "-o", folder / "report.html"]
    run("edgeprof", "report", quickstart / "store.db", *options, folder=folder)
    shutil.copyfile(folder / "plots" / PLOT, output / PLOT)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make both, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--only", choices=["recording", "plot"], help="make this one")
    parser.add_argument("--quickstart", type=Path, help="plot what this quickstart left")
    chosen = parser.parse_args(arguments)
    output = chosen.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    made = chosen.quickstart and chosen.quickstart.absolute()
    with tempfile.TemporaryDirectory(prefix="edgeprof-pictures-") as folder:
        if chosen.only != "plot":
            make_recording(Path(folder), output)
        if chosen.only != "recording":
            make_plot(Path(folder), output, made)


if __name__ == "__main__":
    main()
