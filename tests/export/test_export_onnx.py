"""Subnets become ONNX models that check, load and compute finite numbers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgeprof.base.errors import InvalidModel, OutputError
from edgeprof.export import export_subnets, read_manifest
from edgeprof.export.weights import MadeWeights, WeightFile, constants_of
from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from edgeprof.export.onnx import export_network  # noqa: E402 - needs onnx

SPACE = "ofa-mbv3-w1.0"
SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


def uniform_subnet(kernel: int, expand: int, depth: int, resolution: int) -> Subnet:
    return Subnet(SPACE, (kernel,) * 20, (expand,) * 20, (depth,) * 5, resolution)


def network_of(subnet: Subnet) -> Network:
    return get_space(subnet.space).layers(subnet)


def seeded_input(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape, dtype=np.float32)


def run(path: Path, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})[0]


def run_with_all_outputs(path: Path, x: np.ndarray) -> dict[str, np.ndarray]:
    model = onnx.load(str(path))
    names = [name for node in model.graph.node for name in node.output]
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options)
    return dict(zip(names, session.run(names, {"input": x}), strict=True))


def sampled(n: int, seed: int = 0) -> list[Subnet]:
    return get_space(SPACE).sample(n, np.random.default_rng(seed))


def test_model_passes_the_checker_and_runs_from_its_path(tmp_path: Path) -> None:
    entries = export_subnets(sampled(3), tmp_path)
    for entry in entries:
        path = tmp_path / entry.file
        onnx.checker.check_model(str(path), full_check=True)
        y = run(path, seeded_input(1, 3, entry.subnet.r, entry.subnet.r))
        assert y.shape == (1, 1000)
        assert np.isfinite(y).all()


def test_equal_subnets_give_equal_bytes(tmp_path: Path) -> None:
    first = export_subnets(sampled(2), tmp_path / "a")
    second = export_subnets(sampled(2), tmp_path / "b")
    assert first == second


@pytest.mark.parametrize(
    "subnet",
    [uniform_subnet(7, 6, 4, 224), uniform_subnet(3, 3, 2, 128), uniform_subnet(5, 4, 3, 176)],
    ids=["largest", "smallest", "middle"],
)
def test_activations_neither_vanish_nor_explode_through_the_depth(
    tmp_path: Path, subnet: Subnet
) -> None:
    entry = export_subnets([subnet], tmp_path)[0]
    values = run_with_all_outputs(tmp_path / entry.file, seeded_input(1, 3, subnet.r, subnet.r))
    assert len(values) > 60
    for name, value in values.items():
        rms = float(np.sqrt(np.mean(np.square(value))))
        assert 0.01 < rms < 100, f"{name}: rms {rms}"
        nonzero = np.abs(value[value != 0])
        assert nonzero.min() > SMALLEST_NORMAL, name


def test_output_depends_on_the_input(tmp_path: Path) -> None:
    subnet = uniform_subnet(3, 3, 4, 224)
    path = tmp_path / export_subnets([subnet], tmp_path)[0].file
    x = seeded_input(1, 3, 224, 224)
    y, other = run(path, x), run(path, x[..., ::-1].copy())
    assert np.abs(y - other).max() > 1e-4 * np.abs(y).max()


def test_each_image_of_a_batch_is_computed_as_if_alone(tmp_path: Path) -> None:
    subnet = uniform_subnet(3, 3, 2, 128)
    one = export_subnets([subnet], tmp_path)[0]
    three = export_subnets([subnet], tmp_path, batch=3)[0]
    assert three.file != one.file
    x = seeded_input(3, 3, 128, 128)
    alone = np.concatenate([run(tmp_path / one.file, image[np.newaxis]) for image in x])
    np.testing.assert_allclose(run(tmp_path / three.file, x), alone, rtol=1e-4, atol=1e-5)


def test_a_network_without_a_shared_file_computes_the_same(tmp_path: Path) -> None:
    subnet = uniform_subnet(5, 4, 2, 128)
    entry = export_subnets([subnet], tmp_path / "shared")[0]
    alone = tmp_path / "alone.onnx"
    export_network(
        network_of(subnet), alone, weights=MadeWeights.for_space(get_space(subnet.space))
    )
    x = seeded_input(1, 3, 128, 128)
    np.testing.assert_array_equal(run(alone, x), run(tmp_path / "shared" / entry.file, x))


def test_a_single_block_is_a_model(tmp_path: Path) -> None:
    block = network_of(uniform_subnet(3, 6, 2, 128)).blocks[4].block
    path = tmp_path / "block.onnx"
    export_network(block, path)
    onnx.checker.check_model(str(path), full_check=True)
    y = run(path, seeded_input(1, *block.in_shape))
    assert y.shape == (1, *block.out_shape)
    assert 0.01 < float(np.sqrt(np.mean(np.square(y)))) < 100


def test_constants_of_a_model_do_not_overlap_in_the_shared_file(tmp_path: Path) -> None:
    space = get_space(SPACE)
    weight_file = WeightFile.plan("weights.bin", MadeWeights.for_space(space))
    weight_file.ensure(tmp_path)
    size = (tmp_path / "weights.bin").stat().st_size
    for subnet in [uniform_subnet(7, 6, 4, 224), *sampled(20)]:
        ranges = sorted(
            (weight_file.offset_bytes(c), weight_file.offset_bytes(c) + 4 * c.elements)
            for layer in space.layers(subnet).layers()
            for c in constants_of(layer)
        )
        assert all(end <= start for (_, end), (start, _) in pairwise(ranges))
        assert ranges[-1][1] <= size


def test_weights_made_for_other_networks_are_refused() -> None:
    weights = MadeWeights([network_of(uniform_subnet(3, 3, 2, 128))])
    weight_file = WeightFile.plan("weights.bin", weights)
    wider = network_of(uniform_subnet(3, 6, 2, 128))
    constants = {c.name: c for layer in wider.layers() for c in constants_of(layer)}
    with pytest.raises(InvalidModel, match=r"stage1\.block1\.expand\.weight"):
        weight_file.offset_bytes(constants["stage1.block1.expand.weight"])


def test_a_further_subnet_costs_less_than_64_kib(tmp_path: Path) -> None:
    entries = export_subnets([uniform_subnet(7, 6, 4, 224), *sampled(5)], tmp_path)
    assert max(entry.model_bytes for entry in entries) <= 64 * 1024
    assert len({entry.weights_file for entry in entries}) == 1


def test_manifest_joins_subnet_and_file(tmp_path: Path) -> None:
    subnets = sampled(4)
    entries = export_subnets(subnets, tmp_path)
    assert read_manifest(tmp_path) == entries
    assert [entry.subnet for entry in entries] == subnets
    for entry in entries:
        assert entry.macs == network_of(entry.subnet).macs
        assert entry.model_bytes == (tmp_path / entry.file).stat().st_size


def test_equal_networks_are_written_once(tmp_path: Path) -> None:
    shallow = uniform_subnet(3, 3, 2, 128)
    hidden = Subnet(SPACE, (3, 3, 7, 7) * 5, (3, 3, 6, 6) * 5, (2,) * 5, 128)
    entries = export_subnets([shallow, hidden], tmp_path)
    assert [entry.subnet for entry in entries] == [shallow, hidden]
    assert len(list(tmp_path.glob("*.onnx"))) == 1


def test_a_repeated_run_keeps_right_files_and_repairs_wrong_ones(tmp_path: Path) -> None:
    subnets = sampled(3)
    entries = export_subnets(subnets, tmp_path)
    paths = [tmp_path / entry.file for entry in entries]
    paths[0].write_bytes(b"torn")
    paths[1].unlink()
    kept_inode = paths[2].stat().st_ino
    assert export_subnets(subnets, tmp_path) == entries
    assert paths[2].stat().st_ino == kept_inode
    assert read_manifest(tmp_path) == entries
    for path in paths:
        onnx.checker.check_model(str(path))


def test_an_interrupted_run_is_continued(tmp_path: Path) -> None:
    subnets = sampled(4)

    class Stop(Exception):
        pass

    steps = iter([None, None])

    def stop_after_two() -> None:
        if next(steps, Stop) is Stop:
            raise Stop

    with pytest.raises(Stop):
        export_subnets(subnets, tmp_path, progress=stop_after_two)
    manifest = tmp_path / "manifest.jsonl"
    assert len(read_manifest(tmp_path)) == 3
    manifest.write_bytes(manifest.read_bytes() + b'{"space":"ofa-mb')  # killed while writing
    assert len(export_subnets(subnets, tmp_path)) == 4
    assert [entry.subnet for entry in read_manifest(tmp_path)] == subnets


def test_a_folder_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    target = tmp_path / "models"
    target.write_text("in the way")
    with pytest.raises(OutputError, match="models"):
        export_subnets(sampled(1), target)
