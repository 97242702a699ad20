"""A file that is called int8 runs in int8, or is not written."""

import logging
from itertools import cycle
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export.small import FRAME, LOGITS, Loop, frames_of, graph_of, model_of, relative_error, whole
from graph.handmade import lstm_and_head, save, tensor, value

from edgeseq.bundle import Tolerance
from edgeseq.contract import METADATA_KEY, Contract
from edgeseq.errors import ModelError, PromiseError, UsageError
from edgeseq.export import build_graph
from edgeseq.graph.census import optimised_graph
from edgeseq.graph.inspect import file_sizes
from edgeseq.graph.portable import dependences
from edgeseq.graph.weights import all_graphs, all_nodes
from edgeseq.models import SequenceModel
from edgeseq.models.gru import GRUSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.portable import require_portable
from edgeseq.quantize.products import weight_names
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
    recipe = load_recipe("int8-per-tensor")
    quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", recipe)
    largest = {
        name: np.abs(onnx.numpy_helper.to_array(item).astype(int)).max()
        for name, item in initializers(tmp_path / "int8.onnx").items()
        if name.endswith("_quantized")
    }
    assert set(largest) == {f"{x}_quantized" for x in ("W0", "R0", "W1", "R1", "head")}
    assert all(60 <= value <= 64 for value in largest.values())


def test_full_range_is_there_for_those_who_ask(lstm_bundle, tmp_path):
    quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", full_range(portable=False))
    head = initializers(tmp_path / "int8.onnx")["head_quantized"]
    assert np.abs(onnx.numpy_helper.to_array(head).astype(int)).max() == 127


def full_range(*, portable):
    how = Quantization("dynamic", reduce_range=False, portable=portable)
    return Recipe("full", "", Tolerance(0.1, 0.1), quantize=how)


@pytest.mark.parametrize("family", ["lstm", "gru", "transformer"])
def test_full_range_breaks_the_promise_of_one_answer_and_is_not_written(family, tmp_path, request):
    bundle, target = request.getfixturevalue(f"{family}_bundle"), tmp_path / "int8.onnx"
    with pytest.raises(PromiseError) as caught:
        quantize_file(bundle.file("fp32"), target, full_range(portable=True))
    text = str(caught.value)
    assert 'model.onnx would answer differently from CPU to CPU, but "full" promises one' in text
    assert "pairs of weights: x86 CPUs without VNNI" in text
    assert text.endswith(
        "Write reduce_range = true, or portable = false in the recipe's [quantize]"
    )
    assert not target.exists()
    quantize_file(bundle.file("fp32"), target, full_range(portable=False))
    assert dependences(onnx.load(target))
    quantize_file(bundle.file("fp32"), target, RECIPE)
    assert dependences(onnx.load(target)) == ()


def test_products_in_blocks_have_no_other_way_out():
    """They round activations or do not, as the CPU has it; fewer bits would not help."""
    node = onnx.helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], "n", accuracy_level=4)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    with pytest.raises(
        PromiseError, match=r"1 node \(n\): activations.* Write portable = false in"
    ):
        require_portable(model, full_range(portable=True), Path("m.onnx"))
    require_portable(model, full_range(portable=False), Path("m.onnx"))


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
    assert "(lstm: its weights are made by Concat, and recipes take initializers only)" in message
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


NAMES = {
    "lstm": ("W0", "R0", "W1", "R1", "head"),
    "gru": ("W0", "R0", "W1", "R1", "head"),
    "transformer": (
        "embed",
        *(
            f"blocks.{block}.{part}"
            for block in range(2)
            for part in ("attention.qkv", "attention.out", "up", "down")
        ),
        "head",
    ),
}
GRAPHS = [(name, frames) for name in NAMES for frames in ({}, {"frames": 1})]
GRAPHS.append(("transformer", {"frames": 1, "newest": True}))
BLOCK = ("attention.qkv", "attention.out", "up", "down")
NAMES["encoder-decoder"] = (
    "embed",
    *(f"encoder.0.{part}" for part in BLOCK),
    *("crosses.0.kv", "crosses.1.kv"),  # the branch ends here
    *(
        name
        for block in range(2)
        for name in (
            *(f"crosses.{block}.{part}" for part in ("q", "out")),
            *(f"blocks.{block}.{part}" for part in BLOCK),
        )
    ),
    "head",
)
GRAPHS.append(("encoder-decoder", {"frames": 1, "newest": True}))


PLACES = {
    "DynamicQuantizeLSTM": (1, 2), "DynamicQuantizeMatMul": (1,), "LSTM": (1, 2), "MatMul": (1,),
    "MatMulIntegerToFloat": (1,), "MatMulNBits": (1,), "QLinearMatMul": (3,),
}  # fmt: skip


def how_they_run(path):
    """Map each weight to how the optimised graph multiplies by it, by the constants it reads."""
    found = {}
    for node in all_nodes(optimised_graph(path).graph):
        bits = next((item.i for item in node.attribute if item.name == "bits"), 32)
        kind = f"{node.op_type} {bits}" if node.op_type == "MatMulNBits" else node.op_type
        for place in PLACES.get(node.op_type, ()):
            name = node.input[place].removesuffix("_blocks").removesuffix("_quantized")
            found[name] = kind
    return found


@pytest.mark.parametrize(("name", "options"), GRAPHS)
def test_every_weight_runs_in_the_scheme_it_was_given(name, options, tmp_path):
    """One scheme after the other, dealt to the weights in turns."""
    schemes = {
        "static": "MatMulIntegerToFloat",
        "weights8": "MatMulNBits 8",
        "fp32": "MatMul",
        "dynamic": "DynamicQuantizeMatMul",
        "weights4": "MatMulNBits 4",
    }
    dealt = dict(zip(NAMES[name], cycle(schemes), strict=False))
    how = Quantization("weights", bits=4, block=16, nodes=dealt, int8_share=0.3, portable=False)
    graph = graph_of(name, **options)
    assert weight_names(graph) == NAMES[name]
    onnx.save(graph, tmp_path / "fp32.onnx")
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=how)
    model = model_of(name)
    streams = list(frames_of(model, 4, 100, seed=1))
    target = tmp_path / "mixed.onnx"
    census = quantize_file(tmp_path / "fp32.onnx", target, recipe, streams=streams)
    run = how_they_run(tmp_path / "mixed.onnx")
    assert {weight: run.get(weight) for weight in dealt} == {
        weight: schemes[scheme] for weight, scheme in dealt.items()
    }
    held = {item.name: item.dims for part in all_graphs(graph.graph) for item in part.initializer}
    floats = sum(np.prod(held[weight]) for weight, scheme in dealt.items() if scheme == "fp32")
    total = sum(np.prod(held[weight]) for weight in dealt)
    assert census.int8_weights == pytest.approx(1 - floats / total)
    frames = frames_of(model, 1, 30)
    outputs, _ = Loop(onnx.load(tmp_path / "mixed.onnx")).run(frames, [1] * 30)
    assert 1e-3 < relative_error(outputs, whole(model, frames)) < 0.5


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        ({"head": "fp32"}, ["DynamicQuantizeLSTM"] * 2 + ["MatMul"]),
        ({"*0": "weights8"}, ["MatMulNBits 8", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul"]),
        ({"[WR]1": "fp32"}, ["DynamicQuantizeLSTM", "LSTM", "DynamicQuantizeMatMul"]),
        ({"R1": "fp32"}, ["DynamicQuantizeLSTM", *["DynamicQuantizeMatMul", "MatMul"] * 1]),
    ],
)
def test_an_lstm_stays_an_operator_where_one_has_its_schemes(nodes, kinds, tmp_path):
    """ONNX Runtime's LSTM is a node, its parts are a dozen: only a scheme it lacks is worth it."""
    onnx.save(graph_of("lstm"), tmp_path / "fp32.onnx")
    how = Quantization("dynamic", nodes=nodes, int8_share=0.3, portable=False)
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=how)
    quantize_file(tmp_path / "fp32.onnx", tmp_path / "mixed.onnx", recipe)
    assert set(how_they_run(tmp_path / "mixed.onnx").values()) == set(kinds)


def test_exceptions_for_weights_that_are_not_there_are_refused(lstm_bundle, tmp_path):
    how = Quantization("dynamic", nodes={"W0|embed": "fp32", "w1": "fp32", "blocks.*": "fp32"})
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=how)
    with pytest.raises(UsageError) as caught:
        quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", recipe)
    assert "has no weight 'w1' or 'blocks.*'" in str(caught.value)
    assert str(caught.value).endswith("it has: W0, R0, W1, R1, head")
    assert not (tmp_path / "int8.onnx").exists()


def test_static_without_recordings_is_refused(lstm_bundle, tmp_path):
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=Quantization("static"))
    with pytest.raises(UsageError, match="the scheme static needs recordings"):
        quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", recipe)


def test_nodes_without_names_and_with_the_same_one_are_told_apart(tmp_path):
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "a"], ["y"], "same"),
        onnx.helper.make_node("MatMul", ["y", "b"], ["z"], "same"),
        onnx.helper.make_node("MatMul", ["z", "c"], ["out"]),
    ]
    weights = [tensor(name, 8, 8) for name in "abc"]
    values = [value("x", ("N", 8))], [value("out", ("N", 8))]
    save(tmp_path / "m.onnx", nodes, *values, weights)
    how = Quantization("dynamic", nodes={"b": "fp32"}, int8_share=0.1)
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=how)
    quantize_file(tmp_path / "m.onnx", tmp_path / "int8.onnx", recipe)
    assert how_they_run(tmp_path / "int8.onnx") == {
        "a": "DynamicQuantizeMatMul", "b": "MatMul", "c": "DynamicQuantizeMatMul",
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["dynamic", "weights8", "fp32"])
@pytest.mark.parametrize("bias", [["b"], []])
@pytest.mark.parametrize("turned", [0, 1])
def test_a_gemm_is_a_product_whatever_its_scheme(turned, bias, scheme, tmp_path):
    """As PyTorch's exporter writes a linear layer; one with a factor stays what it is."""
    node = onnx.helper.make_node("Gemm", ["x", "w", *bias], ["z"], "gemm", transB=turned)
    other = onnx.helper.make_node("Gemm", ["z", "v"], ["y"], "other", alpha=0.5)
    weights = [tensor("w", 6, 8) if turned else tensor("w", 8, 6), tensor("v", 6, 1)]
    weights += [tensor("b", 6)] if bias else []
    values = [value("x", ("N", 8))], [value("y", ("N", 1))]
    path = save(tmp_path / "m.onnx", [node, other], *values, weights)
    how = Quantization("dynamic", nodes={"w": scheme}, int8_share=0.8, portable=False)
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=how)
    if scheme == "fp32":
        with pytest.raises(PromiseError, match=r"100% of its weights .*\(gemm, other: its weights"):
            quantize_file(path, tmp_path / "q.onnx", recipe)
        return
    census = quantize_file(path, tmp_path / "q.onnx", recipe)
    assert census.int8_weights == 48 / 54
    assert census.float_nodes == ("other",)
    x = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    outputs = [
        onnxruntime.InferenceSession(file).run(None, {"x": x})[0]
        for file in (tmp_path / "q.onnx", path)
    ]
    assert relative_error(*outputs) < 0.03


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


def random_file(folder, name, spec, **how):
    torch.manual_seed(0)
    model = SequenceModel(spec, FRAME.size, len(LOGITS.labels)).eval()
    built = build_graph(model, FRAME, LOGITS, producer="test", recipe="streaming-fp32", **how)
    onnx.save(built, folder / f"{name}.onnx")
    return folder / f"{name}.onnx"


@pytest.mark.parametrize("one_frame", [False, True])
@pytest.mark.parametrize("kind", [LSTMSpec, GRUSpec, TransformerSpec])
def test_int8_is_at_most_three_tenths_from_50k_weights(tmp_path, kind, one_frame):
    """Constants that are not weights counted apart: they do not shrink, and do not grow."""
    how = {"frames": 1, "newest": True} if one_frame else {}
    source = random_file(
        tmp_path, "fp32", kind.sized(50_000, FRAME.size, len(LOGITS.labels)), **how
    )
    quantize_file(source, tmp_path / "int8.onnx", RECIPE)
    fp32, int8 = file_sizes(source), file_sizes(tmp_path / "int8.onnx")
    assert fp32.weights > 4 * 45_000
    assert int8.weights * 4 == fp32.weights
    assert int8.total - int8.constants <= 0.30 * fp32.total
