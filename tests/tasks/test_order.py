"""Which event is first after the cue, and that counting events does not tell."""

import numpy as np

from edgeseq.tasks import order
from edgeseq.tasks.base import UNKNOWN


def test_the_first_event_after_the_cue_is_the_class():
    frames, target = order.make(400, np.random.default_rng(0))
    assert (frames.shape, frames.dtype) == ((400, 32, 3), np.float32)
    seen = frames.round().astype(int)  # the noise is a tenth
    assert (seen.sum(axis=1) == [4, 4, 1]).all()
    for marks, classes in zip(seen.tolist(), target.tolist(), strict=True):
        cue = marks.index([0, 0, 1])
        first = next(t for t in range(cue, 32) if sum(marks[t][:2]))
        assert classes == [UNKNOWN] * first + [marks[first][1]] * (32 - first)
    assert abs((target[:, -1] == 0).mean() - 0.5) < 0.1
    assert len({marks.index([0, 0, 1]) for marks in seen.tolist()}) > 20
