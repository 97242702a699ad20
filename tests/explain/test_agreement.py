"""Ranks are SciPy's, ties and all."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from edgeseq.explain.agreement import agreement, agreement_beyond, ranks


@pytest.mark.parametrize("seed", range(5))
def test_like_scipy_with_ties(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, 40), rng.integers(0, 4, 40) + rng.integers(0, 2, 40) * 0.5
    assert agreement(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert (ranks(b) == rankdata(b) - 1).all()


def test_ends():
    rising = np.arange(9.0)
    assert agreement(rising, np.exp(rising)) == pytest.approx(1)
    assert agreement(rising, -(rising**3)) == pytest.approx(-1)
    assert agreement(rising, np.ones(9)) == 0


def test_beyond_is_what_residuals_of_ranks_agree_on():
    rng = np.random.default_rng(0)
    known = rng.normal(size=200)
    a, b = known + rng.normal(size=200), known + rng.normal(size=200)

    def rest(values):
        of, by = ranks(values), ranks(known)
        slope, offset = np.polyfit(by, of, 1)
        return of - slope * by - offset

    found = agreement_beyond(a, b, known)
    assert found == pytest.approx(np.corrcoef(rest(a), rest(b))[0, 1], abs=1e-9)
    assert agreement(a, b) > 0.4 > 0.2 > abs(found)
    assert agreement_beyond(known, b, known) == 0
