"""Histograms lose nothing but detail, and each way to read one finds what a search would."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeseq.quantize import ranges
from edgeseq.quantize.ranges import LEVELS, Histogram, Range, find_range

METHODS = ("minmax", "percentile", "entropy", "mse")
FINITE = st.floats(-(2.0**100), 2.0**100, width=32)
SAMPLES = arrays(np.float32, st.integers(1, 60), elements=FINITE)
RNG = np.random.default_rng(0)
DRAWN = {
    "heavy tails": RNG.standard_t(2, 20_000),
    "hidden state": np.tanh(2 * RNG.normal(size=20_000)),
    "relu": np.maximum(RNG.normal(size=20_000), 0),
    "one outlier": np.append(RNG.normal(size=20_000), 50.0),
    "all below zero": -np.exp(RNG.normal(size=20_000)),
}


def histogram_of(values, cuts=(), bins=ranges.BINS):
    histogram = Histogram(bins)
    for part in np.split(values, cuts):
        histogram.add(part)
    return histogram


def raw_error(values, low, high):
    """Mean squared error of eight bits, written once more."""
    scale = (high - low) / 255
    zero = np.round(-low / scale)
    return np.mean(
        ((np.clip(np.round(values / scale) + zero, 0, 255) - zero) * scale - values) ** 2
    )


def raw_divergence(counts, start, end):
    """Migacz' pseudocode, one level at a time."""
    p = counts[start:end].astype(float)
    p[0] += counts[:start].sum()
    p[-1] += counts[end:].sum()
    q = np.zeros(end - start)
    edges = [-(-level * (end - start) // LEVELS) for level in range(LEVELS + 1)]
    for left, right in itertools.pairwise(edges):
        places = [place for place in range(left, right) if p[place] > 0]
        for place in places:
            q[place] = counts[start + left : start + right].sum() / len(places)
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    p, q = p / p.sum(), q / q.sum()
    return sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))


@settings(deadline=None)
@given(SAMPLES, st.data(), st.sampled_from([4, 33, 4096]))
def test_order_and_batches_do_not_matter_and_memory_is_bounded(values, data, bins):
    order = data.draw(st.permutations(range(len(values))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=5)))
    one, other = histogram_of(values, bins=bins), histogram_of(values[order], cuts, bins)
    assert (one.first, one.width) == (other.first, other.width)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert (one.low, one.high) == (min(values.min(), 0), max(values.max(), 0))
    assert len(one.counts) <= bins
    assert one.with_zeros.sum() == one.total == len(values)


@settings(deadline=None)
@given(SAMPLES, st.sampled_from([8, 4096]))
def test_counts_are_those_of_the_values(values, bins):
    histogram = histogram_of(values, range(1, len(values)), bins)
    if not values.any():
        assert (histogram.zeros, histogram.width) == (len(values), 0)
        return
    edges = (histogram.first + np.arange(len(histogram.counts) + 1)) * histogram.width
    assert edges[0] <= histogram.low
    assert histogram.high < edges[-1]
    counted = [
        np.sum((values >= left) & (values < right))
        for left, right in itertools.pairwise(edges)
        if (left <= values).any()
    ]
    assert counted == histogram.with_zeros[: len(counted)].tolist()
    assert histogram.counts[len(counted) :].sum() == 0
    if len(histogram.counts) > 3:  # bins half as wide would be too many
        assert 2 * len(histogram.counts) + 2 > bins


@settings(deadline=None)
@given(SAMPLES, st.sampled_from(METHODS))
def test_every_range_covers_zero_and_no_more_than_the_values(values, method):
    found = find_range(histogram_of(values), method)
    assert min(values.min(), 0) <= found.low <= 0 <= found.high <= max(values.max(), 0)


@settings(deadline=None)
@given(FINITE.filter(lambda x: x <= 0), FINITE.filter(lambda x: x >= 0), st.floats(0, 1))
def test_bytes_are_half_a_step_off_inside_and_zero_is_exact(low, high, share):
    found = Range(low, high)
    scale, zero = found.affine
    assert found.rounded(np.zeros(1)) == 0
    assert 0 <= zero <= 255
    if high - low > 1e-30:
        value = low + share * (high - low)
        # The zero point is rounded too, which moves the ends by half a step.
        assert abs(found.rounded(np.array(value)) - value) <= 1.01 * scale
        inside = (value / scale + zero) < 255 and value / scale + zero > 0
        assert not inside or abs(found.rounded(np.array(value)) - value) <= 0.501 * scale


def test_affine_is_that_of_onnx_runtimes_tool():
    from onnxruntime.quantization.quant_utils import compute_scale_zp

    for low, high in ((-1.0, 1.0), (-0.3, 2.7), (0.0, 5.0), (-7.5, 0.0), (0.0, 0.0)):
        numbers = (np.array(number, np.float32) for number in (low, high))
        wanted_zero, wanted_scale = compute_scale_zp(*numbers, np.uint8(0), np.uint8(255))
        assert Range(low, high).affine == (pytest.approx(float(wanted_scale)), int(wanted_zero))


@pytest.mark.parametrize("name", DRAWN)
def test_minmax_is_exact(name):
    values = DRAWN[name]
    wanted = Range(min(values.min(), 0.0), max(values.max(), 0.0))
    assert find_range(histogram_of(values, (5, 77)), "minmax") == wanted


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.99, 100.0])
@pytest.mark.parametrize("name", DRAWN)
def test_percentile_is_that_of_the_sorted_sample_to_one_bin(name, percentile):
    values = np.sort(DRAWN[name])
    histogram = histogram_of(DRAWN[name], (4000, 4001))
    found = find_range(histogram, "percentile", percentile)
    cut = round(len(values) * (100 - percentile) / 200)
    low, high = min(values[cut], 0), max(values[len(values) - 1 - cut], 0)
    assert low - histogram.width <= found.low <= low
    assert high <= found.high <= high + histogram.width


@pytest.mark.parametrize("name", DRAWN)
def test_mse_is_the_best_of_all_ranges_on_the_sample_itself(name):
    values = DRAWN[name]
    found = find_range(histogram_of(values), "mse")
    shares = np.linspace(0.05, 1, 39)
    best = min(
        raw_error(values, low, high)
        for low in ([0.0] if values.min() >= 0 else shares * values.min())
        for high in ([0.0] if values.max() <= 0 else shares * values.max())
    )
    assert raw_error(values, found.low, found.high) <= 1.01 * best


@pytest.mark.parametrize("name", DRAWN)
def test_entropy_is_the_least_divergence_of_all_thresholds(name):
    values = DRAWN[name]
    histogram = histogram_of(values)
    edges = (histogram.first + np.arange(len(histogram.counts) + 1)) * histogram.width
    counts, _ = np.histogram(values[values != 0], edges)
    found = find_range(histogram, "entropy")
    zero = -histogram.first
    reach = round(max(-found.low, found.high) / histogram.width)
    reached = raw_divergence(counts, max(0, zero - reach), min(len(counts), zero + reach))
    others = [
        raw_divergence(counts, max(0, zero - other), min(len(counts), zero + other))
        for other in np.linspace(LEVELS, max(zero, len(counts) - zero), 20).astype(int)
    ]
    assert reached <= 1.01 * min(others)  # of some two hundred thresholds, these may lie between
    outer = max(-found.low, found.high)
    assert found.low == pytest.approx(max(-outer, min(values.min(), 0)), abs=histogram.width)
    assert found.high == pytest.approx(min(outer, max(values.max(), 0)), abs=histogram.width)


def test_tails_are_cut_by_all_but_minmax_and_least_of_all_by_mse():
    histogram = histogram_of(DRAWN["heavy tails"])
    widths = {name: find_range(histogram, name) for name in METHODS}
    widths = {name: found.high - found.low for name, found in widths.items()}
    assert widths["entropy"] < widths["percentile"] < widths["mse"] < widths["minmax"]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_but_zeros_is_no_range(method):
    histogram = histogram_of(np.zeros((3, 4)))
    assert find_range(histogram, method) == Range(0.0, 0.0)
    assert histogram.with_zeros.tolist() == [12]
    assert find_range(histogram, method).affine == (1, 0)


def test_no_values_and_values_that_are_none():
    with pytest.raises(ValueError, match="no value"):
        find_range(Histogram(), "mse")
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            Histogram().add(np.array([1.0, bad]))
    with pytest.raises(ValueError, match="around zero"):
        Range(1.0, 2.0)
