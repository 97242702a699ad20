"""Generation: a next-token model continues a prompt, one token at a time, its state carried."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Contract, predicts_next_token
from edgeseq.errors import StreamError, UsageError
from edgeseq.runtime.buffers import Array
from edgeseq.runtime.stream import StreamSession


def generate(
    session: StreamSession,
    prompt: Sequence[int],
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | np.random.Generator = 0,
) -> Iterator[int]:
    """Feed `prompt`, then yield `length` tokens, each as soon as it is known.

    A token is fed when the next one is asked for. So the last one is not: as the next call's
    prompt, with the same generator of random numbers, it goes on as if there had been one call.

    Args:
        session: one stream of a next-token model; where it stands, the prompt goes on.
        prompt: at least one token.
        length: how many tokens to yield.
        temperature: 0 takes the most likely token; below 1 the likely ones come more often.
        top_k: draw among this many of the most likely tokens; none: all.
        top_p: draw among the fewest tokens that are together this likely (Holtzman et al. 2020,
            arXiv:1904.09751); none: all.
        seed: of the draws, or a generator to go on with.

    Raises:
        StreamError: the model continues no tokens, or the prompt has none or unknown ones.
        UsageError: the draw makes no sense.
    """
    _require_next_token(session)
    _require_prompt(prompt, session.contract)
    _require_draw(temperature, top_k, top_p)
    rng = np.random.default_rng(seed)
    return _continued(
        session,
        prompt,
        length,
        lambda logits: choose(logits, rng, temperature=temperature, top_k=top_k, top_p=top_p),
    )


def _continued(
    session: StreamSession, prompt: Sequence[int], length: int, pick: Callable[[Array], int]
) -> Iterator[int]:
    """Feed the prompt, then each token that `pick` takes."""
    fed = list(prompt)
    for _ in range(length):
        logits = session.run(np.array(fed, np.float32)[:, None])[-1]
        fed = [pick(logits)]
        yield fed[0]


def choose(
    logits: Array,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """Return a token: the most likely one at temperature 0, else one drawn by `probabilities`."""
    if not np.isfinite(logits).all():
        raise StreamError("the model returned NaN or infinity; reset the stream, or train again")
    if temperature == 0:
        return int(logits.argmax())
    likely = probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    cumulative = likely.cumsum()
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def probabilities(
    logits: Array, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> NDArray[np.float64]:
    """Return how likely each token `(C,)` is drawn: 0 for those that `top_k` or `top_p` leave out.

    `top_p` counts among what `top_k` leaves. Of equally likely tokens the first ones are kept.
    """
    scaled = (logits.astype(np.float64) - logits.max()) / temperature
    order = np.argsort(-scaled, kind="stable")[:top_k]
    likely = np.exp(scaled[order])
    likely /= likely.sum()
    if top_p is not None:
        before = likely.cumsum() - likely  # how likely the better ones are together
        likely[1:][before[1:] >= top_p] = 0
        likely /= likely.sum()
    everyone = np.zeros(len(logits))
    everyone[order] = likely
    return everyone


def _require_next_token(session: StreamSession) -> None:
    contract = session.contract
    if not predicts_next_token(contract.frame, contract.output):
        channels = ", ".join(contract.frame.channels)
        raise StreamError(
            f"{session.model.source} continues no text: it maps [{channels}] to "
            f"{len(contract.output.labels)} {contract.output.kind}. "
            "Make a model that does: edgeseq train text"
        )
    if session.streams != 1:
        raise StreamError(f"generation is of one stream, not {session.streams}; open one for each")


def _require_prompt(prompt: Sequence[int], contract: Contract) -> None:
    if not len(prompt):
        raise StreamError("an empty prompt has no continuation; give at least one token")
    known = range(len(contract.frame.vocabulary))
    for token in prompt:
        if token not in known:
            raise StreamError(f"{token} is no token of this model; there are 0 to {known.stop - 1}")


def _require_draw(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not 0 <= temperature < np.inf:
        raise UsageError(f"temperature {temperature} is not 0 or a positive number")
    if top_k is not None and top_k < 1:
        raise UsageError(f"top-k {top_k} is not a number from 1 up")
    if top_p is not None and not 0 < top_p <= 1:
        raise UsageError(f"top-p {top_p} is not a share above 0, up to 1")
