"""The compact predictor: distilled from a teacher, written, read back by C++, and refused."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from tree import DATA

import edgeprof
from edgeprof.base.errors import InvalidSubnet, PredictorFormatError
from edgeprof.cli import cli
from edgeprof.measuring.harness import PROGRAM
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import write_subnets
from edgeprof.predictors.compact.distil import N_STEPS, distil, draw_codes
from edgeprof.predictors.compact.edgp_file import (
    CompactModel,
    CompactTensors,
    decode_edgp,
    encode_edgp,
    rounded_to_file,
    tensor_shapes,
)
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.compact.reader import EdgpPredictor

SPACE = get_space("ofa-mbv3-w1.0")


class SaturatingTeacher:
    """Costs per choice that grow with the pixels, and a rest that no table of choices can hold."""

    space = SPACE.id
    device = "teacher"

    def __init__(self, *, saturation=0.15):
        rng = np.random.default_rng(7)
        self._costs = rng.uniform(0.5, 2.0, size=(len(SPACE.cardinalities) - 1, 256))
        self._costs[:, 0] = 0
        self._saturation = saturation

    def predict_codes(self, codes):
        slots = np.arange(codes.shape[1] - 1)
        pixels = (np.array(SPACE.resolutions)[codes[:, -1]] / 224) ** 2
        work = self._costs[slots, codes[:, :-1]].sum(axis=1) * pixels
        return 3 + work + self._saturation * np.sqrt(work) * np.count_nonzero(codes, axis=1)

    def predict(self, subnets):
        return self.predict_codes(SPACE.encode(subnets))


@pytest.fixture(scope="module")
def student():
    return distil(SaturatingTeacher().predict_codes, SPACE, "teacher", seed=3, n_unlabelled=8_000)


def random_model(rng, cardinalities=(4, 3, 5, 2), n_additive=3, n_hidden=4, n_inner=5, **changes):
    shapes = tensor_shapes(cardinalities, n_additive, n_hidden, n_inner)
    tensors = CompactTensors(*(rng.normal(size=s).astype(np.float32) for s in shapes))
    model = CompactModel("a-space", "a-device", cardinalities, 2.5, 40.0, tensors)
    return rounded_to_file(replace(model, **changes))


def random_codes(rng, cardinalities, n):
    columns = [rng.integers(0, values, size=n) for values in cardinalities]
    return np.stack(columns, axis=1).astype(np.uint8)


def with_crc(body):
    return body + struct.pack("<I", zlib.crc32(body))


def test_student_says_what_its_teacher_says_on_unseen_subnets(student):
    teacher = SaturatingTeacher()
    codes = draw_codes(SPACE, 3000, np.random.default_rng(11))
    wanted = teacher.predict_codes(codes)
    error = np.abs(student.predict_codes(codes) - wanted) / wanted
    assert error.mean() < 0.005


def test_student_of_an_additive_teacher_needs_no_network():
    student = distil(
        SaturatingTeacher(saturation=0).predict_codes, SPACE, "teacher", n_unlabelled=9000
    )
    assert student.model.n_hidden == 0
    codes = draw_codes(SPACE, 1000, np.random.default_rng(1))
    wanted = SaturatingTeacher(saturation=0).predict_codes(codes)
    error = np.abs(student.predict_codes(codes) - wanted) / wanted
    assert error.mean() < 0.0005


def test_student_of_a_constant_teacher_is_that_constant():
    class Constant(SaturatingTeacher):
        def predict_codes(self, codes):
            return np.full(len(codes), 12.5)

    student = distil(Constant().predict_codes, SPACE, "teacher", n_unlabelled=800)
    codes = draw_codes(SPACE, 100, np.random.default_rng(1))
    np.testing.assert_allclose(student.predict_codes(codes), 12.5, rtol=1e-6)


def test_distillation_is_reproducible_by_seed_and_reports_its_steps():
    steps = []
    first = distil(
        SaturatingTeacher().predict_codes,
        SPACE,
        "teacher",
        seed=5,
        n_unlabelled=800,
        progress=steps.append,
    )
    again = distil(SaturatingTeacher().predict_codes, SPACE, "teacher", seed=5, n_unlabelled=800)
    assert first.to_bytes() == again.to_bytes()
    assert sum(steps) == N_STEPS


def test_shipped_file_is_at_most_8_kib_and_takes_at_most_64_kib_when_read(student):
    data = student.to_bytes()
    assert student.model.n_hidden > 0
    assert len(data) <= 8 * 1024
    assert EdgpPredictor(data).memory_bytes <= 64 * 1024


def test_reader_agrees_with_the_reference_on_10000_subnets(student):
    reader = EdgpPredictor(student.to_bytes())
    codes = SPACE.sample_codes(10_000, np.random.default_rng(2), SPACE.resolutions)
    np.testing.assert_allclose(
        reader.predict_codes(codes), student.predict_codes(codes), rtol=1e-5, atol=0
    )


def test_a_file_of_an_earlier_edgeprof_says_what_it_said_then():
    """Stored predictions: a change of writer and readers together cannot pass."""
    golden = DATA / "golden.edgp"
    with np.load(golden.with_suffix(".npz")) as stored:
        codes, expected = stored["codes"], stored["latency_ms"]
    model = decode_edgp(golden.read_bytes())
    assert model.n_hidden > 0
    assert encode_edgp(model) == golden.read_bytes()
    for predictor in (EdgpPredictor(golden.read_bytes()), CompactPredictor(model)):
        np.testing.assert_allclose(predictor.predict_codes(codes), expected, rtol=1e-5)


def test_codes_of_another_type_are_an_invalid_subnet(student):
    codes = SPACE.sample_codes(2, np.random.default_rng(0)).astype(np.int64)
    for predictor in (EdgpPredictor(student.to_bytes()), student):
        with pytest.raises(InvalidSubnet, match="codes are int64"):
            predictor.predict_codes(codes)


@pytest.mark.parametrize("value_bytes", [2, 4])
@pytest.mark.parametrize("sizes", [(1, 0, 0), (3, 4, 5), (16, 0, 3), (1, 15, 8), (2, 3, 0)])
def test_reader_agrees_with_the_reference_on_every_shape(sizes, value_bytes):
    rng = np.random.default_rng(sum(sizes))
    additive, hidden, inner = sizes
    model = random_model(
        rng, n_additive=additive, n_hidden=hidden, n_inner=inner, value_bytes=value_bytes
    )
    codes = random_codes(rng, model.cardinalities, 500)
    reader = EdgpPredictor(encode_edgp(model))
    expected = CompactPredictor(model).predict_codes(codes)
    np.testing.assert_allclose(reader.predict_codes(codes), expected, rtol=2e-5, atol=1e-4)


def test_file_round_trip_keeps_every_field():
    model = random_model(
        np.random.default_rng(0), provenance={"n_train": 700, "metrics": {"mape": 0.01}}
    )
    back = decode_edgp(encode_edgp(model))
    for mine, theirs in zip(model.tensors, back.tensors, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    empty = CompactTensors(*(np.zeros(0, np.float32) for _ in range(7)))
    assert replace(back, tensors=empty) == replace(model, tensors=empty)


def test_predictions_of_subnets_and_of_their_codes_are_the_same(student, tmp_path):
    student.save(tmp_path / "p.edgp")
    predictor = edgeprof.load_predictor(tmp_path / "p.edgp")
    subnets = SPACE.sample(20, np.random.default_rng(4))
    expected = predictor.predict_codes(SPACE.encode(subnets))
    np.testing.assert_array_equal(predictor.predict(subnets), expected)
    assert (predictor.space, predictor.device) == (SPACE.id, "teacher")


def test_provenance_is_carried_by_the_file(student):
    reader = EdgpPredictor(student.with_provenance({"n_train": 700}).to_bytes())
    assert reader.provenance["n_train"] == 700


def test_predict_command_prints_each_subnet_with_its_latency(student, tmp_path):
    subnets = SPACE.sample(3, np.random.default_rng(4))
    student.save(tmp_path / "p.edgp")
    write_subnets(tmp_path / "s.jsonl", subnets)
    result = CliRunner().invoke(cli, ["predict", f"{tmp_path}/p.edgp", f"{tmp_path}/s.jsonl"])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["r"] for line in lines] == [subnet.r for subnet in subnets]
    expected = EdgpPredictor(student.to_bytes()).predict(subnets)
    np.testing.assert_allclose([line["latency_ms"] for line in lines], expected)


def test_predict_on_a_board_reads_the_codes_that_predict_writes(student, tmp_path):
    subnets = SPACE.sample(3, np.random.default_rng(4))
    student.save(tmp_path / "p.edgp")
    write_subnets(tmp_path / "s.jsonl", subnets)
    arguments = ["predict", f"{tmp_path}/p.edgp", f"{tmp_path}/s.jsonl", "--codes"]
    codes = CliRunner().invoke(cli, arguments).stdout
    program = PROGRAM
    command = [program, "predict", tmp_path / "p.edgp"]
    done = subprocess.run(command, input=codes, capture_output=True, text=True, check=True)
    found = [json.loads(line)["latency_ms"] for line in done.stdout.splitlines()]
    np.testing.assert_allclose(found, EdgpPredictor(student.to_bytes()).predict(subnets))


# --- what is refused ---------------------------------------------------------------------------

EDGP = encode_edgp(random_model(np.random.default_rng(0)))


def patched(offset, replacement, *, crc=True):
    body = EDGP[:-4]
    body = body[:offset] + replacement + body[offset + len(replacement) :]
    return with_crc(body) if crc else body + EDGP[-4:]


MALFORMED = {
    "empty": (b"", "no .edgp file"),
    "wrong magic": (b"EDGX" + EDGP[4:], "no .edgp file"),
    "other version": (patched(4, b"\x02\x00"), "format version 2"),
    "header cut": (EDGP[:20], "truncated"),
    "tensors cut": (EDGP[:-9], "truncated"),
    "bytes appended": (EDGP + b"\0", "after its end"),
    "oversized": (EDGP + bytes(40_000), "oversized"),
    "one bit flipped": (patched(70, bytes([EDGP[70] ^ 4]), crc=False), "CRC"),
    "value size": (patched(6, b"\x03\x00"), "bytes per value"),
    "too many columns": (patched(12, b"\xff\x00"), "code columns"),
    "too wide": (patched(14, b"\x0f"), "additive terms"),
    "no additive term": (patched(14, b"\x00"), "additive terms"),
    "too many inner units": (patched(16, b"\x09"), "inner units"),
    "reserved byte": (patched(17, b"\x01"), "malformed header"),
    "no space id": (patched(18, b"\x00\x00"), "malformed header"),
    "texts beyond the end": (patched(22, b"\xff\xff"), "truncated"),
    "unit of zero": (patched(24, bytes(4)), "out of range"),
    "unit is no number": (patched(24, struct.pack("<f", float("nan"))), "out of range"),
    "infinite offset": (patched(28, struct.pack("<f", float("inf"))), "out of range"),
    "column of no values": (patched(32, b"\x00\x00"), "code column 0"),
    "column of too many values": (patched(32, b"\x01\x01"), "code column 0"),
    "another table size": (patched(32, b"\x05\x00"), "tensors"),
    "control character": (patched(40, b"\x1b"), "control characters"),
    "tensor value is infinite": (patched(len(EDGP) - 8, b"\x00\x7c"), "no number"),
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("reader", [EdgpPredictor, decode_edgp])
def test_malformed_file_is_refused_with_its_name_and_the_reason(case, reader):
    data, reason = MALFORMED[case]
    with pytest.raises(PredictorFormatError, match=reason) as caught:
        reader(data, "board.edgp")
    assert str(caught.value).startswith("board.edgp: ")


def test_tables_that_would_fill_a_device_are_refused():
    wide = random_model(
        np.random.default_rng(0), (250, 250, 250, 250, 2), n_additive=1, n_hidden=0, n_inner=0
    )
    with pytest.raises(PredictorFormatError, match="for its tables"):
        encode_edgp(wide)


def test_value_too_large_for_the_file_is_refused():
    model = random_model(np.random.default_rng(0))
    model.tensors.rows[0, 0] = 1e6
    with pytest.raises(PredictorFormatError, match="1e\\+06"):
        rounded_to_file(model)


def test_file_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(PredictorFormatError, match=r"missing\.edgp: cannot be read"):
        edgeprof.load_predictor(tmp_path / "missing.edgp")


@pytest.mark.parametrize("predictor", [EdgpPredictor(EDGP), CompactPredictor(decode_edgp(EDGP))])
def test_code_outside_the_space_is_named_by_row_and_column(predictor):
    codes = np.zeros((3, 4), dtype=np.uint8)
    codes[2, 1] = 3
    with pytest.raises(InvalidSubnet, match="row 2, column 1: 3, want less than 3"):
        predictor.predict_codes(codes)


@pytest.mark.parametrize("predictor", [EdgpPredictor(EDGP), CompactPredictor(decode_edgp(EDGP))])
@pytest.mark.parametrize("shape", [(3,), (3, 5), (1, 3, 4)])
def test_codes_of_another_shape_are_refused(predictor, shape):
    with pytest.raises(InvalidSubnet, match="want"):
        predictor.predict_codes(np.zeros(shape, dtype=np.uint8))


def test_no_codes_give_no_latencies():
    assert EdgpPredictor(EDGP).predict_codes(np.zeros((0, 4), dtype=np.uint8)).shape == (0,)
