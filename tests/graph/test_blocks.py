"""Blocks of integers stand for the weights that they were made of, as near as can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseq.graph.blocks import Blocks, block_size, quantize_blocks

BITS = st.sampled_from([8, 4])


@st.composite
def weights(draw):
    shape = draw(st.tuples(st.integers(1, 70), st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    weight = rng.normal(draw(st.sampled_from([0, 0.5, -3])), 1, shape) * 10 ** rng.uniform(-6, 3)
    weight[rng.uniform(size=shape) < draw(st.sampled_from([0, 0.2, 1]))] = 0
    return weight.astype(np.float32)


def plainly_rounded(column: np.ndarray, bits: int) -> np.ndarray:
    """What anyone would do: the whole range in equal steps, one of them at zero."""
    low, high, top = min(column.min(), 0), max(column.max(), 0), 2**bits - 1
    scale = (float(high) - float(low)) / top or 1.0
    zero = round(-low / scale)
    return (np.clip(np.rint(column / scale) + zero, 0, top) - zero) * scale


@settings(deadline=None, max_examples=60)
@given(weight=weights(), bits=BITS, block=st.sampled_from([16, 32, 64]))
def test_no_block_errs_more_than_plain_rounding(weight, bits, block):
    blocks = quantize_blocks(weight, bits, block)
    error = (blocks.dequantized() - weight.astype(float)) ** 2
    for start in range(0, len(weight), blocks.size):
        for column in range(weight.shape[1]):
            part = weight[start : start + blocks.size, column].astype(float)
            # A scale in float32 moves a value by its last digit.
            digit = np.finfo(np.float32).eps * np.abs(part).max()
            plain = ((np.abs(plainly_rounded(part, bits) - part) + digit) ** 2).sum()
            assert error[start : start + blocks.size, column].sum() <= plain


@settings(deadline=None, max_examples=40)
@given(weight=weights(), bits=BITS, block=st.sampled_from([16, 32, 64]))
def test_integers_are_in_range_and_zero_is_exact(weight, bits, block):
    blocks = quantize_blocks(weight, bits, block)
    assert blocks.values.shape == weight.shape
    assert blocks.scales.shape == blocks.zero_points.shape
    assert blocks.scales.shape == (-(-len(weight) // blocks.size), weight.shape[1])
    assert max(blocks.values.max(), blocks.zero_points.max()) < 2**bits
    assert np.all(blocks.scales > 0)
    assert np.all(blocks.dequantized()[weight == 0] == 0)


@settings(deadline=None, max_examples=20)
@given(weight=weights(), bits=BITS)
def test_columns_and_units_do_not_matter(weight, bits):
    blocks = quantize_blocks(weight, bits, 32)
    turned = quantize_blocks(weight[:, ::-1] * 4, bits, 32)
    np.testing.assert_array_equal(turned.values[:, ::-1], blocks.values)
    np.testing.assert_array_equal(turned.dequantized()[:, ::-1], blocks.dequantized() * 4)


@settings(deadline=None, max_examples=20)
@given(zero=st.integers(0, 15), seed=st.integers(0, 99))
def test_what_is_on_a_grid_stays(zero, seed):
    values = np.random.default_rng(seed).integers(0, 16, (32, 3))
    values[[0, 16]], values[[1, 17]] = 0, 15
    weight = ((values - zero) * 0.25).astype(np.float32)
    blocks = quantize_blocks(weight, 4, 16)
    np.testing.assert_array_equal(blocks.values, values)
    np.testing.assert_array_equal(blocks.dequantized(), weight)


def test_by_hand():
    """Two blocks: -1 to 14 in steps of 1; -3 to 0 in steps of 0.2, the last one not full."""
    weight = np.zeros((20, 1), np.float32)
    weight[:4, 0], weight[16:18, 0] = (-1, 14, 5, 2), (-3, -1)
    blocks = quantize_blocks(weight, 4, 16)
    assert blocks.zero_points.ravel().tolist() == [1, 15]
    np.testing.assert_allclose(blocks.scales.ravel(), [1, 0.2], rtol=1e-6)
    assert blocks.values[:4, 0].tolist() == [0, 15, 6, 3]
    assert blocks.values[16:, 0].tolist() == [0, 10, 15, 15]


def test_one_that_stands_out_is_cut_where_the_rest_gains():
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 1, (128, 1)).astype(np.float32)
    weight[5] = 4
    blocks = quantize_blocks(weight, 4, 128)
    assert blocks.dequantized()[5] < 3.5
    np.testing.assert_allclose(blocks.scales * 15, 0.9 * np.ptp(weight), rtol=0.01)
    assert quantize_blocks(weight, 8, 128).dequantized()[5] > 3.9, "too dear with 8 bits"


def test_a_wrong_scale_is_seen():
    """The comparison above is worth something: scales of two blocks exchanged err much more."""
    weight = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    weight[32:] *= 3
    blocks = quantize_blocks(weight, 4, 32)
    wrong = Blocks(blocks.values, blocks.scales[::-1], blocks.zero_points, 4, 32)
    errors = [np.square(item.dequantized() - weight).sum() for item in (blocks, wrong)]
    assert errors[1] > 20 * errors[0]


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 16), (16, 16), (17, 32), (59, 64), (65, 128), (128, 128), (500, 128)]
)
def test_blocks_are_no_longer_than_a_weight_needs(rows, size):
    assert block_size(rows, 128) == size
    assert block_size(rows, 16) == 16
