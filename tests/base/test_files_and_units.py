"""Files appear whole or not at all; numbers are written for people at the edge only."""

import pytest

from edgeprof.base.errors import EdgeprofError, OutputError, StableError, TransientError
from edgeprof.base.files import atomic_write, packaged, sha256_of
from edgeprof.base.units import format_bytes, format_count, format_duration_ns


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write_half():
        with atomic_write(target) as stream:
            stream.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    target = tmp_path / "missing" / "a.txt"
    with (
        pytest.raises(OutputError, match=r"missing/a\.txt: cannot be written: No such file"),
        atomic_write(target),
    ):
        pass


def test_sha256_is_that_of_the_contents(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea")


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (12, "12 ns"),
        (999.7, "1.00 us"),
        (7_624_000, "7.62 ms"),
        (99_960_000, "100 ms"),
        (2.5e9, "2.50 s"),
    ],
)
def test_durations(duration_ns, text):
    assert format_duration_ns(duration_ns) == text


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 B"), (13_517, "13.2 KiB"), (64 << 20, "64 MiB")]
)
def test_sizes(size, text):
    assert format_bytes(size) == text


@pytest.mark.parametrize(("count", "text"), [(5, "5"), (5_400_000, "5.40 M"), (217e6, "217 M")])
def test_counts(count, text):
    assert format_count(count) == text


def test_every_error_says_whether_a_retry_helps():
    def leaves(kind):
        return [leaf for sub in kind.__subclasses__() for leaf in (leaves(sub) or [sub])]

    for leaf in leaves(EdgeprofError):
        assert issubclass(leaf, TransientError) != issubclass(leaf, StableError)


def test_evidence_is_kept_in_fields():
    error = TransientError("board pi: gone", board="pi", exit_status=255)
    assert error.evidence == {"board": "pi", "exit_status": 255}
    assert error.kind == "TransientError"


def test_packaged_files_are_found_where_an_editable_install_has_them(tmp_path, monkeypatch):
    for folder in ("sources", "built"):
        (tmp_path / folder).mkdir()
    (tmp_path / "built" / "firmware_scripts").mkdir()
    paths = [str(tmp_path / "sources"), str(tmp_path / "built")]
    monkeypatch.setattr("edgeprof.__path__", paths)
    assert packaged("firmware_scripts") == tmp_path / "built" / "firmware_scripts"
    assert packaged("bin/edgeprof-harness") == tmp_path / "sources" / "bin" / "edgeprof-harness"
