"""Train, export, quantize, prove and benchmark small streaming sequence models."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeseq.runtime import StreamSession as StreamSession

__all__ = ["StreamSession", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `StreamSession` when it is first asked for: it needs NumPy, `--help` does not."""
    if name == "StreamSession":
        from edgeseq.runtime import StreamSession

        return StreamSession
    raise AttributeError(f"module 'edgeseq' has no attribute {name!r}")
