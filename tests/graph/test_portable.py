"""What depends on the CPU is predicted from the weights, against the arithmetic done by hand."""

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
from graph.handmade import save, value
from onnx import TensorProto, helper, numpy_helper

from edgeseq.graph.portable import (
    CONVOLVES,
    ROUNDS,
    SATURATES,
    WRAPS,
    dependences,
    saturating_pairs,
    summary,
    wrapping_pairs,
)

ORT = "com.microsoft"


def vpmaddubsw(first, second, w1, w2):
    """Two products of u8 x s8 and their sum, as x86 has it: saturated to 16 bits."""
    return np.clip(first * w1 + second * w2, -32768, 32767)


def x86_without_vnni(x, w):
    """`(M, K) @ (K, N)` of u8 and s8 as those CPUs compute it; K is even."""
    x, w = x.astype(int), w.astype(int)
    pairs = [vpmaddubsw(x[:, i, None], x[:, i + 1, None], w[i], w[i + 1])
             for i in range(0, len(w), 2)]  # fmt: skip
    return sum(pairs)


def arm_without_dot_product(x, w):
    """`(M, K) @ (K, N)` of u8 and s8 as those CPUs compute it; K is a multiple of 16."""
    signed, w = x.astype(int) - 128, w.astype(int)
    total = 128 * w.sum(axis=0)
    for block in range(0, len(w), 16):
        for i in range(block, block + 8):
            added = signed[:, i, None] * w[i] + signed[:, i + 8, None] * w[i + 8]
            total = total + ((added + 2**15) % 2**16 - 2**15)
    return total


def int8(*shape, low=-127, high=127, seed=0):
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(np.int8)


def product(tmp_path, operator, inputs, weights, **attributes):
    """A graph of one product; its `x` is what `inputs` starts with."""
    domain = ORT if operator not in ("MatMulInteger", "QLinearMatMul", "ConvInteger") else ""
    node = helper.make_node(operator, inputs, ["y"], "product", domain=domain, **attributes)
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights]
    return onnx.load(
        save(tmp_path / "m.onnx", [node], [value("x", None)], [value("y", None)], constants,
             contrib=True)
    )  # fmt: skip


def found(model):
    return {item.why: item.pairs for item in dependences(model)}


@pytest.mark.parametrize("first", [-128, -127, -100, -65, -64, -1, 0, 1, 63, 64, 65, 127])
def test_every_pair_of_weights_against_every_pair_of_bytes(first):
    """The extremes of both bytes decide, for a sum of products is linear in each."""
    for second in range(-128, 128):
        saturates = any(
            vpmaddubsw(a, b, first, second) != a * first + b * second
            for a, b in itertools.product((0, 255), repeat=2)
        )
        assert saturating_pairs(np.array([[first], [second]], np.int8)) == saturates


@pytest.mark.parametrize("k", [1, 2, 7, 32])
def test_pairs_are_neighbours_along_k(k):
    w = int8(2, k, 5, seed=k)
    padded = np.concatenate([w, np.zeros((2, k % 2, 5), np.int8)], axis=1).astype(int)
    by_hand = sum(
        abs(a + b) > 128 and a * b > 0
        for each in padded
        for column in each.T
        for a, b in zip(column[::2], column[1::2], strict=True)
    )
    assert saturating_pairs(w) == by_hand
    assert by_hand > 0 or k == 1


def test_random_products_differ_where_pairs_were_counted_and_nowhere_else():
    x = np.random.default_rng(1).integers(0, 256, (400, 16)).astype(np.uint8)
    x[:50] = 255
    for seed in range(30):
        w = int8(16, 3, low=-(40 + 3 * seed), high=40 + 3 * seed, seed=seed)
        exact = x.astype(int) @ w
        differs = not np.array_equal(x86_without_vnni(x, w), exact)
        assert differs <= (saturating_pairs(w) > 0)  # a differing product was predicted
        if seed > 20:
            assert differs
    assert saturating_pairs(int8(16, 3, low=-64, high=64)) == 0


def test_only_minus_128_wraps_on_arm():
    x = np.zeros((1, 32), np.uint8)
    for low, wraps in ((-127, False), (-128, True)):
        w = np.full((32, 2), low, np.int8)
        assert (wrapping_pairs(w) == 32) == wraps
        assert np.array_equal(arm_without_dot_product(x, w), x.astype(int) @ w) != wraps
    apart = np.zeros((32, 1), np.int8)
    apart[[0, 1, 7]] = -128  # no two of them 8 apart
    assert wrapping_pairs(apart) == 0


def test_this_cpu_is_one_of_those_that_were_modelled(tmp_path):
    """ONNX Runtime's kernel, whichever it is here, gives one of three answers to the bit."""
    w = int8(304, 24)
    w[:16] = 127
    w[16:48, :12] = -128
    x = np.random.default_rng(0).integers(0, 256, (6, 304)).astype(np.uint8)
    x[0], x[1] = 255, 0
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"])]
    path = save(
        tmp_path / "m.onnx", nodes, [value("x", ("M", 304), TensorProto.UINT8)],
        [value("y", ("M", 24), TensorProto.INT32)], [numpy_helper.from_array(w, "w")],
    )  # fmt: skip
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answers = [x.astype(int) @ w, x86_without_vnni(x, w), arm_without_dot_product(x, w)]
    assert not np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])
    for rows in (slice(0, 1), slice(0, 6)):  # one row has a kernel of its own
        (y,) = session.run(None, {"x": x[rows]})
        assert any(np.array_equal(y, answer[rows]) for answer in answers)


FULL, SEVEN = int8(16, 3), int8(16, 3, low=-64, high=64)
PAIRS = saturating_pairs(FULL)


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("DynamicQuantizeMatMul", ["x", "w", "s"]),
        ("MatMulInteger", ["x", "w"]),
        ("MatMulIntegerToFloat", ["x", "w", "s", "s", "u"]),
        ("QAttention", ["x", "w", "b", "s", "s", "", "u"]),
        ("QGemm", ["x", "s", "u", "w", "s", "z"]),
        ("QLinearMatMul", ["x", "s", "u", "w", "s", "z", "s", "u"]),
    ],
)
def test_every_product_of_integers_is_looked_at(tmp_path, operator, inputs):
    others = [("s", np.float32(0.1)), ("u", np.uint8(3)), ("z", np.int8(0)),
              ("b", np.zeros(3, np.float32))]  # fmt: skip
    assert found(product(tmp_path, operator, inputs, [("w", FULL), *others])) == {SATURATES: PAIRS}
    assert found(product(tmp_path, operator, inputs, [("w", SEVEN), *others])) == {}
    unsigned = (FULL.astype(int) + 128).astype(np.uint8)  # u8 x u8 has an exact kernel
    assert found(product(tmp_path, operator, inputs, [("w", unsigned), *others])) == {}


def test_signed_activations_meet_kernels_that_do_not_saturate(tmp_path):
    inputs, weights = ["x", "w", "z"], [("w", FULL), ("z", np.int8(0))]
    assert found(product(tmp_path, "MatMulInteger", inputs, weights)) == {}
    low = np.full((16, 3), -128, np.int8)
    model = product(tmp_path, "MatMulInteger", inputs, [("w", low), weights[1]])
    assert found(model) == {WRAPS: 8 * 3}


def test_gemm_may_hold_its_weights_the_other_way_round(tmp_path):
    inputs = ["x", "s", "u", "w", "s", "z"]
    others = [("s", np.float32(0.1)), ("u", np.uint8(3)), ("z", np.int8(0))]
    model = product(tmp_path, "QGemm", inputs, [("w", FULL.T), *others], transB=1)
    assert found(model) == {SATURATES: PAIRS}


def test_both_weights_of_an_lstm_are_counted(tmp_path):
    w, r = int8(1, 6, 16), int8(1, 4, 16, seed=1)
    inputs = ["x", "w", "r", "", "", "", "", "", "s", "z", "s", "z"]
    others = [("s", np.float32([0.1])), ("z", np.int8([0]))]
    model = product(
        tmp_path, "DynamicQuantizeLSTM", inputs, [("w", w), ("r", r), *others], hidden_size=4
    )
    assert found(model) == {SATURATES: saturating_pairs(w) + saturating_pairs(r)}


@pytest.mark.parametrize(("level", "rounds"), [(0, False), (1, False), (4, True)])
def test_blocks_round_activations_at_level_4_alone(tmp_path, level, rounds):
    packed = np.zeros((3, 1, 8), np.uint8)
    model = product(
        tmp_path, "MatMulNBits", ["x", "w", "s"], [("w", packed), ("s", np.ones(3, np.float32))],
        K=16, N=3, bits=4, block_size=16, accuracy_level=level,
    )  # fmt: skip
    assert found(model) == ({ROUNDS: 0} if rounds else {})


def test_a_convolution_is_said_not_to_be_modelled(tmp_path):
    model = product(tmp_path, "ConvInteger", ["x", "w"], [("w", int8(2, 3, 5))])
    assert found(model) == {CONVOLVES: 0}
    model = product(tmp_path, "ConvInteger", ["x", "w"], [("w", int8(2, 3, 5, low=-64, high=64))])
    assert found(model) == {}


def between_scales(tmp_path, zero_point, *, scaled=True):
    """A float product as static quantization leaves it, its activations reshaped on the way."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "u"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "u"], ["d"]),
        helper.make_node("Reshape", ["d" if scaled else "x", "shape"], ["flat"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["real"]),
        helper.make_node("MatMul", ["flat", "real"], ["y"], "product"),
    ]
    constants = {"w": FULL, "s": np.float32(0.1), "u": zero_point, "z": np.int8(0),
                 "shape": np.int64([-1, 16])}  # fmt: skip
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    inputs, outputs = [value("x", ("N", 4, 4))], [value("y", ("N", 3))]
    return onnx.load(save(tmp_path / "m.onnx", nodes, inputs, outputs, held))


def test_products_between_scales_run_in_integers(tmp_path):
    """ONNX Runtime makes signed activations unsigned on x86, so these saturate as well."""
    assert found(between_scales(tmp_path, np.uint8(128))) == {SATURATES: PAIRS}
    assert found(between_scales(tmp_path, np.int8(0))) == {SATURATES: PAIRS}
    assert found(between_scales(tmp_path, np.uint8(128), scaled=False)) == {}


def test_weights_of_a_graph_around_are_seen_from_within(tmp_path):
    then, other = (
        helper.make_graph(
            [helper.make_node("MatMulInteger", ["x", "w"], [name], f"inside_{name}")],
            name, [], [value(name, None, TensorProto.INT32)],
        )
        for name in ("then", "other")
    )  # fmt: skip
    held = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(FULL, "w"))
    nodes = [held, helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    inputs = [value("x", (1, 16), TensorProto.UINT8), value("c", (), TensorProto.BOOL)]
    outputs = [value("y", (1, 3), TensorProto.INT32)]
    names = [item.node for item in dependences(
        onnx.load(save(tmp_path / "m.onnx", nodes, inputs, outputs))
    )]  # fmt: skip
    assert sorted(names) == ["inside_other", "inside_then"]


def test_a_summary_names_the_first_nodes_and_adds_the_pairs(tmp_path):
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], [f"y{i}"], f"n{i}") for i in range(4)]
    outputs = [value(f"y{i}", None, TensorProto.INT32) for i in range(4)]
    held = [numpy_helper.from_array(FULL, "w")]
    inputs = [value("x", None, TensorProto.UINT8)]
    reasons = dependences(onnx.load(save(tmp_path / "m.onnx", nodes, inputs, outputs, held)))
    expected = f"4 nodes (n0, n1, n2 …), {4 * PAIRS} pairs of weights: {SATURATES}"
    assert summary(reasons) == expected
