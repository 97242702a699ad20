"""The graph that does nothing: valid ONNX, made by hand, and it does nothing."""

import numpy as np
import onnx

from edgeseq.bench.identity import identity_contract, identity_onnx
from edgeseq.contract import METADATA_KEY, Contract
from edgeseq.runtime import StreamSession


def test_onnx_itself_accepts_it():
    model = onnx.load_from_string(identity_onnx())
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Identity", "Identity"]
    assert model.opset_import[0].version == 15
    assert model.ir_version == 8


def test_shapes_are_symbolic_where_the_contract_says():
    model = onnx.load_from_string(identity_onnx())
    sizes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert sizes == {
        "frames": ["N", "T", 1],
        "h0": ["N", 1],
        "logits": ["N", "T", 1],
        "next_h0": ["N", 1],
    }


def test_it_carries_its_contract():
    model = onnx.load_from_string(identity_onnx())
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert set(metadata) == {METADATA_KEY}
    assert len(metadata[METADATA_KEY]) > 300, "long enough to need a two-byte length"
    assert Contract.from_metadata(metadata, where="identity") == identity_contract()


def test_a_session_runs_it(tmp_path):
    (tmp_path / "identity.onnx").write_bytes(identity_onnx())
    with StreamSession(tmp_path / "identity.onnx") as session:
        for value in (1.5, -2.0):
            assert session.step(np.array([value], np.float32)) == np.float32(value)
        frames = np.arange(5, dtype=np.float32).reshape(5, 1)
        np.testing.assert_array_equal(session.run(frames), frames)
        session.state = {"h0": np.array([[3.0]], np.float32)}
        session.step(np.zeros(1, np.float32))
        assert session.state["h0"] == 3, "the state is passed through"
