"""Raw samples come back as they were, and their form is fixed to the byte."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeseq.bench.samples import KEPT, pack, thin, unpack


@given(arrays(np.int64, st.integers(0, 200), elements=st.integers(0, 2**32 - 1)))
def test_round_trip(times):
    np.testing.assert_array_equal(unpack(pack(times)), times)


def test_the_form_is_the_documented_one():
    text = pack(np.array([1, 256, 0x01020304]))
    lowest_first = bytes([1, 0, 4, 0, 1, 3, 0, 0, 2, 0, 0, 1])
    assert zlib.decompress(base64.b64decode(text)) == lowest_first
    np.testing.assert_array_equal(unpack("eNpjZGBiYGRkAAMAADsABg=="), [1, 256, 258])


def test_what_does_not_fit_is_cut_not_wrapped():
    np.testing.assert_array_equal(unpack(pack(np.array([2**40, -5]))), [2**32 - 1, 0])


@pytest.mark.parametrize("text", ["no base64!", base64.b64encode(b"no zlib").decode()])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=r"base64|not packed"):
        unpack(text)


def test_thinning_keeps_the_order_and_the_ends_of_the_run():
    times = np.arange(100_001)
    kept = thin(times)
    assert KEPT / 2 < len(kept) <= KEPT
    assert len(set(np.diff(kept))) == 1
    assert kept[0] == 0
    assert kept[-1] > 0.999 * times[-1]
    np.testing.assert_array_equal(thin(times[:KEPT]), times[:KEPT])


def test_ten_thousand_steps_take_a_few_kilobytes():
    times = (18_000 * np.random.default_rng(0).lognormal(0, 0.1, 10_000)).astype(np.int64)
    assert len(pack(thin(times))) < 14_000
