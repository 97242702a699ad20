"""A decoder against the formulas it follows, and its graphs against its whole sequence."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from export.small import Loop

from edgeseq.contract import Frame, Output
from edgeseq.export import build_graph
from edgeseq.models import SequenceModel
from edgeseq.models.decoder import DecoderSpec

WINDOW, WIDTH = 6, 16
LETTERS = tuple("abcdefghijk")
FRAME = Frame(("letter",), ("token",), 25.0, vocabulary=LETTERS)
OUTPUTS = {"tied": LETTERS, "untied": ("vowel", "consonant", "neither")}
SPEC = DecoderSpec(WIDTH, 20, layers=2, heads=2, window=WINDOW)


def model_of(labels, spec=SPEC):
    torch.manual_seed(0)
    model = SequenceModel(spec, 1, len(labels), vocabulary=len(LETTERS)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # livelier than what training starts from
            parameter.mul_(1.5).add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.fixture(params=OUTPUTS)
def labels(request):
    return OUTPUTS[request.param]


def tokens(streams, length):
    drawn = np.random.default_rng(0).integers(0, len(LETTERS), (streams, length, 1))
    return drawn.astype(np.float32)


def test_counts_its_parameters(labels):
    model = model_of(labels)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == SPEC.parameters(len(LETTERS), len(labels))
    if labels == LETTERS:
        block = 4 * WIDTH**2 + 2 * WIDTH * 20 + 4 * WIDTH
        assert counted == 11 * WIDTH + 2 * block + 2 * WIDTH


def test_without_blocks_it_is_the_product_of_two_rows():
    """Blocks that add nothing: logits are those of the normalised row, times every row."""
    model = model_of(LETTERS)
    with torch.no_grad():
        for block in model.body.blocks:
            block.attention.out.weight.zero_()
            block.down.weight.zero_()
        model.body.norm.weight.fill_(1)
        model.body.norm.bias.zero_()
    table = model.body.head.weight.detach().numpy().astype(np.float64)
    row = table[7] * math.sqrt(WIDTH)
    expected = table @ ((row - row.mean()) / np.sqrt(row.var() + 1e-5))
    with torch.inference_mode():
        logits = model(torch.full((1, 1, 1), 7.0))[0, 0].numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


WAYS = {
    "any chunk": {},
    "one frame": {"frames": 1, "newest": True},
    "recompute": {"form": "recompute"},
    "growing cache": {"form": "growing-cache"},
    "sequence": {"form": "sequence"},
}


@pytest.mark.parametrize("way", WAYS)
def test_its_graphs_say_what_the_whole_sequence_says(labels, way):
    model, frames = model_of(labels), tokens(3, 5 * WINDOW + 2)
    output = Output(kind="logits", labels=labels)
    loop = Loop(build_graph(model, FRAME, output, producer="test", recipe="test", **WAYS[way]))
    total = frames.shape[1]
    cuts = {"sequence": [total], "one frame": [1] * total}
    outputs, state = loop.run(frames, cuts.get(way, [1, 2 * WINDOW + 1, 5, 1, 1, 11]))
    with torch.inference_mode():
        whole = model(torch.from_numpy(frames)).numpy()
        states = model.final_state(torch.from_numpy(frames), loop.contract.form)
    np.testing.assert_allclose(outputs, whole, rtol=0, atol=1e-5)
    assert state.keys() == ({} if way == "sequence" else states).keys()
    for name, value in state.items():
        np.testing.assert_allclose(value, states[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("positions", ["learned", "relative"])
def test_knows_order_in_the_transformers_other_ways(positions):
    spec = replace(SPEC, positions=positions)
    model, frames = model_of(LETTERS, spec), tokens(2, 5 * WINDOW)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == spec.parameters(len(LETTERS), len(LETTERS))
    output = Output(kind="logits", labels=LETTERS)
    loop = Loop(build_graph(model, FRAME, output, producer="test", recipe="test"))
    outputs, _ = loop.run(frames, [1, 2 * WINDOW + 1, 3 * WINDOW - 2])
    with torch.inference_mode():
        whole = model(torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(outputs, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", ["recompute", "growing-cache"])
@pytest.mark.parametrize("kind", ["learned", "relative"])
def test_every_kind_of_positions_and_form(kind, form):
    model, frames = model_of(LETTERS, dataclasses.replace(SPEC, positions=kind)), tokens(2, 40)
    output = Output(kind="logits", labels=LETTERS)
    with torch.inference_mode():
        whole = model(torch.from_numpy(frames)).numpy()
        states = model.final_state(torch.from_numpy(frames), form)
    for how in ({"form": form}, {}, {"frames": 1, "newest": True}):
        graph = build_graph(model, FRAME, output, producer="test", recipe="test", **how)
        cuts = [1] * 40 if "frames" in how else [1, 2, 1, 17, 19]
        outputs, state = Loop(graph).run(frames, cuts)
        np.testing.assert_allclose(outputs, whole, rtol=0, atol=1e-5)
        if "form" in how:
            assert state.keys() == states.keys()
            for name, value in state.items():
                np.testing.assert_allclose(value, states[name], rtol=0, atol=1e-5)


def test_the_file_holds_the_table_once():
    output = Output(kind="logits", labels=LETTERS)
    graph = build_graph(model_of(LETTERS), FRAME, output, producer="test", recipe="test").graph
    tables = [item.name for item in graph.initializer if len(LETTERS) in item.dims]
    assert tables == ["head"]
    assert {node.op_type for node in graph.node if "head" in node.input} == {"Transpose", "MatMul"}
    head = next(item for item in graph.initializer if item.name == "head")
    assert onnx.numpy_helper.to_array(head).shape == (WIDTH, len(LETTERS))
