"""ONNX Runtime sessions that look into a graph; those that stream are `edgeseq.runtime`'s."""

from typing import Any

from edgeseq.extras import require

_ERRORS_ONLY = 3


def quiet_session(model: str | bytes, **options: Any) -> Any:  # noqa: ANN401 - untyped there
    """Open a file, or the bytes of one, on the CPU; `options` are fields of `SessionOptions`."""
    ort = require("onnxruntime")
    settings = ort.SessionOptions()
    for name, value in {"log_severity_level": _ERRORS_ONLY, **options}.items():
        setattr(settings, name, value)
    return ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
