"""Pickled arrays are read; a pickle that would run something is refused by name."""

import io
import os
import pickle

import numpy as np
import pytest

from edgeseq.errors import DataError
from edgeseq.tasks.pickles import load_arrays


def npy(payload):
    """Wrap a pickle as np.save does an object array."""
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + payload


def saved(value, **options):
    file = io.BytesIO()
    np.save(file, np.array(value, dtype=object), allow_pickle=True, **options)
    return file.getvalue()


def test_reads_what_numpy_saved():
    x = [np.arange(6.0).reshape(3, 2), np.ones((2, 2))]
    table = load_arrays(saved({"X": x, "y": np.array([1, 2]), "names": ["a"]}), where="t.npy")
    np.testing.assert_array_equal(table["X"][0], x[0])
    assert table["y"].tolist() == [1, 2]
    assert table["names"] == ["a"]


def test_reads_arrays_of_python_2():
    """Protocol 2 writes bytes as latin-1 text through _codecs.encode."""
    array = np.array({"y": np.array([200, -1])}, dtype=object)
    table = load_arrays(npy(pickle.dumps(array, protocol=2)), where="t.npy")
    assert table["y"].tolist() == [200, -1]


class Attack:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(2, 6))
def test_refuses_to_run_anything(tmp_path, protocol):
    witness = tmp_path / "ran"
    payload = pickle.dumps(Attack(os.mkdir, str(witness)), protocol=protocol)
    pickle.loads(payload)  # the attack is real
    assert witness.is_dir()
    witness.rmdir()
    with pytest.raises(DataError, match=r"refused to read t\.npy: it calls \w+\.mkdir"):
        load_arrays(npy(payload), where="t.npy")
    assert not witness.exists()


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"cbuiltins\neval\n(V1\ntR.", r"it calls builtins\.eval"),
        (b"cnumpy\nload\n(Vx\ntR.", r"it calls numpy\.load"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "encoding 'rot13' is not allowed"),
        (pickle.dumps(np.array([1, 2], dtype=object)), "can only convert an array of size 1"),
        (pickle.dumps(np.array(3, dtype=object)), "it holds no table of arrays"),
        (b"", "Ran out of input|EOF"),
    ],
)
def test_refuses(payload, message):
    with pytest.raises(DataError, match=message):
        load_arrays(npy(payload), where="t.npy")


def test_refuses_other_files():
    with pytest.raises(DataError, match=r"refused to read t\.npy: "):
        load_arrays(b"not an array at all", where="t.npy")
