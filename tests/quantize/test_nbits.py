"""Weights in blocks: the operator's arithmetic, and every family's graph in it."""

import platform

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from export.small import Loop, frames_of, graph_of, model_of, relative_error, whole
from graph.handmade import save, tensor, value
from onnx import helper, numpy_helper

from edgeseq.bundle import Tolerance
from edgeseq.graph.blocks import quantize_blocks
from edgeseq.graph.weights import weight_uses
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.nbits import packed, quantize_in_blocks
from edgeseq.recipes import Quantization, Recipe

ON_X86 = platform.machine() in ("x86_64", "AMD64")
GRAPHS = [
    ("lstm", {}),
    ("lstm", {"frames": 1}),
    ("gru", {}),
    ("gru", {"frames": 1}),
    ("transformer", {}),
    ("transformer", {"frames": 1, "newest": True}),
]


def product(folder, rows, columns, *, bias=(), readers=1, rank=3):
    """A product of `x` with random weights, and a bias of the shape `bias` if there is one."""
    rng = np.random.default_rng(rows)
    weights = [numpy_helper.from_array(rng.normal(size=(rows, columns)).astype(np.float32), "w")]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["product" if bias else "y"], "matmul")]
    if bias:
        weights.append(tensor("bias", *bias))
        nodes.append(helper.make_node("Add", ["product", "bias"], ["y"], "add"))
    outputs = [value("y", None)]
    if readers == 2:
        nodes.append(helper.make_node("Neg", ["product"], ["minus"], "minus"))
        outputs.append(value("minus", None))
    x = value("x", ("N", "T", rows)[3 - rank :])
    return onnx.load(save(folder / "m.onnx", nodes, [x], outputs, weights))


def run(model, x):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


def arrays(model):
    return {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}


def by_hand(x, blocks, bias=0.0):
    """Round blocks of frames to -127 to 127, multiply integers, then scale block by block."""
    rows, size = len(blocks.values), blocks.size
    y = np.zeros((*x.shape[:-1], blocks.values.shape[1]))
    for index, start in enumerate(range(0, rows, size)):
        part = x[..., start : start + size]
        scale = np.abs(part).max(axis=-1, keepdims=True) / np.float32(127)
        integers = np.rint(part / np.where(scale, scale, 1)).astype(int)
        steps = blocks.values[start : start + size].astype(int) - blocks.zero_points[index]
        y += (integers @ steps) * scale * blocks.scales[index]
    return y + bias


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(
    ("rows", "columns", "block"), [(3, 5, 16), (24, 48, 128), (100, 33, 32), (153, 7, 64)]
)
def test_the_operator_multiplies_integers_block_by_block(rows, columns, block, bits, tmp_path):
    model = product(tmp_path, rows, columns, bias=(1, 1, columns))
    quantized = quantize_in_blocks(model, {"w": bits}, block)
    blocks = quantize_blocks(arrays(model)["w"], bits, block)
    x = np.random.default_rng(1).normal(size=(2, 3, rows)).astype(np.float32)
    x[0, 0] = 0
    y, bias = run(quantized, x), arrays(model)["bias"]
    in_floats = x @ blocks.dequantized() + bias
    assert relative_error(y, in_floats) < 0.03, "frames are rounded to 8 bits"
    if not ON_X86:
        pytest.skip("kernels of other processors round frames otherwise")
    assert relative_error(y, by_hand(x, blocks, bias)) < 3e-6
    assert relative_error(in_floats, by_hand(x, blocks, bias)) > 1e-4
    wrong = blocks.scales[::-1] if len(blocks.scales) > 1 else blocks.scales[:, ::-1]
    changed = quantize_in_blocks(model, {"w": bits}, block)
    for item in changed.graph.initializer:
        if item.name == "w_scales":
            item.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(wrong.T), "w_scales"))
    assert relative_error(run(changed, x), by_hand(x, blocks, bias)) > 1e-3, "scales exchanged"


def test_two_integers_in_a_byte_and_padding_by_the_zero_point(tmp_path):
    model = product(tmp_path, 20, 3)
    quantized = arrays(quantize_in_blocks(model, {"w": 4}, 16))
    blocks = quantize_blocks(arrays(model)["w"], 4, 16)
    assert quantized["w_blocks"].shape == (3, 2, 8)
    assert quantized["w_scales"].shape == (3, 2)
    assert quantized["w_zero_points"].shape == (3, 1)
    first = quantized["w_blocks"][1, 0, 0]
    assert (first & 15, first >> 4) == (blocks.values[0, 1], blocks.values[1, 1])
    zero = blocks.zero_points[1, 2]
    assert quantized["w_blocks"][2, 1, -1] == zero | zero << 4
    assert quantized["w_zero_points"][2, 0] == blocks.zero_points[0, 2] | zero << 4
    assert packed(np.uint8([[1, 2, 3]]), 4).tolist() == [[0x21, 0x03]]
    assert packed(np.uint8([[1, 2, 3]]), 8).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("options", "folded"),
    [
        ({"bias": (5,)}, True),
        ({"bias": (1, 1, 5)}, True),
        ({"bias": (1, 1, 5), "rank": 2}, False),
        ({"bias": (1,)}, False),
        ({"bias": (5,), "readers": 2}, False),
        ({"bias": (2, 5)}, False),
    ],
)
def test_a_bias_goes_into_the_operator_if_nothing_else_reads_the_product(options, folded, tmp_path):
    model = product(tmp_path, 24, 5, **options)
    quantized = quantize_in_blocks(model, {"w": 8}, 32)
    kinds = [node.op_type for node in quantized.graph.node]
    assert kinds[0] == "MatMulNBits"
    assert ("Add" in kinds) != folded
    assert ("bias" in arrays(quantized)) != folded
    shape = (1, 2, 24) if options.get("rank", 3) == 3 else (2, 24)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    assert relative_error(run(quantized, x), run(model, x)) < 0.02


def test_two_products_share_a_weight_and_keep_their_biases():
    weights = [tensor("w", 16, 4), tensor("a", 4)]
    weights.append(numpy_helper.from_array(np.float32([9, 8, 7, 6]), "b"))
    nodes = []
    for bias in "ab":
        nodes.append(helper.make_node("MatMul", ["x", "w"], [f"x{bias}"], f"product {bias}"))
        nodes.append(helper.make_node("Add", [f"x{bias}", bias], [f"y{bias}"], f"add {bias}"))
    nodes.append(helper.make_node("Sub", ["yb", "ya"], ["y"], "sub"))
    graph = helper.make_graph(nodes, "g", [value("x", (1, 16))], [value("y", (1, 4))], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    quantized = quantize_in_blocks(model, {"w": 8}, 16)
    assert [node.op_type for node in quantized.graph.node] == ["MatMulNBits"] * 2 + ["Sub"]
    y = run(quantized, np.ones((1, 16), np.float32))
    np.testing.assert_allclose(y, np.float32([[9, 8, 7, 6]]) - arrays(model)["a"], atol=1e-4)
    assert "w" not in arrays(quantized)


@pytest.mark.parametrize(("bits", "least", "most"), [(8, 1e-3, 0.06), (4, 0.02, 0.7)])
@pytest.mark.parametrize(("name", "options"), GRAPHS)
def test_every_family_runs_in_blocks(name, options, bits, least, most, tmp_path):
    graph, model = graph_of(name, **options), model_of(name)
    onnx.save(graph, tmp_path / "fp32.onnx")
    how = Quantization("weights", bits=bits, block=32, portable=False)
    recipe = Recipe("mine", "", Tolerance(1, 1), quantize=how)
    census = quantize_file(tmp_path / "fp32.onnx", tmp_path / "q.onnx", recipe)
    quantized = onnx.load(tmp_path / "q.onnx")
    count = 10 if name == "transformer" else 5
    assert census.operators["MatMulNBits"] == count
    assert census.int8_weights == 1
    assert not {"LSTM", "GRU", "Gemm"} & census.operators.keys()
    assert sum(use.elements for use in weight_uses(quantized)) == sum(
        use.elements for use in weight_uses(graph)
    )
    frames = frames_of(model, 2, 40)
    outputs, _ = Loop(quantized).run(frames, [1] * 40)
    assert least < relative_error(outputs, whole(model, frames)) < most
    oldest = {8: "1.22.0", 4: "1.19.0"}[bits] if "newest" not in options else "1.25.0"
    assert Loop(quantized).contract.min_onnxruntime == oldest
