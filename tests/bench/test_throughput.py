"""Streams a second: right by a fake clock, real on this CPU, refused where a contract forbids."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgeseq.bench import copies
from edgeseq.bench.copies import DeviceStep, measure_copies
from edgeseq.bench.identity import identity_contract
from edgeseq.bench.throughput import (
    Batch,
    ThroughputSettings,
    measure_throughput,
    require_batches,
)
from edgeseq.errors import StreamError, UsageError
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.workflows.export import ExportSettings, export_run

GOLDEN = Path(__file__).parents[1] / "golden"
FRAMES = np.arange(12, dtype=np.float32).reshape(12, 1)
QUICK = ThroughputSettings(streams=(1, 4, 16), rounds=3, block=5, settle=2)


class Clock:
    """Time that passes only while a fake session steps."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


class FakeSession:
    """A session whose step takes as long as it is told, and keeps what it was fed."""

    def __init__(self, clock, streams, cost_ns, log):
        self.clock, self.streams, self.cost = clock, streams, cost_ns
        self.log, self.fed, self.closed = log, [], False

    def step(self, frame):
        self.fed.append(np.array(frame))
        self.log.append(self.streams)
        self.clock.now += self.cost(len(self.fed)) if callable(self.cost) else self.cost

    def close(self):
        self.closed = True


def fake_model(provider="cpu", **contract):
    return SimpleNamespace(
        contract=replace(identity_contract(), **contract), provider=provider, source="m.onnx"
    )


def fake_run(settings, cost, batches=None, **options):
    """Measure fake sessions; return the result and the sessions by provider and streams."""
    clock, sessions, log = Clock(), {}, []

    def open_session(model, streams):
        session = FakeSession(clock, streams, cost(model.provider, streams), log)
        sessions[model.provider, streams] = session
        return session

    batches = batches or (Batch("fp32", fake_model(), FRAMES),)
    result = measure_throughput(
        batches, settings, open_session=open_session, clock=clock, **options
    )
    return result, sessions, log


def test_streams_a_second_are_streams_over_the_median_step():
    """A step costs 10 us and 1 us a stream, the GPU's 100 us whatever comes."""
    costs = {"cpu": lambda n: 10_000 + 1_000 * n, "cuda": lambda _n: 100_000}
    result, sessions, _ = fake_run(
        ThroughputSettings(streams=(1, 16, 256), rounds=4, block=5),
        lambda provider, streams: costs[provider](streams),
        (Batch("fp32", fake_model("cuda"), FRAMES), Batch("fp32", fake_model(), FRAMES)),
        limit_ms=0.15,
    )
    rows = [(row.provider, row.streams, row.p50_us, row.in_time) for row in result.rows]
    assert rows == [
        ("cuda", 1, 100, True),
        ("cuda", 16, 100, True),
        ("cuda", 256, 100, True),
        ("cpu", 1, 11, True),
        ("cpu", 16, 26, True),
        ("cpu", 256, 266, False),
    ]
    assert [row.steps for row in result.rows] == [20] * 6
    assert result.rows[2].streams_per_second == 2_560_000
    assert result.rows[4].streams_per_second == pytest.approx(16 / 26e-6, abs=0.1)
    served = [(item.provider, item.streams_in_time, item.limit_ms) for item in result.served]
    assert served == [("cuda", 256, 0.15), ("cpu", 16, 0.15)]
    assert result.served[1].streams_per_second == result.rows[4].streams_per_second
    assert all(session.closed for session in sessions.values())


def test_the_limit_is_one_frames_period_and_p99_is_held_to_it():
    """The identity model has 1 Hz: 2 of 100 steps that take 1.1 s are too many, 1 of 200 is not."""
    slow = 1_100_000_000
    settings = ThroughputSettings(streams=(1, 2), rounds=1, block=200, settle=0)
    costs = {
        1: lambda step: slow if step % 50 == 0 else 1000,
        2: lambda step: slow if step == 200 else 1000,
    }
    result, *_ = fake_run(settings, lambda _, streams: costs[streams])
    assert [row.in_time for row in result.rows] == [False, True]
    assert [row.p50_us for row in result.rows] == [1, 1]
    assert (result.served[0].limit_ms, result.served[0].streams_in_time) == (1000, 2)


def test_nothing_in_time_is_zero_streams():
    result, *_ = fake_run(QUICK, lambda *_: 5_000, limit_ms=0.001)
    assert (result.served[0].streams_in_time, result.served[0].streams_per_second) == (0, 0)


def test_every_stream_is_fed_real_frames_from_a_place_of_its_own():
    _, sessions, _ = fake_run(QUICK, lambda *_: 1)
    one, four, many = (sessions["cpu", n].fed for n in (1, 4, 16))
    assert {frame.shape for frame in one} == {(1,)}
    np.testing.assert_array_equal(np.ravel(one)[:14], [*range(12), 0, 1])
    np.testing.assert_array_equal(four[0], [[0], [3], [6], [9]])
    np.testing.assert_array_equal(four[1], [[1], [4], [7], [10]])
    assert many[0].shape == (16, 1)
    assert all(frame.dtype == np.float32 for frame in four)


def test_sizes_are_timed_in_turns_and_settling_is_not_timed():
    result, sessions, log = fake_run(QUICK, lambda *_: 1)
    assert all(row.steps == 15 for row in result.rows)
    assert all(len(session.fed) == 4 + 5 + 2 * 7 for session in sessions.values())
    rounds = log[:27], log[27:48], log[48:]
    assert [len(steps) for steps in rounds] == [3 * 9, 3 * 7, 3 * 7]
    assert all(set(steps) == {1, 4, 16} for steps in rounds)
    orders = {tuple(dict.fromkeys(steps)) for steps in rounds}
    assert len(orders) > 1, "and in another order each round"


def test_what_does_not_fit_is_left_out_with_its_reason():
    clock = Clock()

    def open_session(model, streams):
        if streams == 16:
            raise RuntimeError("Failed to allocate memory for requested buffer\nof size 99")
        session = FakeSession(clock, streams, 1000, [])
        if streams == 4:
            session.step = lambda _frame: (_ for _ in ()).throw(StreamError("out of memory"))
        return session

    result = measure_throughput(
        (Batch("fp32", fake_model("cuda"), FRAMES),), QUICK, open_session=open_session, clock=clock
    )
    assert [row.streams for row in result.rows] == [1]
    assert result.served[0].streams_in_time == 1
    assert result.not_measured == {
        "fp32 cuda 16": "Failed to allocate memory for requested buffer",
        "fp32 cuda 4": "out of memory",
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"streams": 8}, "takes 8 stream.* export without --static N"),
        ({"chunk_min": 4}, "takes 4 frames a call.* without --static T"),
        ({"form": "sequence", "states": ()}, "sequence graph without state.*--form step"),
    ],
)
def test_a_contract_that_cannot_be_batched_is_refused(change, words):
    with pytest.raises(UsageError, match=words) as error:
        measure_throughput((Batch("x", fake_model(**change), FRAMES),), QUICK)
    assert "\n" not in str(error.value)


def test_a_static_export_is_refused(run_of, tmp_path):
    bundle = export_run(run_of["lstm"], tmp_path / "static", ExportSettings(streams=2))
    contract = bundle.variant().contract
    assert contract.streams == 2
    with pytest.raises(UsageError, match="no other number"):
        require_batches(contract, "it")


@pytest.mark.parametrize("streams", [(), (0,), (4, 4)])
def test_settings_that_time_nothing_are_refused(streams):
    with pytest.raises(UsageError, match="different numbers of at least 1"):
        ThroughputSettings(streams=streams)
    with pytest.raises(UsageError, match="rounds and block"):
        ThroughputSettings(block=0)


@pytest.mark.parametrize("folder", ["har-lstm", "glucose-transformer"])
def test_on_this_cpu(folder):
    variants = ("fp32", "int8") if folder == "har-lstm" else ("fp32", "step")
    frames = np.load(GOLDEN / folder / "reference.npz")["frames"].astype(np.float32)
    batches = [
        Batch(name, StreamModel.load(GOLDEN / folder, variant=name), frames) for name in variants
    ]
    seen = []
    result = measure_throughput(
        batches, QUICK, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [(row.name, row.streams) for row in result.rows] == [
        (name, streams) for name in variants for streams in (1, 4, 16)
    ]
    assert all(row.provider == "cpu" for row in result.rows)
    assert all(0 < row.p50_us <= row.p99_us for row in result.rows)
    assert not result.not_measured
    for item in result.served:
        period = 80.0 if folder == "har-lstm" else 300_000.0
        assert item.limit_ms == pytest.approx(period)


@pytest.mark.parametrize("streams", [1, 5])
@pytest.mark.parametrize("file", sorted(GOLDEN.rglob("model*.onnx")), ids=lambda path: path.name)
def test_a_step_on_the_device_is_the_same_step(file, streams):
    model = StreamModel.load(file)
    frames = np.load(file.parent / "reference.npz")["frames"][: 20 * streams].astype(np.float32)
    rows = frames.reshape(20, streams, -1)
    device = DeviceStep(model, streams)
    with StreamSession(model, streams=streams) as host:
        for row in rows:
            device.place(row)
            device.step()
            expected = host.step(row[0] if streams == 1 else row)
            np.testing.assert_array_equal(device.output(), expected.reshape(streams, -1))


def test_copies_are_what_the_host_takes_longer(monkeypatch):
    clock = Clock()

    def costing(nanoseconds):
        class Step:
            def __init__(self, *_arguments, **_options):
                pass

            def step(self, *_frame):
                clock.now += nanoseconds

            place = step

        return Step

    monkeypatch.setattr(copies, "StreamSession", costing(50_000))
    monkeypatch.setattr(copies, "DeviceStep", costing(20_000))
    cost = measure_copies(fake_model("cuda"), FRAMES, streams=3, rounds=2, block=5, clock=clock)
    assert (cost.host_us, cost.device_us, cost.copies_us) == (50, 20, 30)
    assert (cost.provider, cost.streams, cost.rounds) == ("cuda", 3, 2)


@pytest.mark.parametrize("streams", [1, 3])
def test_copies_on_this_cpu(streams):
    model = StreamModel.load(GOLDEN / "har-lstm", variant="fp32")
    frames = np.load(GOLDEN / "har-lstm/reference.npz")["frames"].astype(np.float32)
    cost = measure_copies(model, frames, streams=streams, rounds=2, block=5)
    assert cost.host_us > 0 < cost.device_us
