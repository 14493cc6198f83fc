"""``edgeprof export``: subnets in, models and a manifest out, one clear line when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from unprivileged import run_unprivileged

from edgeprof.base.errors import EdgeprofError, InvalidSubnet, OutputError
from edgeprof.cli import cli
from edgeprof.export import read_manifest
from edgeprof.networks.subnet import Subnet, write_subnets

pytest.importorskip("onnx")

SMALL = Subnet("ofa-mbv3-w1.0", (3,) * 20, (3,) * 20, (2,) * 5, 128)
MIDDLE = Subnet("ofa-mbv3-w1.0", (5,) * 20, (3,) * 20, (2,) * 5, 128)


@pytest.fixture
def subnets(tmp_path: Path) -> Path:
    path = tmp_path / "subnets.jsonl"
    write_subnets(path, [SMALL, MIDDLE])
    return path


def run(*arguments: object) -> str:
    command = ["export", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(cli, command, catch_exceptions=False).output


def test_models_and_manifest_are_written(subnets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    assert "2 models" in run(subnets, "-o", folder)
    entries = read_manifest(folder)
    assert [entry.subnet for entry in entries] == [SMALL, MIDDLE]
    assert {path.name for path in folder.iterdir()} == {
        "manifest.jsonl",
        "weights-ofa-mbv3-w1.0-made1.bin",
        *(entry.file for entry in entries),
    }


def test_json_is_the_manifest(subnets: Path, tmp_path: Path) -> None:
    printed = json.loads(run(subnets, "-o", tmp_path / "models", "--json"))
    lines = (tmp_path / "models" / "manifest.jsonl").read_text().splitlines()
    assert printed == [json.loads(line) for line in lines]
    assert {"space", "ks", "id", "file", "sha256", "model_bytes", "macs"} <= set(printed[0])


def test_weights_that_are_none_are_one_clear_error(subnets: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "supernet.pth"
    checkpoint.write_bytes(b"nonsense")
    with pytest.raises(EdgeprofError, match=r"supernet\.pth"):
        run(subnets, "--weights", checkpoint, "-o", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_subnet_that_is_none_is_named_by_its_line(subnets: Path, tmp_path: Path) -> None:
    with subnets.open("a") as stream:
        stream.write('{"space": "ofa-mbv3-w1.0", "ks": [4]}\n')
    with pytest.raises(InvalidSubnet, match=r"subnets\.jsonl:3"):
        run(subnets, "-o", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_read_only_folder_is_one_clear_error(subnets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir(mode=0o555)
    result = run_unprivileged("export", subnets, "-o", folder, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"edgeprof: {folder}")
    assert result.stderr.endswith(": cannot be written: Permission denied\n")
    assert result.stderr.count("\n") == 1


def test_files_that_cannot_be_read_are_written_again(subnets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    run(subnets, "-o", folder)
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    for path in contents:
        path.chmod(0 if path.suffix != ".jsonl" else 0o600)
    result = run_unprivileged("export", subnets, "-o", folder, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert {path: path.read_bytes() for path in folder.iterdir()} == contents


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_clear_error(subnets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    run(subnets, "-o", folder)
    manifest = folder / "manifest.jsonl"
    entries = read_manifest(folder)

    from edgeprof.export.folder import _Manifest

    with _Manifest(folder) as open_manifest:
        manifest.unlink()
        manifest.symlink_to("/dev/full")
        with pytest.raises(OutputError, match="No space left"):
            open_manifest.add(entries[0])
