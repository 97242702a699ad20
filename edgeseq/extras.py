"""Optional dependencies: import one, or say which extra brings it."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from edgeseq.errors import MissingExtraError

_EXTRA_OF = {
    "onnx": "tools",
    "onnxruntime": "cpu",
    "onnxscript": "train",
    "ray": "ray",
    "safetensors": "train",
    "sklearn": "train",
    "torch": "train",
}


def require(module: str) -> ModuleType:
    """Import `module`, or raise `MissingExtraError` naming the extra that has it."""
    root = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != root:
            raise
        raise MissingExtraError(root, _EXTRA_OF[root]) from None


def available(module: str) -> bool:
    """Say whether `module` could be imported, without importing it."""
    return find_spec(module) is not None
