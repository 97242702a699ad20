"""What a step costs at its place in the stream: a cache that grows is seen to grow."""

import itertools

import numpy as np
import pytest
from export.small import frames_of, graph_of, model_of

from edgeseq.bench.position import measure_positions
from edgeseq.errors import StreamError, UsageError
from edgeseq.runtime import StreamModel

FORMS = ("step", "recompute", "growing-cache")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("position"), {}
    for form in (*FORMS, "sequence"):
        file = folder / f"{form}.onnx"
        file.write_bytes(graph_of("rotary", form=form).SerializeToString())
        found[form] = StreamModel.load(file)
    return found


def test_state_and_time_at_each_position(models):
    frames = frames_of(model_of("rotary"), 1, 10)[0]
    ticks = itertools.count(0, 500)  # every step lasts 500 ns of this clock
    found = measure_positions(
        models, frames, positions=(1, 9, 40), rounds=2, clock=lambda: next(ticks)
    )
    costs = {cost.name: cost for cost in found}
    assert tuple(costs) == (*FORMS, "sequence")
    ring = 2 * 2 * 3 * 12 * 4 + 8  # two blocks' keys and values of 3 frames, and the counter
    assert costs["step"].state_kib == (round(ring / 1024, 3),) * 3
    assert costs["recompute"].state_kib == (round((4 * 4 * 4 + 8) / 1024, 3),) * 3
    grown = [2 * 2 * frames * 12 * 4 / 1024 for frames in (1, 9, 40)]
    np.testing.assert_allclose(costs["growing-cache"].state_kib, grown, atol=1e-3)
    kept = [frames * 4 * 4 / 1024 for frames in (1, 9, 40)]  # the whole past, and no state
    np.testing.assert_allclose(costs["sequence"].state_kib, kept, atol=1e-3)
    assert {cost.step_us for cost in found} == {(0.5, 0.5, 0.5)}
    assert {cost.low_us + cost.high_us for cost in found} == {(0.5,) * 6}
    assert {cost.rounds for cost in found} == {2}


def test_a_step_that_takes_longer_is_seen_where_it_is(models):
    """The clock of step k of a stream stands still for k ns: 40 positions, and 20 steps before."""
    frames = frames_of(model_of("rotary"), 1, 10)[0]
    steps = itertools.cycle(range(1, 41))
    times = itertools.chain.from_iterable((0, next(steps) * 1000) for _ in itertools.count())
    (cost,) = measure_positions(
        {"step": models["step"]}, frames, positions=(1, 9, 40), around=5, clock=lambda: next(times)
    )
    assert cost.step_us == (1.0, 7.0, 38.0)  # the medians of 1, of 5 to 9, and of 36 to 40


def test_what_cannot_be_measured_is_refused(models, tmp_path):
    frames = frames_of(model_of("rotary"), 1, 10)[0]
    file = tmp_path / "chunks.onnx"
    file.write_bytes(graph_of("rotary", frames=4).SerializeToString())
    with pytest.raises(StreamError, match="takes 4 frames a call"):
        measure_positions({"chunks": StreamModel.load(file)}, frames)
    with pytest.raises(UsageError, match="positions, rounds and around must be at least 1"):
        measure_positions({"step": models["step"]}, frames, positions=())
