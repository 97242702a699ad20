"""Kneser-Ney by hand, by its definition, and as a probability."""

from collections import Counter

import numpy as np
import pytest

from edgeseq.errors import UsageError
from edgeseq.tasks import Recording
from edgeseq.tasks.ngrams import NGrams


def recording(tokens):
    frames = np.array(tokens, np.float32)[:, None]
    return Recording(frames, np.array(tokens), "a", "r")


def test_a_bigram_by_hand():
    """0 0 1 0 2, from a start that counts as 0: too short to estimate discounts, so 0.5 each.

    Bigrams: 00 twice (the start's among them), 01, 10, 02. Of 2 tokens each, 0 is preceded by
    {0, 1}, 1 by {0}, 2 by {0}: 2 + 1 + 1 = 4 kinds.
    """
    model = NGrams([recording([0, 0, 1, 0, 2])], 2, 3)
    once = (1.5 + 0.5 * 3 / 3) / 4, (0.5 + 0.5 * 3 / 3) / 4  # of 0, and of 1 and 2
    once = once[0], once[1], once[1]
    after_0 = [
        (count - 0.5) / 4 + 3 * 0.5 / 4 * p for count, p in zip((2, 1, 1), once, strict=True)
    ]
    after_1 = [(count > 0) * 0.5 + 0.5 * p for count, p in zip((1, 0, 0), once, strict=True)]
    likely = model.probabilities(np.array([0, 1, 2]))
    np.testing.assert_allclose(likely, [after_0, after_1, once], rtol=1e-12)


def reference(texts, order, tokens, context):
    """Return the next token's probabilities as the definition has it, gram by gram."""
    padded = [(0,) * (order - 1) + tuple(text) for text in texts]
    levels = [Counter(text[i : i + order] for text in padded for i in range(len(text) - order + 1))]
    for _ in range(order - 1):
        levels.append(Counter(gram[1:] for gram in levels[-1]))

    def probability(token, level):
        if level == order:
            return 1 / tokens
        size, counts = order - level, levels[level]
        past = tuple(context[len(context) - size + 1 :])
        own = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == past}
        lower = probability(token, level + 1)
        if not own:
            return lower
        n1, n2, n3, n4 = (sum(c == times for c in counts.values()) for times in (1, 2, 3, 4))
        discount = (0, 0.5, 0.5, 0.5)
        if n1 and n2 and n3 and n4:
            y = n1 / (n1 + 2 * n2)
            discount = (0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
            discount = [max(0, min(value, index)) for index, value in enumerate(discount)]
        taken = sum(discount[min(count, 3)] for count in own.values())
        count = own.get(token, 0)
        kept = count - discount[min(count, 3)]
        return (kept + taken * lower) / sum(own.values())

    return [probability(token, 0) for token in range(tokens)]


def test_as_its_definition_says():
    rng = np.random.default_rng(0)
    tokens = 12
    texts = [np.minimum(rng.geometric(0.25, 1200) - 1, tokens - 2) for _ in range(2)]
    model = NGrams([recording(text) for text in texts], 3, tokens)
    assert all(level.discounts[1] != 0.5 for level in model.levels[1:])  # estimated
    text = np.array([0, 1, 3, 0, 0, 9, 2, 11, 1, 10, 10, 0])
    likely = model.probabilities(text)
    padded = [0, *text]
    for place in range(len(text)):
        expected = reference(texts, 3, tokens, tuple(padded[: place + 2]))
        np.testing.assert_allclose(likely[place], expected, rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_are_positive_sum_to_one_and_are_causal(order):
    rng = np.random.default_rng(1)
    model = NGrams([recording(rng.integers(0, 5, 300))], order, 7)
    frames = rng.integers(0, 7, (3, 40, 1)).astype(np.float32)
    outputs = model(frames)
    assert outputs.shape == (3, 40, 7)
    np.testing.assert_allclose(np.exp(outputs).sum(axis=-1), 1, rtol=1e-5)
    frames[:, 20:] = 0
    np.testing.assert_array_equal(model(frames)[:, :20], outputs[:, :20])


def test_a_text_that_repeats_is_learnt():
    model = NGrams([recording([0, 1, 2, 3] * 50)], 3, 4)
    assert model.probabilities(np.array([0, 1, 2, 3, 0])).argmax(axis=1).tolist() == [1, 2, 3, 0, 1]


def test_more_than_64_bits_are_refused():
    with pytest.raises(UsageError, match="no 10-grams of 97 tokens"):
        NGrams([], 10, 97)
