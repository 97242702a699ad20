"""Raw samples as a line of text: what a summary leaves out can always be looked up again."""

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

KEPT = 5000
"""Samples that are kept of one measurement; of more, every k-th."""

_LONGEST = 2**32 - 1


def thin(values: NDArray[np.int64], most: int = KEPT) -> NDArray[np.int64]:
    """Return `values` `(n,)`, or every k-th of them if there are more than `most`."""
    return values[:: -(-len(values) // most)] if len(values) > most else values


def pack(nanoseconds: NDArray[np.int64]) -> str:
    """Return samples in their order as text; what is longer than 4.29 s is cut to that.

    The form: unsigned 32-bit nanoseconds, all lowest bytes first, then the next ones, to the
    highest (their bytes are alike, so they pack well); zlib; base64.
    """
    values = np.clip(nanoseconds, 0, _LONGEST).astype("<u4")
    planes = values.view(np.uint8).reshape(-1, 4).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")


def unpack(text: str) -> NDArray[np.int64]:
    """Return the nanoseconds that `pack` was given; raise `ValueError` where it is not one."""
    try:
        planes = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), np.uint8)
    except zlib.error as error:
        raise ValueError(f"not packed samples: {error}") from None
    values = np.ascontiguousarray(planes.reshape(4, -1).T).view("<u4")
    return values.reshape(-1).astype(np.int64)
