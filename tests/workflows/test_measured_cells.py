"""The cells that measure, at toy sizes: what they count, what they say, and how little it takes."""

import json

import pytest

from edgeseq.bench.memory import Memory
from edgeseq.bench.stats import Latency, Ratio, Spread
from edgeseq.errors import ConfigError, PromiseError, UsageError
from edgeseq.tasks import load_task
from edgeseq.workflows.claims import machine, streaming
from edgeseq.workflows.claims.measured import interval, scaled
from edgeseq.workflows.claims.untrained import untrained

SMALL = {"params": 2000, "task": "recall", "rounds": 1, "block_s": 0.0, "peak_size": 16, "calls": 1}
MODELS = {"params": 2000, "task": "har"}
CONDITIONS = {"core", "seconds", "load", "load_after", "stolen", "preempted"}


def small(result):
    """Say whether `result` is JSON, and small enough to be kept with thousands of others."""
    text = json.dumps(result)
    return json.loads(text) == result and len(text) < 2000


def test_the_roofline_of_this_core(tmp_path):
    found = machine.roofline({"rounds": 1, "products": [16, 32], "kib": [16, 64]}, tmp_path)
    assert small(found)
    assert [row["kib"] for row in found["bandwidths"]] == [16, 64]
    assert {row["dtype"] for row in found["products"]} == {"float32", "int8"}
    knees = {level: row["knee"] * row["gbs"] for level, row in found["levels"].items()}
    assert list(knees.values()) == [pytest.approx(found["peak_gflops"][0], rel=0.01)] * len(knees)
    assert found["conditions"].keys() == CONDITIONS
    with pytest.raises(ConfigError, match="round: unknown key; did you mean"):
        machine.roofline({"round": 1}, tmp_path)


def hand_count(batch, length, hidden, inputs, outputs):
    """Count an LSTM of two layers."""
    macs = 4 * hidden * (inputs + hidden) + 8 * hidden * hidden + hidden * outputs
    return 2 * macs * batch * length


@pytest.mark.parametrize("what", ["inference", "training"])
def test_an_lstm_is_counted_by_hand(what, tmp_path):
    settings = {**SMALL, **MODELS, "family": "lstm", "batch": 2, "length": 3, "what": what}
    found = machine.achieved(settings, tmp_path)
    made, task = untrained(settings), load_task("har")
    hidden = made.model.spec.hidden
    once = hand_count(2, 3, hidden, task.frame.size, len(task.output.labels))
    assert found["flops"] == once * (3 if what == "training" else 1)
    assert found["parameters"] == made.parameters <= 2000
    assert (found["frames"], found["rounds"]) == (6, 1)
    assert found["intensity"] == pytest.approx(found["flops"] / found["bytes"], rel=1e-3)
    assert found["share"][0] == pytest.approx(
        found["gflops"][0] / found["peak_gflops"][0], rel=0.01
    )
    assert found["us_per_frame"][0] == pytest.approx(found["seconds"][0] / 6 * 1e6, rel=0.01)
    assert small(found)
    assert found["conditions"].keys() == CONDITIONS
    if what == "inference":
        assert found["form"] == "sequence"
        assert {"LSTM", "MatMul"} <= found["operators"].keys()
        assert sum(found["operators"].values()) + found["call"] == pytest.approx(1, abs=0.01)


def test_one_frame_is_a_step_and_tokens_are_frames_too(tmp_path):
    settings = {**SMALL, "task": "text", "params": 8000, "family": "transformer", "length": 1}
    found = machine.achieved({**settings, "batch": 3, "what": "inference"}, tmp_path)
    assert (found["form"], found["frames"]) == ("step", 3)
    sizes = {"sizes": {"window": 7}}
    shorter = machine.achieved({**settings, **sizes, "batch": 3, "what": "inference"}, tmp_path)
    assert shorter["flops"] < found["flops"]  # a ring of fewer frames
    assert untrained(settings | sizes).model.spec.window == 7


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_a_step_of_training_is_timed(family, tmp_path):
    settings = {**SMALL, "family": family, "batch": 2, "length": 4}
    found = machine.train_speed({**settings, "rounds": 2}, tmp_path)
    assert (found["frames"], found["rounds"]) == (8, 2)
    assert found["us_per_frame"][0] == pytest.approx(found["seconds"][0] / 8 * 1e6, rel=0.01)
    assert found["seconds"][1] <= found["seconds"][0] <= found["seconds"][2]


def test_without_cuda_nothing_is_invented(tmp_path, monkeypatch):
    import onnxruntime
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    settings = {**SMALL, "family": "lstm", "batch": 1, "length": 2, "provider": "cuda"}
    cells = [machine.train_speed(settings, tmp_path)]
    asked = ({**settings, "what": what} for what in ("inference", "training"))
    cells += [machine.achieved(each, tmp_path) for each in asked]
    for found in cells:
        assert found.keys() == {"not measured"}
        assert found["not measured"].startswith("no CUDA device: asked ")


@pytest.fixture(scope="module")
def latency(tmp_path_factory):
    settings = {
        "params": {"lstm": 2000, "transformer": 3000}, "task": "har", "window": 8,
        "positions": [1, 4, 12], "rounds": 1, "block": 4, "rate_hz": 500, "paced_s": 0.02,
        "parity_frames": 50,
    }  # fmt: skip
    return streaming.latency(settings, tmp_path_factory.mktemp("latency"))


def test_only_what_grows_grows_with_the_position(latency):
    states = {name: curve["state_kib"] for name, curve in latency["curves"].items()}
    assert list(states) == ["lstm", "ring", "growing", "recomputed"]
    for name in ("lstm", "ring"):
        assert len(set(states[name])) == 1
    for name in ("growing", "recomputed"):
        assert states[name] == pytest.approx([states[name][0] * n for n in (1, 4, 12)], abs=1e-2)
    assert all(len(curve["us"]) == 3 for curve in latency["curves"].values())
    assert all(min(curve["low"]) > 0 for curve in latency["curves"].values())


def test_both_are_compared_hot_and_paced_and_the_stream_is_the_sequence(latency):
    assert latency["hot_us"].keys() == {"lstm", "ring", "floor"}
    assert latency["hot_ratio"].keys() == {"ring"}
    assert latency["paced"].keys() == {"rate_hz", "lstm", "ring"}
    assert latency["paced"]["ring"]["frames"] == 10
    assert latency["parity"]["frames"] == 50
    assert 0 < latency["parity"]["relative_error"] < latency["parity"]["limit"]
    assert small(latency)


def test_a_stream_that_is_not_the_sequence_is_seen(tmp_path):
    """The parity can fail: another model's graph does not stream this one's answers."""
    from edgeseq.runtime import StreamModel

    settings = {"family": "transformer", **MODELS}
    other = untrained(settings | {"seed": 1}).write(tmp_path / "m.onnx", "step", frames=1)[0]
    asked = {"parity_frames": 20}
    found = streaming._parity(untrained(settings), StreamModel.load(other), asked)
    assert found["relative_error"] > 100 * found["limit"]


def test_memory_by_length(tmp_path, monkeypatch):
    asked = {}

    def measured(jobs, lengths, *, repeats):
        asked.update(forms=set(jobs), repeats=repeats)
        return {name: tuple(float(n) for n in lengths) for name in ("idle", *jobs)}

    monkeypatch.setattr(streaming, "measure_lengths", measured)
    settings = {**MODELS, "family": "transformer", "lengths": [5, 50], "repeats": 1}
    found = streaming.memory({**settings, "sizes": {"window": 6}}, tmp_path)
    made = untrained(settings)
    width, (_, _, growing) = made.model.spec.width, made.write(tmp_path / "m.onnx", "growing-cache")
    assert growing.state_bytes == 2 * 2 * 1 * width * 4  # after one frame
    assert asked == {"forms": {"step", "growing-cache", "sequence"}, "repeats": 1}
    assert found["state_bytes"] == {
        "step": [2 * 2 * 6 * width * 4 + 8] * 2,  # keys and values of two blocks, and the counter
        "growing-cache": [2 * 2 * 5 * width * 4, 2 * 2 * 50 * width * 4],
    }
    assert found["peak_mib"]["sequence"] == [5.0, 50.0] == found["idle_peak_mib"]
    streaming.memory({**settings, "family": "lstm"}, tmp_path)
    assert asked["forms"] == {"step", "sequence"}
    assert small(found)


EDGE = {**MODELS, "rate_hz": 500, "rounds": 1, "block": 4, "paced_s": 0.02, "processes": 0}


def test_the_edge_in_fp32_and_int8(tmp_path):
    found = streaming.edge({**EDGE, "family": "lstm"}, tmp_path)
    assert small(found)
    for name in ("fp32", "int8"):
        size = (tmp_path / f"{name}.onnx").stat().st_size
        assert found[name] == {"file_kib": round(size / 1024, 2)}
        assert found["paced"][name].keys() == {"us", "p99_us", "missed", "frames", "cpu_s_per_hour"}
    assert found["int8"]["file_kib"] < found["fp32"]["file_kib"]
    assert found["hot_us"].keys() == {"fp32", "int8", "floor"}
    assert found["hot_ratio"].keys() == {"int8"}


def test_what_cannot_be_int8_says_why(tmp_path, monkeypatch):
    def refused(*_):
        raise PromiseError("in name only")

    monkeypatch.setattr(streaming, "quantize_file", refused)
    found = streaming.edge({**EDGE, "family": "lstm"}, tmp_path)
    assert found["int8"] == {"not measured": "in name only"}
    assert found["hot_us"].keys() == {"fp32", "floor"}


def test_memory_of_fresh_processes_stands_beside_an_idle_one(tmp_path, monkeypatch):
    asked = {}

    def measured(jobs, *, repeats):
        asked.update({name: (job.source.name, job.steps, repeats) for name, job in jobs.items()})
        memory = Memory(
            65.0, 60.0, 32.0, 20.0, 64.0, 1.0, 0.5, 300.0, 4.0, steps=9, repeats=repeats
        )
        return dict.fromkeys(jobs, (None, memory))

    monkeypatch.setattr(streaming, "measure_fresh", measured)
    found = streaming.edge({**EDGE, "family": "lstm", "processes": 2, "steps": 9}, tmp_path)
    assert asked == {"fp32": ("fp32.onnx", 9, 2), "int8": ("int8.onnx", 9, 2)}
    memory = {name: value for name, value in found["int8"].items() if name != "file_kib"}
    assert memory == {
        "pss_mib": 32.0, "peak_mib": 65.0, "peak_above_idle_mib": 1.0, "uss_above_idle_mib": 0.5,
        "processes": 2,
    }  # fmt: skip


def test_numbers_are_a_median_and_its_ends():
    found = Spread(2.0, 1.0, 3.000049)
    assert interval(found) == [2.0, 1.0, 3.0]
    assert scaled(found, 10) == [20.0, 10.0, 30.0]
    assert interval(Ratio("a", "b", 1.5, 1.25, 2.0, 0.95, 8, 4)) == [1.5, 1.25, 2.0]
    latency = Latency(9, 5.5, 5.0, 4.0, 6.0, 7.0, 8.0, 9.0, 8.5, 9.5, 9.9, 3.0, 10.0, "")
    assert interval(latency) == [5.0, 4.0, 6.0]


def test_a_size_that_a_family_has_not_is_refused():
    with pytest.raises(UsageError, match="window is no size of a lstm"):
        untrained({**MODELS, "family": "lstm", "sizes": {"window": 8}})
