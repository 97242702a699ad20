"""Which digit is written, from an 8x8 image that comes row by row, as a line camera sees it.

The test images of UCI's Optical Recognition of Handwritten Digits (Alpaydin & Kaynak 1998,
doi:10.24432/C50P49), which scikit-learn ships. Images lie in the file writer after writer, who is
who is not recorded: the split is in that order, so that hardly a writer is on two sides.
"""

from functools import cache

import numpy as np

from edgeseq.contract import Frame, Output
from edgeseq.extras import require
from edgeseq.tasks import baselines
from edgeseq.tasks.augment import jitter
from edgeseq.tasks.base import Array, Progress, Recording
from edgeseq.tasks.generated import RATE_HZ
from edgeseq.tasks.kinds import Classification
from edgeseq.tasks.splits import in_order

SIZE = 8
TEST, VALIDATION = 0.25, 0.1
SHIFT = 0.7
"""Pixels: an image was 32x32 before, so that less than a pixel is left of where the pen went."""
GAIN, NOISE = 0.1, 0.5


def load(_: Progress | None = None) -> Classification:
    """Declare the task; the images are read when they are first needed."""
    return Classification(
        name="images",
        summary="written digits, 8x8 pixels, row by row at a nominal 100 rows a second; "
        "1,797 images, split as they lie in the file",
        source="scikit-learn, BSD-3-Clause; UCI Optical Recognition of Handwritten Digits, CC BY "
        "4.0",
        frame=Frame(
            channels=tuple(f"x{column}" for column in range(SIZE)),
            units=("1/16",) * SIZE,
            sample_rate_hz=RATE_HZ,
        ),
        output=Output(
            kind="logits",
            labels=tuple(str(digit) for digit in range(10)),
            decision="argmax of the logits at the image's last row",
        ),
        window=SIZE,
        rule="last",
        folds=1,
        load=read_images,
        divide=lambda recordings, _: in_order(recordings, test=TEST, validation=VALIDATION),
        strong={
            "logistic regression": baselines.logistic_regression,
            "SVM": baselines.support_vectors,
        },
        vary=vary,
        training={"crop": SIZE},
    )


@cache
def read_images() -> tuple[Recording, ...]:
    """Read the images: each a recording of 8 rows, top first, of 8 pixels from 0 to 16."""
    table = require("sklearn.datasets").load_digits()
    return tuple(
        Recording(
            frames=image.astype(np.float32),
            target=np.full(SIZE, digit, np.int64),
            subject="13 writers",
            name=f"image-{index:04d}",
        )
        for index, (image, digit) in enumerate(zip(table.images, table.target, strict=True))
    )


def vary(frames: Array, rng: np.random.Generator) -> Array:
    """Move images `(N, 8, 8)` by a part of a pixel either way, and vary how dark the ink is."""
    for axis in (1, 2):
        shift = rng.uniform(-SHIFT, SHIFT, (len(frames), 1, 1)).astype(np.float32)
        frames = (1 - np.abs(shift)) * frames + np.abs(shift) * np.where(
            shift > 0, _moved(frames, 1, axis), _moved(frames, -1, axis)
        )
    gain = rng.normal(1, GAIN, (len(frames), 1, 1)).astype(np.float32)
    return jitter(frames * gain, rng, NOISE)


def _moved(frames: Array, step: int, axis: int) -> Array:
    """Move by a pixel; paper comes in from outside."""
    moved = np.roll(frames, step, axis)
    np.moveaxis(moved, axis, 0)[0 if step > 0 else -1] = 0
    return moved
