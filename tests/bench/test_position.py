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
    stepped = {form: models[form] for form in FORMS}
    ticks = itertools.count(0, 500)  # every step lasts 500 ns of this clock
    found = measure_positions(stepped, frames, positions=(1, 9, 40), clock=lambda: next(ticks))
    costs = {cost.name: cost for cost in found}
    assert tuple(costs) == FORMS
    ring = 2 * 2 * 3 * 12 * 4 + 8  # two blocks' keys and values of 3 frames, and the counter
    assert costs["step"].state_kib == (round(ring / 1024, 3),) * 3
    assert costs["recompute"].state_kib == (round((4 * 4 * 4 + 8) / 1024, 3),) * 3
    grown = [2 * 2 * frames * 12 * 4 / 1024 for frames in (1, 9, 40)]
    np.testing.assert_allclose(costs["growing-cache"].state_kib, grown, atol=1e-3)
    assert {cost.step_us for cost in found} == {(0.5, 0.5, 0.5)}


def test_what_cannot_be_measured_is_refused(models):
    frames = frames_of(model_of("rotary"), 1, 10)[0]
    with pytest.raises(StreamError, match="sequence graph without state"):
        measure_positions({"sequence": models["sequence"]}, frames)
    with pytest.raises(UsageError, match="positions and rounds must be at least 1"):
        measure_positions({"step": models["step"]}, frames, positions=())
