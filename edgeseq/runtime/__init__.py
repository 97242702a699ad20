"""Running step graphs with NumPy and ONNX Runtime, nothing else."""

from edgeseq.contract import SessionSettings
from edgeseq.runtime.generate import generate
from edgeseq.runtime.model import StreamModel
from edgeseq.runtime.predict import predict
from edgeseq.runtime.stream import StreamSession

__all__ = ["SessionSettings", "StreamModel", "StreamSession", "generate", "predict"]
