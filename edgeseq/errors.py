"""Every failure edgeseq can name.

EdgeseqError            exit 1: something failed
 ├─ UsageError          exit 2: the call itself makes no sense
 ├─ ConfigError         exit 2: a TOML has mistakes; all of them, at once
 ├─ MissingExtraError   exit 1: an optional dependency is not installed
 ├─ DataError           exit 1: a task's data is missing, damaged or unreachable
 ├─ CheckpointError     exit 1: a training run cannot be read or resumed
 ├─ BundleError         exit 1: a bundle is damaged, unsafe, or of an unknown version
 ├─ ModelError          exit 1: an ONNX file cannot be loaded or lacks its contract
 ├─ StreamError         exit 1: a frame or a state that the model cannot take
 ├─ ProviderError       exit 1: the execution provider asked for is not the one that would run
 └─ PromiseError        exit 3: it ran, but a promise (parity, accuracy, budget) broke

A message has three parts: what happened, why, and what to type next.
"""

from collections.abc import Iterable


class EdgeseqError(Exception):
    """Base of all errors that are shown to the user as one line."""

    exit_code = 1


class UsageError(EdgeseqError):
    """The call makes no sense as typed."""

    exit_code = 2


class ConfigError(EdgeseqError):
    """A configuration file has mistakes; `mistakes` lists all of them."""

    exit_code = 2

    def __init__(self, where: str, mistakes: Iterable[str]) -> None:
        self.where = where
        self.mistakes = tuple(mistakes)
        lines = "".join(f"\n  - {mistake}" for mistake in self.mistakes)
        count = f"{len(self.mistakes)} mistake{'s' if len(self.mistakes) > 1 else ''}"
        super().__init__(f"{where}: {count}{lines}")

    def __reduce__(self) -> tuple[object, ...]:
        """Let it cross from a worker process."""
        return type(self), (self.where, self.mistakes)


class MissingExtraError(EdgeseqError):
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        self.module, self.extra = module, extra
        super().__init__(
            f"this needs {module}, which is not installed. "
            f'Install it with: pip install "edgeseq[{extra}]"'
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Let it cross from a worker process."""
        return type(self), (self.module, self.extra)


class DataError(EdgeseqError):
    """A task's data is missing, damaged or unreachable."""


class CheckpointError(EdgeseqError):
    """A training run cannot be read or resumed."""


class BundleError(EdgeseqError):
    """A bundle is damaged, unsafe, or of an unknown version."""


class ModelError(EdgeseqError):
    """An ONNX file cannot be loaded or lacks its contract."""


class StreamError(EdgeseqError, ValueError):
    """A frame or a state that the model cannot take."""


class ProviderError(EdgeseqError):
    """The execution provider that was asked for is not the one that would run."""


class PromiseError(EdgeseqError):
    """It ran, but a promise (parity, accuracy, budget) broke."""

    exit_code = 3
