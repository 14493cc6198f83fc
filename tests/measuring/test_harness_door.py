"""What the harness does around a measurement: no telemetry, no lock held, inputs by their seed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgeprof import _core
from edgeprof.measuring.harness import Settings, make_job, run_jobs

TELLTALE = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void opened(void) {
    const char* value = getenv("ORT_DISABLE_TELEMETRY");
    FILE* file = fopen(getenv("TELLTALE"), "w");
    fputs(value ? value : "unset", file);
    fclose(file);
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_telemetry_is_off_before_the_runtime_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, model, told = (tmp_path / name for name in ("libort.so", "m.onnx", "told"))
    (tmp_path / "ort.c").write_text(TELLTALE)
    command = ["cc", "-shared", "-fPIC", "-o", library, tmp_path / "ort.c"]
    subprocess.run(command, check=True)
    model.write_text("anything")
    monkeypatch.setenv("TELLTALE", str(told))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    (record,) = run_jobs([make_job(model, Settings(library=library))])
    assert record["error"]["kind"] == "RuntimeUnavailable"  # it is no runtime
    assert told.read_text() == "1"


def test_other_python_threads_run_while_the_extension_measures() -> None:
    job = json.dumps({"model": "", "runtime": "null", "min_secs": 0.2, "max_secs": 1.0})
    counts, done = [0], threading.Event()

    def count() -> None:
        while not done.is_set():
            counts[0] += 1
            time.sleep(0.001)

    interval_s = sys.getswitchinterval()
    counter = threading.Thread(target=count)
    # From here on this thread gives the lock up by its own will only.
    sys.setswitchinterval(1000)
    try:
        counter.start()
        before = counts[0]
        _core.run_job(job)
        after = counts[0]
    finally:
        sys.setswitchinterval(interval_s)
        done.set()
        counter.join()
    assert after - before > 1


def test_the_seed_gives_the_inputs_their_values(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 64]) for name in "xy"
    ]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    opset = onnx.helper.make_opsetid("", 13)
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[opset])
    onnx.save(model, tmp_path / "m.onnx")
    jobs = []
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        job = make_job(tmp_path / "m.onnx", Settings(seed=seed, max_samples=10, min_samples=5))
        jobs.append({**job, "outputs_file": str(tmp_path / name)})
    assert all("error" not in record for record in run_jobs(jobs))
    first, other, again = (np.fromfile(tmp_path / name, np.float32) for name in "abc")
    assert len(first) == 64
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert not np.isin(other, first).any()
