"""Text that a next-token model goes on with, in a stream that can be kept."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from edgeseq.runtime.buffers import Array
from edgeseq.runtime.generate import generate
from edgeseq.runtime.saved import SavedStream, fingerprint
from edgeseq.runtime.stream import StreamSession
from edgeseq.tokens import encode

Tell = Callable[[int, str], object]
"""Called with each token and what it stands for, as soon as it is known."""


class TextFeed:
    """One stream of tokens; the last one that came out is fed only when more is asked for."""

    def __init__(
        self,
        session: StreamSession,
        *,
        saved: SavedStream | None = None,
        shield: AbstractContextManager[object] | None = None,
    ) -> None:
        """Go on with `saved`, or begin a new text.

        Args:
            session: a session of one stream.
            saved: where the text stopped; it belongs to this model.
            shield: entered around every token and what is told of it, so that neither is lost.
        """
        self.session = session
        self.frames = 0
        """Tokens fed since the stream's reset."""
        self.told = 0
        """Tokens of this run that came out."""
        self.pending: Array = np.zeros((0, 1), np.float32)
        """Token `(S, 1)` that was told of and not fed."""
        self._shield = shield or nullcontext()
        self._model = fingerprint(session)
        if saved:
            session.state = saved.states
            self.frames, self.pending = saved.frames, saved.pending

    def run(
        self, prompt: str, length: int, tell: Tell, *, temperature: float = 1.0, seed: int = 0
    ) -> None:
        """Go on after `prompt` for `length` tokens; `tell` of each.

        Raises:
            DataError: the vocabulary lacks one of the prompt's characters.
            StreamError: there is nothing to go on from, or the model continues no text.
        """
        vocabulary = self.session.contract.frame.vocabulary
        tokens_of = encode(prompt, vocabulary) if vocabulary else []  # generate says what is wrong
        given = [*map(int, self.pending[:, 0]), *tokens_of]
        tokens = generate(self.session, given, length, temperature=temperature, seed=seed)
        feeding = len(given)
        while self.told < length:
            with self._shield:
                token = next(tokens)
                self.frames += feeding
                feeding = 1
                self.told += 1
                self.pending = np.full((1, 1), token, np.float32)
                tell(token, vocabulary[token])

    def saved(self) -> SavedStream:
        """Return the stream as it is now, to be kept and gone on with."""
        return SavedStream(self._model, self.frames, self.pending, self.session.state)
