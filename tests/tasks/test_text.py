"""Next characters: what is read, how it is split, and what a bit is."""

from dataclasses import replace

import numpy as np
import pytest

from edgeseq.errors import DataError
from edgeseq.tasks import Recording, load_task, text
from edgeseq.tasks.base import UNKNOWN
from edgeseq.tasks.next_token import next_tokens, token_bits
from edgeseq.tokens import decode


@pytest.fixture(scope="module")
def task():
    return load_task("text")


@pytest.fixture(scope="module")
def split(task):
    return task.split()


def library(folder, names, source="x = 1\n" * 40):
    for name in names:
        path = folder / name if name.endswith(".py") else folder / name / "part.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")


def test_files_are_on_one_side_and_packages_whole(split):
    sides = [
        {item.subject for item in side} for side in (split.train, split.validation, split.test)
    ]
    assert sides[2] == {"json", "heapq.py", "textwrap.py"}
    assert sides[0].isdisjoint(sides[1] | sides[2])
    assert sides[1].isdisjoint(sides[2])
    sizes = [sum(map(len, (r.frames for r in s))) for s in (split.train, split.validation)]
    assert 1.5e6 < sizes[0] < 4e6
    assert 15_000 < sizes[1] < 50_000
    assert 50_000 < sum(len(item.frames) for item in split.test) < 150_000


def test_a_recording_is_its_file(task, split):
    import heapq
    from pathlib import Path

    item = next(item for item in split.test if item.name == "heapq.py")
    assert item.frames.shape == (len(item.target), 1)
    words = Path(heapq.__file__).read_text(encoding="utf-8")
    read = decode(item.frames[:, 0].astype(int), task.frame.vocabulary)
    assert [a for a, b in zip(read, words, strict=True) if a != b and a != "\ufffd"] == []
    assert read.count("\ufffd") < 10
    np.testing.assert_array_equal(item.target[:-1], item.frames[1:, 0])
    assert item.target[-1] == UNKNOWN


def test_the_vocabulary_is_fixed(task):
    assert len(task.frame.vocabulary) == len(set(task.frame.vocabulary)) == 97
    assert task.output.labels == task.frame.vocabulary
    assert decode([0, 1, 34, 95, 96], task.frame.vocabulary) == "\n A~\ufffd"


def test_another_pythons_library(tmp_path):
    library(
        tmp_path, ["asyncio", "shlex.py", "json", "heapq.py", "tkinter"], "t\t = '\u20ac'\n" * 9
    )
    library(tmp_path, ["os.py"], "")
    with pytest.raises(DataError, match="lacks modules that text is made of"):
        text.read_library(tmp_path / "nowhere")
    found = text.read_library(tmp_path)
    assert [item.name for item in found] == [
        "asyncio/part.py", "shlex.py", "json/part.py", "heapq.py",
    ]  # fmt: skip
    assert decode(found[0].frames[:8, 0].astype(int), text.VOCABULARY) == "t\ufffd = '\ufffd'"


def test_bits_are_minus_log2_of_the_softmax():
    logits = np.log(np.array([[[0.5, 0.25, 0.25], [0.9, 0.05, 0.05]]], np.float32)) + 70
    np.testing.assert_allclose(token_bits(logits, np.array([[1, 0]])), [[2, -np.log2(0.9)]], 1e-5)


def copier(right, tokens=97):
    """Return a predictor that gives the token after the last one `right`, others the rest."""

    def predict(frames):
        likely = np.full((*frames.shape[:2], tokens), (1 - right) / (tokens - 1))
        after = (frames.astype(int) + 1) % tokens
        np.put_along_axis(likely, after, right, axis=2)
        return np.log(likely).astype(np.float32)

    return predict


def test_a_score_is_the_mean_of_its_losses(task):
    counting = np.arange(1000) % 97
    broken = counting.copy()
    broken[900] = 5  # and so 900 and 901 surprise
    items = [
        Recording(t[:, None].astype(np.float32), next_tokens(t), name, name)
        for t, name in ((counting, "a"), (broken, "b"))
    ]
    score = task.score(copier(0.5), items)
    scored = 1000 - 64 - 1
    rare = -np.log2(0.5 / 96)
    assert score.count == 2 * scored
    assert score.metric == "bits per character"
    assert score.per_subject["a"] == pytest.approx(1)
    assert score.per_subject["b"] == pytest.approx((scored - 2 + 2 * rare) / scored)
    losses = task.losses(copier(0.5), items)
    assert losses.value == pytest.approx(score.value)
    assert losses.count.tolist() == [512, 423] * 2
    assert losses.start.tolist() == [0, 512] * 2
    early = task.losses(copier(0.5), items, first=10)
    assert early.count.tolist() == [10] * 4
    assert early.total == pytest.approx([10] * 4)


def test_every_scored_token_has_the_warm_up_before_it(task):
    """A stretch starts from a reset state: what a predictor knows then is not scored."""
    item = Recording(np.zeros((700, 1), np.float32), np.zeros(700, int), "a", "r")

    def late(frames):
        outputs = np.zeros((*frames.shape[:2], 97), np.float32)
        outputs[:, 64:, 0] = 50
        return outputs

    assert task.score(late, [item]).value == pytest.approx(0, abs=1e-6)
    with pytest.raises(DataError, match="no token with a known next one"):
        task.score(late, [replace(item, target=np.full(700, UNKNOWN))])


def test_baselines_know_text(task, split):
    few = replace(split, train=split.train[:3], test=split.test[3:4])
    scores = task.baselines(few)
    assert list(scores) == ["unigram", "8-gram"]
    assert 4 < scores["unigram"].value < 5.5
    assert 2 < scores["8-gram"].value < 4
