"""The tables of operators: every operator of both standards stands in one."""

import pytest

from edgeprof.networks.graphs.operators import ONNX, TFLITE


def test_every_operator_of_onnx_has_an_entry():
    defs = pytest.importorskip("onnx.defs")
    names = {schema.name for schema in defs.get_all_schemas_with_history() if not schema.domain}
    assert names - set(ONNX) == set()


def test_every_operator_of_tflite_has_an_entry():
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    names = {name for name in vars(schema.BuiltinOperator) if name.isupper()}
    assert names - set(TFLITE) == set()
