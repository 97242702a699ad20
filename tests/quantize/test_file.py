"""A file that is called int8 runs in int8, or is not written."""

import logging

import numpy as np
import onnx
import onnxruntime
import pytest
from graph.handmade import lstm_and_head

from edgeseq.bundle import Tolerance
from edgeseq.contract import METADATA_KEY, Contract
from edgeseq.errors import ModelError, PromiseError, UsageError
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import Quantization, Recipe, load_recipe
from edgeseq.runtime import StreamSession

RECIPE = load_recipe("int8-dynamic")


def metadata(path):
    return {prop.key: prop.value for prop in onnx.load(path).metadata_props}


def initializers(path):
    return {item.name: item for item in onnx.load(path).graph.initializer}


def test_lstm_and_matmul_run_in_int8(lstm_bundle, tmp_path):
    census = quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", RECIPE)
    assert census.int8_weights == 1
    assert census.float_nodes == ()
    assert census.operators["DynamicQuantizeLSTM"] == 2
    assert census.operators["DynamicQuantizeMatMul"] == 1
    assert not {"LSTM", "MatMul", "Gemm", "MatMulInteger"} & census.operators.keys()
    assert census.onnxruntime == onnxruntime.__version__


@pytest.mark.parametrize("variant", ["fp32", "step"])
def test_both_transformer_graphs_run_in_int8(transformer_bundle, tmp_path, variant):
    """Per block: joint projection, output, up and down; then the embedding and the head."""
    census = quantize_file(transformer_bundle.file(variant), tmp_path / "int8.onnx", RECIPE)
    assert census.int8_weights == 1
    assert census.operators["DynamicQuantizeMatMul"] == 2 * 4 + 2
    # What stays in floats multiplies activations by activations: scores and values.
    floats = census.operators.get("MatMul", 0) + census.operators.get("FusedMatMul", 0)
    assert floats == {"fp32": 2 * 2, "step": 0}[variant]


def test_rotary_table_stays_exact(transformer_bundle, tmp_path):
    source, target = transformer_bundle.file("fp32"), tmp_path / "int8.onnx"
    quantize_file(source, target, RECIPE)
    for name in ("rotary_cos", "rotary_sin"):
        assert initializers(target)[name] == initializers(source)[name]


def test_weights_use_seven_bits_so_that_no_cpu_saturates(lstm_bundle, tmp_path):
    quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", RECIPE)
    largest = {
        name: np.abs(onnx.numpy_helper.to_array(item).astype(int)).max()
        for name, item in initializers(tmp_path / "int8.onnx").items()
        if name.endswith("_quantized")
    }
    assert set(largest) == {f"{x}_quantized" for x in ("W0", "R0", "W1", "R1", "head")}
    assert all(60 <= value <= 64 for value in largest.values())


def test_full_range_is_there_for_those_who_ask(lstm_bundle, tmp_path):
    recipe = Recipe(
        "full", "", Tolerance(0.1, 0.1), quantize=Quantization("dynamic", reduce_range=False)
    )
    quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", recipe)
    head = initializers(tmp_path / "int8.onnx")["head_quantized"]
    assert np.abs(onnx.numpy_helper.to_array(head).astype(int)).max() == 127


def test_per_channel_has_one_scale_a_column_and_less_noise(lstm_bundle, tmp_path):
    frames, noise = lstm_bundle.reference["frames"][:200], {}
    with StreamSession(lstm_bundle.path, variant="fp32") as session:
        expected = session.run(frames)
    for name in ("int8-per-tensor", "int8-dynamic"):
        file = tmp_path / f"{name}.onnx"
        census = quantize_file(lstm_bundle.file("fp32"), file, load_recipe(name))
        assert census.int8_weights == 1
        with StreamSession(file) as session:
            noise[name] = np.sqrt(np.mean((session.run(frames) - expected) ** 2))
    assert initializers(tmp_path / "int8-dynamic.onnx")["R0_scale"].dims[-1] == 4 * 12
    assert 0 < noise["int8-dynamic"] < noise["int8-per-tensor"]


def test_only_recipe_and_producer_of_the_contract_change(lstm_bundle, tmp_path):
    source, target = lstm_bundle.file("fp32"), tmp_path / "int8.onnx"
    quantize_file(source, target, RECIPE, producer="edgeseq 9.9")
    before, after = metadata(source)[METADATA_KEY], metadata(target)[METADATA_KEY]
    old = Contract.from_metadata({METADATA_KEY: before}, where="before")
    assert after == before.replace(f'"{old.producer}"', '"edgeseq 9.9"').replace(
        '"streaming-fp32"', '"int8-dynamic"'
    )
    assert after != before
    assert metadata(target).keys() == metadata(source).keys()
    assert onnx.load(target).producer_name == "edgeseq"


def test_inputs_outputs_and_opset_stay(transformer_bundle, tmp_path):
    for variant in ("fp32", "step"):
        source, target = transformer_bundle.file(variant), tmp_path / f"{variant}.onnx"
        quantize_file(source, target, RECIPE)
        before, after = onnx.load(source), onnx.load(target)
        assert list(after.graph.input) == list(before.graph.input)
        assert list(after.graph.output) == list(before.graph.output)
        assert after.opset_import[0] == before.opset_import[0]
        assert after.ir_version == before.ir_version


def test_the_tool_makes_no_noise(lstm_bundle, tmp_path, caplog, capfd):
    handlers = list(logging.getLogger().handlers)
    quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", RECIPE)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers


def test_quantizing_twice_gives_the_same_bytes(lstm_bundle, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        quantize_file(lstm_bundle.file("fp32"), tmp_path / name, RECIPE)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_int8_in_name_only_is_refused_and_not_written(tmp_path):
    """Weights that arrive through a Concat are not seen by the tool, which reports success.

    112 of 120 weights are the LSTM's.
    """
    source, target = lstm_and_head(tmp_path / "m.onnx", folded=False), tmp_path / "int8.onnx"
    with pytest.raises(PromiseError) as caught:
        quantize_file(source, target, RECIPE)
    message = str(caught.value)
    assert "int8 in name only: 93% of its weights still run in fp32" in message
    assert "(lstm)" in message
    assert "nothing was written" in message
    assert not target.exists()
    assert quantize_file(lstm_and_head(source), target, RECIPE).int8_weights == 1


def test_a_lower_promise_is_the_recipes_to_make(tmp_path):
    how = Quantization("dynamic", int8_share=0.05)
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=how)
    source = lstm_and_head(tmp_path / "m.onnx", folded=False)
    census = quantize_file(source, tmp_path / "int8.onnx", recipe)
    assert census.int8_weights == pytest.approx(8 / 120)


def test_a_file_without_contract_is_quantized_without(tmp_path):
    target = tmp_path / "int8.onnx"
    quantize_file(lstm_and_head(tmp_path / "m.onnx"), target, RECIPE)
    assert metadata(target) == {}
    assert onnx.load(target).producer_name == "hand"


def test_broken_and_absent_files_are_one_line(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(lstm_and_head(tmp_path / "m.onnx").read_bytes()[:-40])
    for name in ("cut.onnx", "absent.onnx"):
        with pytest.raises(ModelError, match="cannot read") as caught:
            quantize_file(tmp_path / name, tmp_path / "int8.onnx", RECIPE)
        assert "\n" not in str(caught.value)


def test_failure_of_the_tool_is_named(tmp_path, monkeypatch):
    import onnxruntime.quantization as tool

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel\nand more")

    monkeypatch.setattr(tool, "quantize_dynamic", fail)
    with pytest.raises(ModelError, match=r"quantizer failed on .*: RuntimeError: no such kernel$"):
        quantize_file(lstm_and_head(tmp_path / "m.onnx"), tmp_path / "int8.onnx", RECIPE)


def test_recipe_without_quantization_is_refused(tmp_path):
    with pytest.raises(UsageError, match="does not quantize"):
        quantize_file(tmp_path / "m.onnx", tmp_path / "i.onnx", load_recipe("streaming-fp32"))


def test_pytorchs_own_export_is_refused(tmp_path):
    """`torch.onnx.export` slices and joins LSTM weights: the tool leaves them in fp32, silently.

    With 32 units the exporter folds the small constants, and all is well; not so with 64.
    """
    import warnings

    import torch

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(6, 64, 2, batch_first=True)
            self.head = torch.nn.Linear(64, 7)

        def forward(self, x, h0, c0):
            y, (hn, cn) = self.lstm(x, (h0, c0))
            return self.head(y), hn, cn

    state = torch.zeros(2, 1, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, about itself
        torch.onnx.export(
            Model().eval(),
            (torch.zeros(1, 1, 6), state, state),
            tmp_path / "torch.onnx",
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    with pytest.raises(PromiseError, match=r"9\d% of its weights still run in fp32.*node_LSTM"):
        quantize_file(tmp_path / "torch.onnx", tmp_path / "int8.onnx", RECIPE)
    assert not (tmp_path / "int8.onnx").exists()
