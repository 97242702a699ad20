import pytest

from edgeseq.train.schedule import one_cycle


def test_one_cycle_rises_to_the_peak_and_falls_to_nearly_nothing():
    rates = [one_cycle(step, 101, warmup=0.2) for step in range(101)]
    assert rates[0] == pytest.approx(0.04)
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[100] == pytest.approx(1e-3)
    assert rates[:21] == sorted(rates[:21])
    assert rates[21:] == sorted(rates[21:], reverse=True)


def test_one_cycle_at_points_worked_out_by_hand():
    # Half-way up: the mean of 0.04 and 1; half-way down: the mean of 1 and 0.001.
    assert one_cycle(10, 101, warmup=20 / 101) == pytest.approx(0.52)
    assert one_cycle(20, 101, warmup=20 / 101) == pytest.approx(1.0)
    assert one_cycle(60, 101, warmup=20 / 101) == pytest.approx(0.5005)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_of_few_steps_has_a_schedule_too(steps):
    assert all(0 < one_cycle(step, steps, warmup=0.15) <= 1 for step in range(steps))
