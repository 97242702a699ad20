"""A tiny next-token model of random weights, as a file."""

import torch

from edgeseq.contract import Frame, Output
from edgeseq.export import build_graph
from edgeseq.models import SequenceModel
from edgeseq.models.lstm import LSTMSpec

LETTERS = (*"abcdefg", "\n", "é")


def save_model(folder, letters=LETTERS):
    """Write a model of `letters` into `folder` and return its path."""
    torch.manual_seed(11)
    count = len(letters)
    model = SequenceModel(LSTMSpec(hidden=16), 1, count, vocabulary=count).eval()
    with torch.no_grad():
        for weight in model.body.parameters():
            weight *= 3  # so that greedy text does not end in one letter
    frame = Frame(("character",), ("token",), sample_rate_hz=1, vocabulary=letters)
    output = Output(kind="logits", labels=letters)
    graph = build_graph(model, frame, output, producer="test", recipe="test")
    (folder / "letters.onnx").write_bytes(graph.SerializeToString())
    return folder / "letters.onnx"
