"""Text gone on with: the library's own generation, and a stream that stops and goes on."""

import numpy as np
import pytest
from runtime.letters import LETTERS, save_model

from edgeseq.errors import DataError, StreamError
from edgeseq.runtime import StreamModel, StreamSession, generate
from edgeseq.runtime.saved import resume
from edgeseq.runtime.text import TextFeed
from edgeseq.tokens import encode


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return StreamModel.load(save_model(tmp_path_factory.mktemp("letters")))


def written(letters, prompt, length, *, saved=None, **how):
    feed, told = TextFeed(StreamSession(letters), saved=saved), []
    feed.run(prompt, length, lambda token, text: told.append((token, text)), **how)
    return feed, "".join(text for _, text in told)


@pytest.mark.parametrize("how", [{"temperature": 0}, {"temperature": 0.8, "seed": 5}])
def test_it_is_what_generate_says(letters, how):
    tokens = list(generate(StreamSession(letters), encode("abé", LETTERS), 40, **how))
    feed, text = written(letters, "abé", 40, **how)
    assert text == "".join(LETTERS[token] for token in tokens)
    assert len(set(text)) > 1
    assert (feed.told, feed.frames) == (40, 42)  # all but the last token were fed


def test_two_parts_are_the_whole(letters, tmp_path):
    _, whole = written(letters, "fade", 50, temperature=0)
    first, text = written(letters, "fade", 20, temperature=0)
    first.saved().save(tmp_path / "s.npz")
    saved = resume(tmp_path / "s.npz", StreamSession(letters))
    second, more = written(letters, "", 30, saved=saved, temperature=0)
    assert text + more == whole
    assert second.frames == 53


def test_what_ends_it_early_loses_nothing(letters):
    _, whole = written(letters, "fade", 30, temperature=0)
    feed, told = TextFeed(StreamSession(letters)), []

    def tell(token, text):
        told.append(text)
        if len(told) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        feed.run("fade", 30, tell, temperature=0)
    _, more = written(letters, "", 18, saved=feed.saved(), temperature=0)
    assert "".join(told) + more == whole


def test_what_cannot_be_gone_on_with(letters):
    with pytest.raises(StreamError, match="an empty prompt has no continuation"):
        written(letters, "", 5)
    with pytest.raises(DataError, match="the vocabulary has no 'z'"):
        written(letters, "abz", 5)
    feed = TextFeed(StreamSession(letters))
    assert (feed.frames, len(feed.pending)) == (0, 0)
    assert not any(np.any(array) for array in feed.saved().states.values())
