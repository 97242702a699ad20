"""Training on tokens, from the task's declaration to its score."""

import math

import numpy as np
import pytest

from edgeseq.contract import Frame, Output
from edgeseq.models.decoder import DecoderSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.tasks import Recording, Split
from edgeseq.tasks.next_token import NextToken, next_tokens
from edgeseq.train import FitSettings, fit

LETTERS = tuple("abcdef")
SPECS = {
    "decoder": DecoderSpec(16, 32, layers=1, heads=2, window=16),
    "lstm": LSTMSpec(12, layers=1, dropout=0.0),
}
SETTINGS = FitSettings(
    steps=60, batch=8, crop=24, lr=2e-2, label_smoothing=0, skip=0, evaluate_every=2, refit=0
)


def recording(seed):
    """`abc` or `def`, as a coin falls, again and again."""
    rng = np.random.default_rng(seed)
    tokens = np.concatenate([[0, 1, 2] if rng.random() < 0.5 else [3, 4, 5] for _ in range(100)])
    return Recording(tokens[:, None].astype(np.float32), next_tokens(tokens), str(seed), str(seed))


@pytest.fixture(scope="module")
def task():
    parts = [recording(seed) for seed in range(4)]
    return NextToken(
        name="letters",
        summary="",
        source="",
        frame=Frame(("letter",), ("token",), 1.0, vocabulary=LETTERS),
        output=Output("logits", LETTERS),
        folds=1,
        load=lambda: tuple(parts),
        divide=lambda items, _: Split(items[:2], items[2:3], items[3:]),
        warmup=8,
        span=48,
    )


@pytest.mark.parametrize("family", SPECS)
def test_learns_what_can_be_known_and_no_more(task, family, tmp_path):
    """Two letters of three are certain, and the third is a coin's: a third of a bit each."""
    checkpoint = fit(task, SPECS[family], SETTINGS, tmp_path)
    assert 1 / 3 - 0.03 < checkpoint.scores["test"].value < 1 / 2
    # Of every frame, not half of it; an untrained decoder guesses what it was fed, which is wrong.
    assert 0.8 * math.log(6) < checkpoint.history[0].train_loss < 1.5 * math.log(6)
