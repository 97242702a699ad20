"""Every way of being wrong that we know of is caught, and by the promise that names it."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from check.rewrite import rewrite
from onnx import helper, numpy_helper

from edgeseq.check import check_bundle
from edgeseq.errors import StreamError
from edgeseq.runtime import StreamSession


def initializer(model, name):
    return next(item for item in model.graph.initializer if item.name == name)


def set_constant(model, name, change):
    tensor = initializer(model, name)
    old = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(old), old.dtype), name))


def producer(model, value):
    return next(node for node in model.graph.node if value in node.output)


def rename_output(model, old, new):
    """Let the node that makes `old` make `new`, and whoever reads `old` read `new`."""
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]


def replace_output(model, name, kind, *inputs, **attributes):
    """Compute the graph output `name` by another node."""
    rename_output(model, name, f"{name}_right")
    model.graph.node.append(helper.make_node(kind, inputs, [name], **attributes))


def corrupt_weight(model):
    set_constant(model, "head", lambda w: w + 0.01 * np.eye(*w.shape))


def wrong_mean(model):
    set_constant(model, "input_mean", lambda mean: mean * 1.01)


def swap_states(model):
    rename_output(model, "next_h0", "swapping")
    rename_output(model, "next_c0", "next_h0")
    rename_output(model, "swapping", "next_c0")


def forget_state(model):
    replace_output(model, "next_h1", "Sub", "h1", "h1")


def freeze_position(model):
    replace_output(model, "new_cached_position", "Identity", "cached_position")


def shorter_ring(model):
    set_constant(model, "slots", lambda slots: slots - 1)


def grow_for_ever(model):
    where = producer(model, "new_cached_position")
    replace_output(model, "new_cached_position", "Identity", where.input[1])


def overwrite_before_reading(model):
    """Chunks read the ring after they wrote it: right for one frame, wrong for two."""
    for concat in write_without_waiting(model):
        concat.input[0] = concat.input[0].replace("past_key_values.", "present.")
    onnx.checker.check_model(model)


def write_without_waiting(model):
    """Let every ring be written from the chunk itself, first of all; return its other readers."""
    nodes = list(model.graph.node)
    readers = [n for n in nodes if n.op_type == "Concat" and n.input[0].startswith("past_key_")]
    for reader in readers:
        cut = next(n for n in nodes if n.op_type == "Slice" and n.input[0] == reader.output[0])
        write = next(n for n in nodes if n.op_type == "ScatterND" and n.input[2] == cut.output[0])
        start = f"{cut.output[0]}_start"  # behind the ring began at max(T, W); less W in the chunk
        sub = helper.make_node("Sub", [cut.input[1], "least"], [start])
        cut.input[:] = [reader.input[1], start, *cut.input[2:]]
        for node in (cut, write):
            nodes.remove(node)
        at = nodes.index(reader)
        nodes[at:at] = [sub, cut, write]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return [node for node in model.graph.node if node.output[0] in {r.output[0] for r in readers}]


def read_after_writing(model):
    """Read the old ring after the new one was written: wrong only where both are one memory."""
    nodes = []
    concats = {node.output[0] for node in write_without_waiting(model)}
    for node in model.graph.node:
        if node.output[0] in concats:
            written, new = node.input[0].replace("past_key_values.", "present."), node.input[1]
            nodes += [
                helper.make_node("ReduceMax", [written], [f"{new}_max"], axes=[0, 1, 2, 3]),
                helper.make_node("Sub", [f"{new}_max"] * 2, [f"{new}_zero"]),
                helper.make_node("Add", [new, f"{new}_zero"], [f"{new}_waited"]),
            ]
            node.input[1] = f"{new}_waited"
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def add_of_mean(axis):
    """Add to every output how far it is from the mean over an axis: nothing where that is 1."""

    def change(model):
        rename_output(model, "logits", "own")
        model.graph.node.extend(
            [
                helper.make_node("ReduceMean", ["own"], ["mean"], axes=[axis], keepdims=1),
                helper.make_node("Sub", ["own", "mean"], ["apart"]),
                helper.make_node("Add", ["own", "apart"], ["logits"]),
            ]
        )

    return change


def bake_reshape(model):
    """What a tracing exporter leaves: right for the one stream that it saw."""
    rename_output(model, "logits", "own")
    shape = numpy_helper.from_array(np.array([1, -1, 3]), "baked")
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("Reshape", ["own", "baked"], ["logits"]))


def drop_output(model):
    rename_output(model, "next_h0", "next_hidden")
    for output in model.graph.output:
        if output.name == "next_h0":
            output.name = "next_hidden"


def bake_streams(model):
    for value in [*model.graph.input, *model.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == "N":
                dim.dim_value = 1


def double_counter(model):
    """Declare the position as float32, cast at both ends."""
    inside = "cached_position_int"
    for node in model.graph.node:
        node.input[:] = [inside if name == "cached_position" else name for name in node.input]
    cast = helper.make_node("Cast", ["cached_position"], [inside], to=onnx.TensorProto.INT64)
    model.graph.node.insert(0, cast)
    replace_output(
        model,
        "new_cached_position",
        "Cast",
        "new_cached_position_right",
        to=onnx.TensorProto.FLOAT,
    )
    for value in [*model.graph.input, *model.graph.output]:
        if value.name.endswith("cached_position"):
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def keep_older_frames(model):
    """Keep the frames before the call's last: the window is one off."""
    (keep,) = (node for node in model.graph.node if "new_cached_frames" in node.output)
    set_constant(model, keep.input[1], lambda start: start - 1)
    set_constant(model, keep.input[2], lambda end: -np.ones_like(end))


FAULTS = {
    "a weight is off": ("lstm", corrupt_weight, "values"),
    "normalised otherwise": ("lstm", wrong_mean, "values"),
    "two states swapped": ("lstm", swap_states, "values"),
    "a state is not fed back": ("lstm", forget_state, "values"),
    "the position stands still": ("transformer", freeze_position, "values"),
    "the ring is one slot short": ("transformer", shorter_ring, "values"),
    "keys overwritten before they are read": ("transformer", overwrite_before_reading, "chunks"),
    "the old ring is read after the write": ("transformer", read_after_writing, "bound memory"),
    "the window is one frame off": ("cnn", keep_older_frames, "values"),
    "frames of a chunk see each other": ("lstm", add_of_mean(1), "chunks"),
    "streams see each other": ("lstm", add_of_mean(0), "streams"),
    "a Reshape for one stream": ("lstm", bake_reshape, "shapes"),
    "the counter never wraps": ("transformer", grow_for_ever, "final state"),
    "an output has another name": ("lstm", drop_output, "names"),
    "the number of streams is baked": ("lstm", bake_streams, "shapes"),
    "a counter in float": ("transformer", double_counter, "dtypes"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_graph_breaks_the_promise_that_names_it(fault, bundle_of, copy_of):
    family, change, promise = FAULTS[fault]
    report = check_bundle(rewrite(copy_of(bundle_of[family]), change), ["fp32"])
    assert [finding.promise for _, finding in report.broken][:1] == [promise]


def test_a_growing_counter_breaks_endless_though_every_value_is_right(bundle_of, copy_of):
    report = check_bundle(rewrite(copy_of(bundle_of["transformer"]), grow_for_ever), ["fp32"])
    found = {f.promise: f for f in report.variants["fp32"]}
    assert found["values"].status == found["chunks"].status == "kept"
    assert (found["endless"].measured, found["endless"].limit) == (128, 64)


def test_a_wrong_interface_stops_the_check(bundle_of, copy_of):
    report = check_bundle(rewrite(copy_of(bundle_of["lstm"]), drop_output))
    (_, finding), *more = report.broken
    assert finding.note == "no output next_h0; output next_hidden is unknown"
    assert not more
    rest = report.variants["fp32"][-11:]
    assert {(f.status, f.note) for f in rest} == {("not checked", '"names" is broken')}


def test_swapped_classes_in_the_manifest_break_the_contract(bundle_of, copy_of):
    def swap(contract):
        labels = tuple(reversed(contract.output.labels))
        return replace(contract, output=replace(contract.output, labels=labels))

    bundle = rewrite(copy_of(bundle_of["lstm"]), lambda _: None, contract=swap, manifest=False)
    (_, finding), *_ = check_bundle(bundle).broken
    assert finding.promise == "contract"
    assert finding.note.startswith("output: manifest says {'kind': 'logits'")


def test_a_wrong_initial_value_breaks_values(bundle_of, copy_of):
    def ones(contract):
        first, *rest = contract.states
        return replace(contract, states=(replace(first, initial=1.0), *rest))

    bundle = rewrite(copy_of(bundle_of["lstm"]), lambda _: None, contract=ones)
    (_, finding), *_ = check_bundle(bundle).broken
    assert (finding.promise, finding.where) == ("values", "frame 0")


def test_fp32_in_the_name_of_int8_breaks_the_census(int8_of, copy_of):
    bundle = copy_of(int8_of["lstm"])
    bundle.file("int8").write_bytes(bundle.file("fp32").read_bytes())
    bundle = rewrite(bundle, lambda _: None, variant="int8")
    assert [f.promise for _, f in check_bundle(bundle, ["int8"]).broken] == ["census"]


def test_integers_that_are_unpacked_break_the_census_with_the_reason(int8_of, copy_of):
    """int8 weights → DequantizeLinear → LSTM: small, called int8, and fp32 when it runs."""

    def store_as_integers(model):
        for name in ("W0", "R0"):
            weight = numpy_helper.to_array(initializer(model, name))
            scale = np.float32(np.abs(weight).max() / 127)
            model.graph.initializer.remove(initializer(model, name))
            parts = {f"{name}_int8": np.round(weight / scale).astype(np.int8), f"{name}_s": scale}
            model.graph.initializer.extend(
                numpy_helper.from_array(np.asarray(array), key) for key, array in parts.items()
            )
            model.graph.node.insert(0, helper.make_node("DequantizeLinear", list(parts), [name]))

    bundle = copy_of(int8_of["lstm"])
    bundle.file("int8").write_bytes(bundle.file("fp32").read_bytes())
    bundle = rewrite(bundle, store_as_integers, variant="int8")
    broken = {f.promise: f for _, f in check_bundle(bundle, ["int8"]).broken}
    assert "stored as integers, but DequantizeLinear feeds" in broken["census"].note
    assert broken["census"].where == "LSTM_3"
    assert broken["census"].measured == 1


def test_int8_that_changes_decisions_is_told(int8_of, copy_of):
    """Coarser by 64: what a bad calibration does."""

    def coarse(model):
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.int8 and array.size > 1:
                rounded = np.clip(np.round(array / 64) * 64, -64, 64).astype(np.int8)
                tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))

    bundle = rewrite(copy_of(int8_of["lstm"]), coarse, variant="int8")
    broken = [finding for _, finding in check_bundle(bundle, ["int8"]).broken]
    assert [finding.promise for finding in broken] == ["noise", "decisions"]
    assert broken[0].measured > 0.01


@pytest.mark.parametrize(
    ("method", "promise"), [("reset", "reset"), ("state", "snapshot"), ("run", "streams")]
)
def test_a_wrong_runtime_is_told_from_a_wrong_graph(method, promise, lstm_bundle, monkeypatch):
    if method == "reset":
        monkeypatch.setattr(StreamSession, "reset", lambda *_: None)
    elif method == "state":
        old = StreamSession.state
        monkeypatch.setattr(
            StreamSession, "state", old.setter(lambda self, v: old.fset(self, v | {"h0": v["c0"]}))
        )
    else:
        run = StreamSession.run
        monkeypatch.setattr(
            StreamSession, "run", lambda self, x: np.roll(run(self, x), x.ndim == 3, axis=0)
        )
    assert check_bundle(lstm_bundle).broken[0][1].promise == promise


def test_reading_after_the_write_is_right_where_memory_is_not_shared(bundle_of, copy_of):
    """So it is the memory that the fault above is about, and nothing but bound memory tells."""

    def in_turns(contract):
        states = tuple(replace(state, in_place=False) for state in contract.states)
        return replace(contract, states=states)

    bundle = copy_of(bundle_of["transformer"])
    assert not check_bundle(rewrite(bundle, read_after_writing, contract=in_turns)).broken


def test_bound_memory_speaks_of_the_calls_that_differ(bundle_of, copy_of):
    report = check_bundle(rewrite(copy_of(bundle_of["transformer"]), read_after_writing), ["fp32"])
    (_, finding), *more = report.broken
    assert not more, "frame by frame it is right, and so is every copy"
    assert finding.note.startswith("calls of 17: frame ")


def test_a_graph_that_cannot_run_is_broken_not_a_crash(lstm_bundle, monkeypatch):
    def fails(*_):
        raise StreamError("ONNX Runtime failed: no")

    monkeypatch.setattr(StreamSession, "step", fails)
    broken = {f.promise: f.note for _, f in check_bundle(lstm_bundle).broken}
    assert broken["values"] == "ONNX Runtime failed: no"
