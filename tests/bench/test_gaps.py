"""Pauses: of the length asked for, one before each timed step, nothing else in between."""

import numpy as np
import pytest

from edgeseq.bench.candidate import fixed
from edgeseq.bench.gaps import WARM, measure_gaps

FRAMES = np.zeros((4, 1), np.float32)


class Cooling:
    """A step that takes 1 µs, and 10 ns more for every microsecond since the last one."""

    def __init__(self):
        self.now, self.last, self.log = 0, 0, []

    def sleep(self, seconds):
        self.log.append(seconds)
        self.now += round(seconds * 1e9)

    def step(self, frame):
        idle = self.now - self.last
        self.now += 1000 + idle // 100
        self.last = self.now


def test_the_penalty_of_a_pause_is_found():
    machine = Cooling()
    found = measure_gaps(
        [fixed("a", machine.step, FRAMES)],
        gaps_ms=(0.0, 1.0, 10.0),
        repeats=5,
        now=lambda: machine.now,
        sleep=machine.sleep,
    )
    assert [(gap.gap_ms, gap.count) for gap in found["a"]] == [(0, 5), (1, 5), (10, 5)]
    assert [gap.p50_us for gap in found["a"]] == pytest.approx([1.0, 11.0, 101.0])
    assert sorted(machine.log) == [0.001] * 5 + [0.01] * 5, "no pause before the step of gap 0"


def test_candidates_do_not_cool_each_other():
    steps = []
    candidates = [fixed(name, lambda frame, n=name: steps.append(n), FRAMES) for name in "ab"]
    measure_gaps(candidates, gaps_ms=(0.0, 1.0), repeats=3, sleep=lambda _: None)
    turn = min(WARM, len(FRAMES)) + 2 * 2
    turns = ["".join(steps[start : start + turn]) for start in range(0, len(steps), turn)]
    assert len(turns) == 6
    assert all(len(set(text)) == 1 for text in turns)
    assert sorted(text[0] for text in turns) == ["a"] * 3 + ["b"] * 3


def test_progress_counts_repeats():
    seen = []
    measure_gaps(
        [fixed("a", lambda frame: None, FRAMES)],
        gaps_ms=(0.0,),
        repeats=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]
