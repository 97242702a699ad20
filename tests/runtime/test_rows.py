"""Rows out of files and pipes, and one line about each that is wrong."""

import io
import os
import threading

import numpy as np
import pytest

from edgeseq.contract import Frame
from edgeseq.errors import StreamError, UsageError
from edgeseq.runtime.rows import read_rows

FRAME = Frame(("ax", "ay", "az"), ("g",) * 3, sample_rate_hz=50, samples=2)
TOKENS = Frame(("symbol",), ("token",), sample_rate_hz=1, vocabulary=tuple("abc"))
HEART = Frame(("heart rate",), ("1/min",), sample_rate_hz=1)
SAMPLES = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)


def rows(text, frame=FRAME, skip=0):
    return list(read_rows(io.StringIO(text), frame, skip))


def samples(text, frame=FRAME, skip=0):
    return np.concatenate(rows(text, frame, skip))


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\n4,5,6\n7,8,9\n",
        "1, 2, 3\n\n4, 5, 6\n7, 8, 9",
        "1 2  3\n 4\t5 6\n7 8 9\n",
        "1;2;3\n4;5;6\n7;8;9\n",
        "1\t2\t3\r\n4\t5\t6\r\n7\t8\t9\r\n",
        "ax,ay,az\n1,2,3\n4,5,6\n7,8,9\n",
        '\ufefftime,az,"ay", ax ,label\n0,3,2,1,walk\n1,6,5,4,"sit, rest"\n2,9,8,7,\n',
        "az ay ax\n3 2 1\n6 5 4\n9 8 7\n",
    ],
    ids=["commas", "spaced", "spaces", "semicolons", "tabs", "header", "any order", "named"],
)
def test_lines_in_every_form(text):
    found = rows(text)
    assert np.array_equal(np.concatenate(found), SAMPLES)
    assert {row.dtype for row in found} == {np.dtype(np.float32)}
    assert np.array_equal(samples(text, skip=2), SAMPLES[2:])


def test_a_line_may_be_a_whole_frame():
    (row,) = rows("1,2,3,4,5,6\n")
    assert np.array_equal(row, SAMPLES[:2])


@pytest.mark.parametrize(
    "text", ["heart rate\n61\n62\n", "time,heart rate\n0,61\n1,62\n", "61\n62"]
)
def test_one_channel_may_have_spaces_in_its_name(text):
    assert samples(text, HEART).tolist() == [[61], [62]]


def test_a_pipe_is_read_as_it_comes():
    """Each row is out before the next line is written."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as lines, os.fdopen(writing, "w") as pipe:
        watchdog = threading.Timer(30, pipe.close)  # a reader that waits for more ends, too
        watchdog.start()
        found = read_rows(lines, FRAME)
        for sample in SAMPLES:
            print(*sample, file=pipe, flush=True)
            assert next(found)[0].tolist() == sample.tolist()
        watchdog.cancel()


WRONG = {
    "1,2,3\n4,5\n": "line 2: 2 values, where the lines before have 3",
    "1,2\n": "line 1: 2 values; a line is one sample of 3 (ax, ay, az) or one frame of 6",
    "1,2,3\n\n4,five,6\n": 'line 3: channel ay is no number but "five"',
    "1,2,3,4,5,x\n1,2,3,4,5,6": 'line 1: channel az is no number but "x"',
    "1,2,3\n4,nan,6\n": "line 2: channel ay is nan, which would stay in the state",
    "1,2,3\n4,,6\n": "line 2: channel ay is nan",
    "1,2,1e39\n": "line 1: channel az is 1e+39",
    "1,2,3\n4,-inf,6\n": "line 2: channel ay is -inf",
    "ax,ay,Az\n": 'line 1: the header has no column "az"; name the channels: ax, ay, az',
    "ax,ay,az,ay\n": 'line 1: the header has "ay" twice',
    "ax,ay,az\n1,2,3\n4,5,6,7\n": "line 3: 4 values, where the lines before have 3",
    "1,2,3\n\ufffd\x00\n": "line 2: 1 value, where",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said_with_its_line(text):
    with pytest.raises(StreamError) as error:
        rows(text)
    assert str(error.value).startswith(f"standard input, {WRONG[text]}")
    assert "\n" not in str(error.value)


def test_a_column_with_almost_the_name():
    with pytest.raises(StreamError, match=r'no column "heart rate" \(is it "heart_rate"\?\)'):
        rows("time,heart_rate\n0,61\n", HEART)


@pytest.mark.parametrize("text", ["3", "-1", "0.5"])
def test_what_is_no_token_is_refused(text):
    """A graph might take it for another one, counted from the end."""
    assert samples("0\n2\n", TOKENS).tolist() == [[0], [2]]
    with pytest.raises(StreamError, match=f"line 2: {text} is no token; there are 0 to 2"):
        rows(f"1\n{text}\n", TOKENS)


def test_rows_before_a_wrong_one_come_out():
    found = read_rows(io.StringIO("1,2,3\n4,5,6\n7,nan,9\n"), FRAME)
    assert [next(found).tolist(), next(found).tolist()] == [[[1, 2, 3]], [[4, 5, 6]]]
    with pytest.raises(StreamError, match="line 3"):
        next(found)


@pytest.mark.parametrize("kind", ["float32", "float64", "int16", "uint8"])
def test_arrays_of_any_number(tmp_path, kind):
    np.save(tmp_path / "a.npy", SAMPLES.astype(kind))
    found = list(read_rows(tmp_path / "a.npy", FRAME))
    assert np.array_equal(np.concatenate(found), SAMPLES)
    assert found[0].dtype == np.float32
    assert np.array_equal(
        np.concatenate(list(read_rows(tmp_path / "a.npy", FRAME, 2))), SAMPLES[2:]
    )


def test_arrays_of_frames_alone_or_among_others(tmp_path):
    frames = SAMPLES[:2].reshape(1, 6)
    np.savez(tmp_path / "one.npz", anything=frames)
    np.savez(tmp_path / "more.npz", outputs=np.zeros(3), frames=frames)
    np.save(tmp_path / "heart.npy", np.array([61, 62]))
    for name in ("one.npz", "more.npz"):
        assert np.array_equal(next(read_rows(tmp_path / name, FRAME)), SAMPLES[:2])
    assert [row.item() for row in read_rows(tmp_path / "heart.npy", HEART)] == [61, 62]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 4)), "holds float64 of shape (5, 4); a row is one sample of 3"),
        (np.zeros(3), "save numbers of shape (rows, 3) or (rows, 6)"),
        (np.zeros((2, 5, 3)), "holds float64 of shape (2, 5, 3)"),
        (np.array([["a", "b", "c"]]), "holds <U1 of shape (1, 3)"),
        (np.array([[1, 2, 3], [1, np.nan, 3]]), "a.npy, row 2: channel ay is nan"),
    ],
)
def test_arrays_that_are_no_rows(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(StreamError) as error:
        list(read_rows(tmp_path / "a.npy", FRAME))
    assert message in str(error.value)


def test_damaged_and_unnamed_arrays(tmp_path):
    np.savez(tmp_path / "two.npz", a=SAMPLES, b=SAMPLES)
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(StreamError, match='holds a, b; save one array, or call it "frames"'):
        list(read_rows(tmp_path / "two.npz", FRAME))
    with pytest.raises(StreamError, match="cannot be read"):
        list(read_rows(tmp_path / "cut.npy", FRAME))


def test_no_file_and_no_kind_of_file(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(UsageError, match=r"no file .*b.csv; name one that exists, or -"):
        read_rows(tmp_path / "b.csv", FRAME)
    with pytest.raises(UsageError, match=r"a file of kind .wav cannot be read; there are: .csv"):
        read_rows(tmp_path / "a.wav", FRAME)
