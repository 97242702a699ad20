"""A predictor taken one frame at a time."""

import numpy as np

from edgeseq.tasks.base import replay, stepper

FRAMES = np.random.default_rng(0).normal(size=(2, 9, 3)).astype(np.float32)


def summed(frames):
    return np.cumsum(frames, axis=1)


class Sums:
    """Offers to be stepped, or does not."""

    def __init__(self, offered):
        self.offered = offered

    def __call__(self, frames):
        return summed(frames)

    def stepper(self, streams):
        return (lambda frame: frame * streams) if self.offered else None


def stepped(step):
    return np.stack([step(frame) for frame in FRAMES.swapaxes(0, 1)], axis=1)


def test_what_cannot_be_stepped_is_played_again():
    for predict in (summed, Sums(offered=False)):
        np.testing.assert_allclose(stepped(stepper(predict, 2)), summed(FRAMES), rtol=1e-6)


def test_what_can_be_stepped_is():
    np.testing.assert_array_equal(stepped(stepper(Sums(offered=True), 2)), 2 * FRAMES)


def test_memory_is_what_is_played_again():
    last_two = FRAMES.copy()
    last_two[:, 1:] += FRAMES[:, :-1]
    np.testing.assert_allclose(stepped(replay(summed, memory=2)), last_two, rtol=1e-6)
