"""Text as tokens and tokens as text, through a vocabulary of characters."""

from collections.abc import Iterable, Sequence

from edgeseq.errors import DataError

UNKNOWN_CHARACTER = "\ufffd"
"""The token of every character that a vocabulary does not have."""


def encode(text: str, vocabulary: Sequence[str]) -> list[int]:
    """Return the token of each character; what is not in `vocabulary` is `UNKNOWN_CHARACTER`.

    Raises:
        DataError: a character is not in `vocabulary`, which has no token for such.
    """
    number = {token: index for index, token in enumerate(vocabulary)}
    unknown = number.get(UNKNOWN_CHARACTER)
    tokens = [number.get(character, unknown) for character in text]
    if None in tokens:
        character = text[tokens.index(None)]
        raise DataError(f"the vocabulary has no {character!r}, nor a token for such; leave it out")
    return [token for token in tokens if token is not None]


def decode(tokens: Iterable[int], vocabulary: Sequence[str]) -> str:
    """Return the text that `tokens` stand for.

    Raises:
        DataError: a number is not that of a token.
    """
    known = range(len(vocabulary))
    numbers = list(tokens)
    for number in numbers:
        if number not in known:
            raise DataError(f"{number} is no token; there are 0 to {known.stop - 1}")
    return "".join(vocabulary[number] for number in numbers)
