"""Old `.npy` files that hold pickled arrays, read without letting the pickle run anything."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from edgeseq.errors import DataError


def _latin1(text: str, encoding: str) -> bytes:
    """Stand in for `_codecs.encode`, which Python 2 arrays use for their bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r} is not allowed")
    return text.encode(encoding)


_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]  # NumPy moved the module, not the function

_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("_codecs", "encode"): _latin1,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds arrays, lists, dicts and scalars; everything else is refused by name."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Return what a pickle may call."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it calls {module}.{name}") from None


def load_arrays(data: bytes, *, where: str) -> dict[str, Any]:
    """Return the dict of arrays that `np.save` pickled into the bytes of an `.npy` file.

    Raises:
        DataError: It is not such a file, or its pickle calls anything but NumPy's array maker.
    """
    file = io.BytesIO(data)
    try:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        table = _ArrayUnpickler(file).load().item()
    except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, TypeError) as error:
        raise DataError(f"refused to read {where}: {error}") from None
    if not isinstance(table, dict):
        raise DataError(f"refused to read {where}: it holds no table of arrays")
    return table
