"""A stream fed row by row: the same bits whatever they come from, and where it was stopped."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeseq.errors import EdgeseqError, StreamError, UsageError
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.runtime.feed import Feed
from edgeseq.runtime.pace import Clock
from edgeseq.runtime.rows import read_rows
from edgeseq.runtime.saved import SavedStream, resume

GOLDEN = Path(__file__).parents[1] / "golden"
COUNT = 90
"""Frames: more than the ring of the Transformer has slots."""
VARIANTS = [
    ("har-lstm", "fp32"),
    ("har-lstm", "int8"),
    ("glucose-transformer", "fp32"),
    ("glucose-transformer", "step"),
]
MS = 1_000_000


@pytest.fixture(scope="module", params=VARIANTS, ids=" ".join)
def model(request):
    bundle, variant = request.param
    return StreamModel.load(GOLDEN / bundle, variant=variant)


@pytest.fixture(scope="module")
def lstm():
    return StreamModel.load(GOLDEN / "har-lstm", variant="fp32")


def reference(model):
    with np.load(Path(model.source).parent / "reference.npz") as arrays:
        return arrays["frames"][:COUNT]


def samples_of(model):
    """The reference as samples, one a row."""
    frames = reference(model)
    return list(frames.reshape(-1, 1, len(model.contract.frame.channels)))


def fed(model, rows, *, saved=None, **how):
    """Return a feed that took `rows`, and the outputs it told of."""
    feed, told = Feed(StreamSession(model), saved=saved), []
    feed.run(rows, told.append, **how)
    return feed, told


def outputs(told):
    return np.stack([answer.outputs for answer in told])


def test_csv_arrays_and_pipes_are_the_session_bit_for_bit(model, tmp_path):
    frames, frame = reference(model), model.contract.frame
    samples = frames.reshape(-1, len(frame.channels))
    order = np.arange(len(frame.channels))[::-1]
    np.savetxt(
        tmp_path / "a.csv", samples[:, order], "%.9g", ",", comments="",
        header=",".join(frame.channels[i] for i in order),
    )  # fmt: skip
    np.save(tmp_path / "samples.npy", samples)
    np.save(tmp_path / "frames.npy", frames)
    text = "".join(" ".join(f"{value:.9g}" for value in row) + "\n" for row in frames)
    with StreamSession(model) as session:
        wanted = np.stack([session.step(row) for row in frames])
        state = session.state
    sources = [tmp_path / "a.csv", tmp_path / "samples.npy", tmp_path / "frames.npy"]
    for source in (*sources, io.StringIO(text)):
        feed, told = fed(model, read_rows(source, frame))
        assert np.array_equal(outputs(told), wanted), source
        assert all(np.array_equal(feed.session.state[name], state[name]) for name in state)
        assert [answer.frame for answer in told] == list(range(COUNT))
        assert told[-1].seconds == pytest.approx((COUNT - 1) / frame.rate_hz)
        assert feed.ended


@pytest.mark.parametrize("cut", [30, 118, 121, 123])
def test_two_halves_are_the_whole_bit_for_bit(model, tmp_path, cut):
    """Also where the first half ends in the middle of a frame."""
    rows = samples_of(model)
    cut = min(cut, len(rows) - 1)
    _, whole = fed(model, rows)
    first, told = fed(model, rows[:cut])
    first.saved().save(tmp_path / "s.npz")
    assert len(first.pending) == cut % model.contract.frame.samples
    second, more = fed(model, rows[cut:], saved=resume(tmp_path / "s.npz", StreamSession(model)))
    assert np.array_equal(outputs(told + more), outputs(whole))
    assert [answer.frame for answer in told + more] == list(range(COUNT))
    assert second.frames == COUNT
    assert second.fed == len(more)


def test_limit_and_skip_are_halves_too(lstm):
    rows = samples_of(lstm)
    first, told = fed(lstm, rows, limit=25)
    assert first.fed == 25
    assert first.rows == 100
    assert not first.ended
    _, more = fed(lstm, rows[first.rows :], saved=first.saved())
    assert np.array_equal(outputs(told + more), outputs(fed(lstm, rows)[1]))


def broken(rows, error):
    yield from rows
    raise error


@pytest.mark.parametrize("error", [StreamError("line 38"), KeyboardInterrupt()])
def test_what_ends_a_run_early_loses_nothing(lstm, error):
    rows = samples_of(lstm)
    feed, told = Feed(StreamSession(lstm)), []
    with pytest.raises(type(error)):
        feed.run(broken(rows[:37], error), told.append)
    assert (feed.fed, feed.rows, len(feed.pending)) == (9, 37, 1)
    _, more = fed(lstm, rows[feed.rows :], saved=feed.saved())
    assert np.array_equal(outputs(told + more), outputs(fed(lstm, rows)[1]))


def test_a_reader_that_leaves_does_not_undo_a_step(lstm):
    rows = samples_of(lstm)

    def leave(answer):
        if answer.frame == 3:
            raise BrokenPipeError

    feed = Feed(StreamSession(lstm))
    with pytest.raises(BrokenPipeError):
        feed.run(rows, leave)
    assert (feed.frames, feed.rows) == (4, 16)
    _, more = fed(lstm, rows[16:], saved=feed.saved())
    assert np.array_equal(outputs(more), outputs(fed(lstm, rows)[1])[4:])


def test_values_that_make_the_model_say_nan_leave_no_trace(lstm):
    """Finite ones, which no reader refuses."""
    rows = samples_of(lstm)
    huge = [*rows[:14], np.full_like(rows[0], 3e38), *rows[15:]]
    feed, told = Feed(StreamSession(lstm)), []
    session_step = feed.session.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            StreamSession,
            "step",
            lambda _, frame: session_step(frame) * (np.nan if frame.max() > 1e38 else 1),
        )
        with pytest.raises(StreamError, match=r"answers frame 3 with NaN.* to 3e\+38"):
            feed.run(huge, told.append)
    assert (feed.fed, feed.rows) == (3, 12)
    _, more = fed(lstm, rows[12:], saved=feed.saved())
    assert np.array_equal(outputs(told + more), outputs(fed(lstm, rows)[1]))


class Fake:
    """Time that passes only where a step works or the loop sleeps."""

    def __init__(self, *steps_ns):
        self.now, self.steps, self.begun = 0, steps_ns, []

    def clock(self):
        return Clock(lambda: self.now, self.sleep)

    def sleep(self, seconds):
        self.now += round(seconds * 1e9)

    def step(self, frame):
        self.begun.append(self.now)
        self.now += self.steps[(len(self.begun) - 1) % len(self.steps)]
        return np.zeros(7, np.float32)


def paced(lstm, fake, count, monkeypatch, **how):
    monkeypatch.setattr(StreamSession, "step", lambda _, frame: fake.step(frame))
    feed = Feed(StreamSession(lstm), real_time=True, clock=fake.clock(), **how)
    feed.run(samples_of(lstm)[: 4 * count], lambda _: None)
    return feed


def test_real_time_feeds_frames_when_they_are_due(lstm, monkeypatch):
    fake = Fake(2 * MS)
    feed = paced(lstm, fake, 20, monkeypatch)
    assert fake.begun == [80 * MS * index for index in range(20)]  # 12.5 Hz
    assert feed.missed == 0
    assert set(feed.nanoseconds) == {2 * MS}


def test_late_answers_are_counted_and_lateness_does_not_add_up(lstm, monkeypatch):
    fake = Fake(100 * MS, MS, MS, MS)
    feed = paced(lstm, fake, 8, monkeypatch)
    assert feed.missed == 2
    assert fake.begun[:5] == [0, 100 * MS, 160 * MS, 240 * MS, 320 * MS]


def test_an_answer_at_its_deadline_is_not_late(lstm, monkeypatch):
    assert paced(lstm, Fake(80 * MS), 8, monkeypatch).missed == 0
    assert paced(lstm, Fake(80 * MS + 1), 8, monkeypatch).missed == 8


def test_as_fast_as_possible_never_sleeps(lstm):
    feed = Feed(StreamSession(lstm), clock=Clock(sleep=lambda _: pytest.fail("slept")))
    feed.run(samples_of(lstm), lambda _: None)
    assert feed.missed == 0


def test_every_step_is_shielded_with_its_answer(lstm):
    events = []

    class Shield:
        def __enter__(self):
            events.append("in")

        def __exit__(self, *_):
            events.append("out")

    feed = Feed(StreamSession(lstm), shield=Shield())
    feed.run(samples_of(lstm)[:5], lambda answer: events.append(answer.frame))
    assert events == ["in", "out"] * 3 + ["in", 0, "out", "in", "out"]


def test_calls_of_several_frames(lstm):
    """As a graph asks for that takes exactly two frames a call."""
    pairs = replace(lstm, contract=replace(lstm.contract, chunk_min=2, chunk_max=2))
    rows = samples_of(lstm)
    with StreamSession(pairs) as session:
        wanted = np.concatenate([session.run(pair) for pair in reference(lstm).reshape(-1, 2, 24)])
    first, told = fed(pairs, rows[:99])
    assert len(first.pending) == 3
    assert len(told) == 24
    _, more = fed(pairs, rows[99:], saved=first.saved())
    assert np.array_equal(outputs(told + more), wanted)


def test_a_sequence_graph_takes_all_at_once(lstm):
    whole = replace(lstm, contract=replace(lstm.contract, form="sequence"))
    rows, frames = samples_of(lstm), reference(lstm)
    with StreamSession(whole) as session:
        wanted = session.run(frames)
    feed, told = fed(whole, rows[:-1])
    assert np.array_equal(outputs(told), wanted[:-1])
    assert (feed.rows, len(feed.pending), len(feed.nanoseconds)) == (COUNT * 4 - 1, 3, 1)
    assert np.array_equal(outputs(fed(whole, rows, limit=7)[1]), wanted[:7])
    with pytest.raises(UsageError, match="keeps no pace; export with --form step"):
        Feed(StreamSession(whole), real_time=True)


def test_nothing_to_feed(lstm):
    with pytest.raises(StreamError, match="nothing to feed: the input is empty"):
        fed(lstm, [])


def test_a_stream_of_another_model_is_refused(lstm, tmp_path):
    feed, _ = fed(lstm, samples_of(lstm)[:8])
    feed.saved().save(tmp_path / "s.npz")
    for name, variant in (("har-lstm", "int8"), ("glucose-transformer", None)):
        other = StreamSession(GOLDEN / name, variant=variant)
        with pytest.raises(StreamError, match=r"s.npz is the stream of another model than"):
            resume(tmp_path / "s.npz", other)
    assert resume(tmp_path / "none.npz", StreamSession(lstm)) is None


def test_a_model_without_state_keeps_none(lstm, tmp_path):
    stateless = replace(lstm, contract=replace(lstm.contract, form="sequence", states=()))
    with pytest.raises(UsageError, match="has no state to keep; export it with --form step"):
        resume(tmp_path / "s.npz", StreamSession(stateless))


def damage(file):
    data = file.read_bytes()
    yield "no saved stream", b"something else"
    yield "no saved stream", data[: len(data) // 2]
    yield "no saved stream", data.replace(b"pending", b"sending")
    yield "version 9 is unknown", changed(file, stream='{"version": 9, "model": "", "frames": 1}')
    yield "no saved stream", changed(file, stream='{"version": 1, "frames": 1}')
    yield "no saved stream", changed(file, stream="[]")
    yield "does not fit", changed(file, pending=np.zeros((1, 5), np.float32))
    yield "does not fit", changed(file, **{"state.h9": np.zeros(1)})


def changed(file, **arrays):
    with np.load(file) as before:
        kept = dict(before)
    made = io.BytesIO()
    np.savez(made, **(kept | {name: np.asarray(array) for name, array in arrays.items()}))
    return made.getvalue()


def test_damaged_streams_are_one_line_and_stay(lstm, tmp_path):
    file = tmp_path / "s.npz"
    feed, _ = fed(lstm, samples_of(lstm)[:8])
    feed.saved().save(file)
    for message, data in list(damage(file)):
        file.write_bytes(data)
        with pytest.raises(EdgeseqError, match=message) as error:
            resume(file, StreamSession(lstm))
        assert "\n" not in str(error.value)
        assert file.read_bytes() == data


def test_what_is_saved_reads_back(lstm, tmp_path):
    feed, _ = fed(lstm, samples_of(lstm)[:11])
    saved = feed.saved()
    saved.save(tmp_path / "s.npz")
    again = SavedStream.load(tmp_path / "s.npz")
    assert (again.model, again.frames) == (saved.model, 2)
    assert np.array_equal(again.pending, saved.pending)
    assert set(again.states) == {"h0", "c0", "h1", "c1"}
    assert all(np.array_equal(again.states[name], saved.states[name]) for name in saved.states)
