"""Calibration sees what an app's graph computes: its state rolls from frame to frame."""

import numpy as np
import onnx
import pytest
from export.small import Loop, frames_of, graph_of, model_of, whole

from edgeseq.errors import ModelError, UsageError
from edgeseq.quantize import calibrate
from edgeseq.quantize.apart import take_apart
from edgeseq.quantize.calibrate import watch
from edgeseq.quantize.products import products

FAMILIES = ("lstm", "gru", "transformer")
LENGTHS = (40, 1, 300)


def streams_of(name, lengths=LENGTHS):
    return [frames_of(model_of(name), 1, size, seed)[0] for seed, size in enumerate(lengths)]


def states_of(name, frames):
    """All states before each frame, by the plain loop of the export tests."""
    loop, seen = Loop(graph_of(name)), []
    state = loop.fresh(1)
    for frame in frames:
        seen.append(state)
        _, state = loop.call(frame[None, None], state)
    return seen


def extent(histogram):
    return histogram.low, histogram.high


def extent_of(values):
    return pytest.approx((min(values.min(), 0), max(values.max(), 0)), rel=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_outputs_are_those_of_the_whole_sequence(name):
    """PyTorch's forward knows no steps: were a state not fed back, or late, this would differ."""
    streams = streams_of(name)
    outputs = np.concatenate([whole(model_of(name), frames[None])[0] for frames in streams])
    seen = watch(graph_of(name), ["logits"], streams)["logits"]
    assert extent(seen) == extent_of(outputs)
    assert seen.total == outputs.size
    zero = watch(graph_of(name), ["logits"], streams, state="zero")["logits"]
    assert extent(zero) != extent_of(outputs)


def test_states_are_seen_before_each_frame_and_every_stream_starts_anew():
    streams = streams_of("lstm")
    before = [state["h1"] for frames in streams for state in states_of("lstm", frames)]
    seen = watch(graph_of("lstm"), ["h1"], streams)["h1"]
    assert extent(seen) == extent_of(np.stack(before))
    assert seen.zeros == len(LENGTHS) * 6


def test_zero_state_sees_no_state_at_all():
    seen = watch(graph_of("lstm"), ["h0", "c1", "next_h0"], streams_of("lstm"), state="zero")
    assert extent(seen["h0"]) == extent(seen["c1"]) == (0, 0)
    rolling = watch(graph_of("lstm"), ["next_h0"], streams_of("lstm"))["next_h0"]
    assert rolling.high > seen["next_h0"].high > 0


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_what_a_loop_multiplies_is_seen_from_outside(name):
    """The any-chunk graph multiplies the hidden state inside a Scan; one frame a call shows it."""
    looped, straight = (take_apart(graph_of(name, **how)) for how in ({}, {"frames": 1}))
    found = []
    for graph in (looped, straight):
        parts = products(graph)
        seen = watch(graph, [part.seen for part in parts], streams_of(name))
        found.append({part.weight: extent(seen[part.seen]) for part in parts})
    assert any(part.seen != part.x for part in products(looped))
    assert found[0].keys() == found[1].keys() == {"W0", "R0", "W1", "R1", "head"}
    for weight, ends in found[0].items():
        assert ends == pytest.approx(found[1][weight], rel=1e-5)
        assert ends != (0, 0)
    before = [state["h0"] for frames in streams_of(name) for state in states_of(name, frames)]
    assert found[0]["R0"] == extent_of(np.stack(before))


def test_what_a_branch_multiplies_is_seen_in_calls_that_take_it():
    """The sequence graph has no branches: there the encoder runs once a stream, too."""
    found, counts = [], []
    for graph in (graph_of("encoder-decoder"), graph_of("encoder-decoder", form="sequence")):
        parts = products(graph)
        seen = watch(graph, [part.seen for part in parts], streams_of("encoder-decoder", (40, 9)))
        found.append({part.weight: extent(seen[part.seen]) for part in parts})
        counts.append({part.weight: seen[part.seen].total for part in parts})
    assert found[0].keys() == found[1].keys()
    assert {"encoder.0.attention.qkv", "encoder.0.down", "crosses.1.kv"} < found[0].keys()
    assert counts[0] == counts[1]
    assert counts[0]["crosses.1.kv"] == 2 * 5 * 16, "streams, frames of the source, width"
    for weight, ends in found[0].items():
        assert ends == pytest.approx(found[1][weight], rel=1e-4)
        assert ends != (0, 0)


def test_a_branch_that_no_stream_reaches_cannot_be_calibrated():
    graph = graph_of("encoder-decoder")
    hidden = [part.seen for part in products(graph) if part.weight == "crosses.0.kv"]
    with pytest.raises(UsageError, match="no stream is long enough"):
        watch(graph, hidden, streams_of("encoder-decoder", (4,)))
    assert watch(graph, hidden, streams_of("encoder-decoder", (5,)))[hidden[0]].total == 80


def test_fixed_chunks_and_rows_are_fed_as_the_contract_says():
    graph, frames = graph_of("lstm", frames=5, streams=3), streams_of("lstm", (52,))
    seen = watch(graph, ["frames", "h0"], frames)
    assert seen["frames"].total == 10 * 5 * 3 * 4
    assert extent(seen["frames"]) == extent_of(frames[0][:50])
    before = [state["h0"] for state in states_of("lstm", frames[0])][:50:5]
    assert extent(seen["h0"]) == extent_of(np.stack(before))


def test_sequences_are_one_call_each():
    frames = streams_of("transformer", (30,))
    seen = watch(graph_of("transformer", form="sequence"), ["logits"], frames)["logits"]
    assert extent(seen) == extent_of(whole(model_of("transformer"), frames[0][None]))


def test_again_gives_the_same(monkeypatch):
    first = watch(graph_of("gru"), ["logits", "h0"], streams_of("gru"))
    monkeypatch.setattr(calibrate, "_BATCH", 7)
    again = watch(graph_of("gru"), ["logits", "h0"], streams_of("gru"))
    for name, histogram in first.items():
        np.testing.assert_array_equal(again[name].counts, histogram.counts)
        assert extent(again[name]) == extent(histogram)


def test_the_graph_stays_as_it_was():
    graph = graph_of("lstm")
    before = graph.SerializeToString()
    watch(graph, ["next_h0", "frames"], streams_of("lstm", (3,)))
    assert graph.SerializeToString() == before


def test_what_cannot_be_calibrated_on_is_one_line():
    graph = graph_of("lstm")
    with pytest.raises(UsageError, match=r"stream 1 has shape \(4, 3\); this model takes \(T, 4\)"):
        watch(graph, ["h0"], [np.zeros((4, 4), np.float32), np.zeros((4, 3), np.float32)])
    for none in ([], [np.zeros((0, 4), np.float32)]):
        with pytest.raises(UsageError, match="no stream is long enough"):
            watch(graph, ["h0"], none)
    broken = streams_of("lstm", (9,))
    broken[0][5, 2] = np.nan
    with pytest.raises(UsageError, match="stream 0 holds a value that is not finite in frame 5"):
        watch(graph, ["next_h0"], broken)
    divided = onnx.ModelProto()
    divided.CopyFrom(graph)
    (std,) = (item for item in divided.graph.initializer if item.name == "input_std")
    std.CopyFrom(onnx.numpy_helper.from_array(np.zeros(4, np.float32), "input_std"))
    with pytest.raises(ModelError, match="Div_1 is not finite"):
        watch(divided, ["Div_1"], streams_of("lstm", (2,)))
    with pytest.raises(ModelError, match=r"cannot load the graph to calibrate: .*nowhere"):
        watch(graph, ["nowhere"], streams_of("lstm", (2,)))
    bare = onnx.ModelProto()
    bare.CopyFrom(graph)
    del bare.metadata_props[:]
    with pytest.raises(ModelError, match="a graph without a contract cannot be calibrated"):
        watch(bare, ["h0"], streams_of("lstm", (2,)))
