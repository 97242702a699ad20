"""What occlusion says of models whose reasons are known."""

import numpy as np
import pytest

from edgeseq.contract import Frame, Output
from edgeseq.errors import UsageError
from edgeseq.explain import neutral, occlude
from edgeseq.explain.occlusion import score, stretches
from edgeseq.explain.target import Target, target

CLASSES = Output("logits", ("a", "b", "c"))
VALUES = Output("value", ("x", "y"), units="mm")


def reads(frame, value=0):
    """A model whose outputs follow from one value of one frame, times 1 and -2."""

    def predict(frames):
        found = np.cumsum(np.where(np.arange(frames.shape[1]) == frame, frames[..., value], 0), 1)
        return np.stack([found, -2 * found], -1).astype(np.float32)

    return predict


@pytest.fixture
def frames():
    return np.random.default_rng(0).normal(3, 1, (20, 4)).astype(np.float32)


def test_points_at_the_frame_and_the_channel_that_is_read(frames):
    nothing = neutral(frames, Frame(("u", "v"), ("V", "V"), 10.0, samples=2))
    found = occlude(reads(7, value=2), frames, Target(VALUES, 1), nothing, channels=2, width=1)
    assert np.flatnonzero(found.change).tolist() == [7]
    assert found.change[7] == pytest.approx(-2 * (frames[7, 2] - nothing[2]), rel=1e-5)
    assert np.argwhere(found.channels).tolist() == [[0, 7]]
    assert found.importance[7] == abs(found.change[7])


def test_a_stretch_blames_all_that_it_covers(frames):
    found = occlude(reads(7), frames, Target(VALUES, 0), np.zeros(4, np.float32), width=4)
    assert found.stretches.starts.tolist() == [*range(0, 17, 2)]
    whole = frames[7, 0]
    assert found.change[7] == pytest.approx(whole, rel=1e-5)
    assert found.change[[4, 5, 8, 9]] == pytest.approx([whole / 2, whole / 2, whole / 2, whole / 2])
    assert (found.change[[0, 1, 2, 3, 10, 11]] == 0).all()


@pytest.mark.parametrize(("length", "width"), [(20, 1), (21, 4), (7, 7), (30, 5), (9, 2)])
def test_stretches_cover_every_frame_and_a_constant_stays_itself(length, width):
    of = stretches(length, width)
    inside = of.inside()
    assert (inside.sum(1) == width).all()
    assert inside.any(0).all()
    assert of.blurred(np.full(length, 3.0)) == pytest.approx(3)


def test_the_width_suits_the_input():
    assert [stretches(length).width for length in (1, 25, 100, 1024)] == [1, 1, 4, 41]


def test_a_stretch_longer_than_the_input_is_refused():
    with pytest.raises(UsageError, match=r"of 9 frames is more than the 8 .* --width 8"):
        stretches(8, 9)


def test_a_batch_is_bounded_and_changes_nothing(frames, monkeypatch):
    rows = []

    def counted(copies):
        rows.append(len(copies))
        return reads(7)(copies)

    at_once = occlude(counted, frames, Target(VALUES, 0), np.zeros(4, np.float32), channels=2)
    assert rows == [1, 60]
    monkeypatch.setattr("edgeseq.explain.occlusion.VALUES", 7 * frames.size)
    split = occlude(counted, frames, Target(VALUES, 0), np.zeros(4, np.float32), channels=2)
    assert max(rows[2:]) == 7
    assert (split.channels == at_once.channels).all()


def test_a_class_is_scored_by_its_log_probability():
    outputs = np.array([[1000.0, 1001, 999], [0, 0, 0]], np.float32)
    share = np.exp(1) / (np.exp(0) + np.exp(1) + np.exp(-1))
    found = Target(CLASSES, 1).scores(outputs)
    assert found == pytest.approx([np.log(share), np.log(1 / 3)])


def test_the_last_frame_is_what_is_scored(frames):
    assert score(reads(19), frames[None], Target(VALUES, 0))[0] == frames[19, 0]


def test_what_is_explained():
    assert target(CLASSES, np.array([0.0, 1, 3])).label == "c"
    assert target(VALUES, np.array([0.0, 9])).label == "x"
    assert target(CLASSES, np.array([0.0, 1, 3]), "b").index == 1
    assert (target(CLASSES, np.zeros(3)).unit, target(VALUES, np.zeros(2)).unit) == ("nat", "mm")
    with pytest.raises(UsageError, match='no output "d"; there are: a, b, c'):
        target(CLASSES, np.zeros(3), "d")


def test_nothing_is_the_mean_of_each_channel_over_all_samples(frames):
    nothing = neutral(frames, Frame(("u", "v"), ("V", "V"), 10.0, samples=2))
    assert nothing == pytest.approx(np.tile(frames.reshape(-1, 2).mean(0), 2), rel=1e-6)


def test_no_token_is_a_space_or_what_is_unknown():
    def said(*vocabulary):
        frame = Frame(("character",), ("token",), 1.0, vocabulary=vocabulary)
        return neutral(np.zeros((3, 1), np.float32), frame).tolist()

    assert said("a", " ", "\ufffd") == [1]
    assert said("a", "b", "\ufffd") == [2]
    with pytest.raises(UsageError, match="neither a space nor"):
        said("a", "b")


def test_what_is_beyond_the_memory_is_not_asked(frames):
    asked = []

    def counted(copies):
        asked.append(copies.shape)
        return reads(copies.shape[1] - 4)(copies)  # the fourth frame from the end

    whole = occlude(reads(16), frames, Target(VALUES, 0), np.zeros(4, np.float32), width=4)
    found = occlude(counted, frames, Target(VALUES, 0), np.zeros(4, np.float32), width=4, memory=5)
    assert (found.change == whole.change).all()
    assert (found.first, whole.first) == (15, 0)
    assert asked == [(1, 5, 4), (3, 5, 4)], "those from 12, 14 and 16 on"


def test_the_rounding_of_floats_is_no_change(frames):
    def noisy(copies):
        noise = np.random.default_rng(0).normal(0, 1e-6, copies.shape[:2])
        return reads(7)(copies) + noise[..., None].astype(np.float32)

    found = occlude(noisy, frames, Target(VALUES, 0), np.zeros(4, np.float32), width=1)
    assert np.flatnonzero(found.change).tolist() == [7]
