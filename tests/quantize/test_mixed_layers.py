"""Layers of several kinds, and an LSTM that projects: every recipe quantizes every weight."""

import numpy as np
import onnx
import pytest
from export.small import Loop, frames_of, graph_of, model_of, whole

from edgeseq.quantize.apart import take_apart
from edgeseq.quantize.calibrate import watch
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.products import products, weight_names
from edgeseq.recipes import load_recipe

CUTS = (1, 1, 7, 1, 40)
ONES = (1,) * 50
GRAPHS = {"any chunk": ({}, CUTS), "one frame": ({"frames": 1, "newest": True}, ONES)}
PARTS = ("attention.qkv", "attention.out", "up", "down")
NAMES = {
    "hybrid": (
        "embed",
        *("W0", "R0", *(f"blocks.0.{part}" for part in PARTS)),
        *("W1", "R1", *(f"blocks.1.{part}" for part in PARTS)),
        "head",
    ),
    "lstm-projected": ("W0", "R0", "P0", "W1", "R1", "P1", "head"),
}
NOISE = {
    "int8-dynamic": 0.06,
    "int8-per-tensor": 0.08,
    "int8-static": 0.08,
    "int8-weights": 0.03,
    "int4-weights": 0.4,
    "mixed": 0.35,
}
"""RMS of the error over that of the outputs, of random weights, which are harder than trained."""


@pytest.mark.parametrize("case", GRAPHS)
@pytest.mark.parametrize("name", NAMES)
def test_weights_have_names_of_their_own_also_in_parts(name, case):
    graph = graph_of(name, **GRAPHS[case][0])
    assert weight_names(graph) == NAMES[name]
    found = products(take_apart(graph))
    assert tuple(product.weight for product in found) == NAMES[name]
    assert all(product.seen for product in found), "each can be calibrated"


@pytest.mark.parametrize("case", GRAPHS)
@pytest.mark.parametrize("recipe", NOISE)
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_quantizes_every_weight(name, recipe, case, tmp_path):
    options, cuts = GRAPHS[case]
    model = model_of(name)
    frames, streams = frames_of(model, 2, sum(cuts)), [*frames_of(model, 3, 100, seed=1)]
    onnx.save(graph_of(name, **options), tmp_path / "fp32.onnx")
    target = tmp_path / "quantized.onnx"
    census = quantize_file(tmp_path / "fp32.onnx", target, load_recipe(recipe), streams=streams)
    assert census.int8_weights == 1
    assert not census.float_nodes
    outputs, _ = Loop(onnx.load(target)).run(frames, cuts)
    expected = whole(model, frames)
    noise = np.sqrt(np.mean(np.square(outputs - expected)) / np.mean(np.square(expected)))
    assert 1e-4 < noise < NOISE[recipe]


def test_what_a_loop_makes_is_seen_as_without_a_loop():
    """What a projection multiplies is no state: it has to be let out of the loop."""
    streams, ranges = [*frames_of(model_of("lstm-projected"), 2, 60)], []
    for options, _ in GRAPHS.values():
        graph = graph_of("lstm-projected", **options)
        before = graph.SerializeToString()
        wanted = {product.weight: product.seen for product in products(graph)}
        found = watch(graph, list(wanted.values()), streams)
        assert graph.SerializeToString() == before
        ranges.append([(found[name].low, found[name].high) for name in wanted.values()])
        assert [found[wanted[name]].total for name in ("P0", "P1")] == [2 * 60 * 9] * 2
    np.testing.assert_allclose(*ranges, rtol=1e-4, atol=1e-5)
