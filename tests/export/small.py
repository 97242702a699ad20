"""Small random models, their graphs, and the plainest loop that streams one."""

from functools import cache

import numpy as np
import onnxruntime as ort
import torch

from edgeseq.contract import Contract, Frame, Output
from edgeseq.export import build_graph
from edgeseq.families import POSITIONS
from edgeseq.models import SequenceModel
from edgeseq.models.cnn import CNNSpec
from edgeseq.models.encoder import EncoderSpec
from edgeseq.models.encoder_decoder import EncoderDecoderSpec
from edgeseq.models.gru import GRUSpec
from edgeseq.models.hybrid import HybridSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.models.vit import ViTSpec

FRAME = Frame(channels=("x", "y"), units=("m/s2", "m/s2"), sample_rate_hz=50.0, samples=2)
LOGITS = Output(kind="logits", labels=("a", "b", "c"), decision="the largest logit")
VALUE = Output(kind="value", labels=("now", "next"), units="mg/dL", residual_of=3, name="values")

SPECS = {
    "lstm": LSTMSpec(hidden=6),
    "lstm-1-layer": LSTMSpec(hidden=1, layers=1),
    "lstm-3-layers": LSTMSpec(hidden=5, layers=3),
    "lstm-projected": LSTMSpec(hidden=9, projection=4),
    "gru": GRUSpec(hidden=6),
    "gru-3-layers": GRUSpec(hidden=5, layers=3),
    "hybrid": HybridSpec(width=16, feed_forward=20, heads=2, window=8),
    "transformer": TransformerSpec(width=16, feed_forward=20, heads=2, window=8),
    "transformer-window-1": TransformerSpec(
        width=8, feed_forward=6, layers=1, heads=1, window=1
    ),
    "transformer-window-2": TransformerSpec(width=12, feed_forward=6, heads=2, window=2),
    "transformer-3-layers": TransformerSpec(
        width=24, feed_forward=11, layers=3, heads=3, window=5
    ),
    "encoder": EncoderSpec(width=8, feed_forward=10, heads=2, window=6, lookahead=2),
    "vit": ViTSpec(width=8, feed_forward=10, heads=2, window=7, patch=3),
    "cnn": CNNSpec(channels=6, layers=2, window=8),
    "encoder-decoder": EncoderDecoderSpec(
        width=16, feed_forward=20, source=5, heads=2, window=8
    ),
}  # fmt: skip
WINDOWED = [name for name in SPECS if name.startswith(("hybrid", "transformer", "encoder-decoder"))]
"""With a ring as their state, and a graph of the newest operators for one frame a call."""
KINDS = {
    kind: TransformerSpec(12, feed_forward=10, heads=2, window=3, positions=kind)
    for kind in POSITIONS
}
"""A Transformer for each kind of positions, that goes around its ring and its period soon."""


@cache
def model_of(name, output=LOGITS, seed=0):
    """Return a model of random weights with units at both ends."""
    torch.manual_seed(seed)
    model = SequenceModel((SPECS | KINDS)[name], FRAME.size, len(output.labels), output.residual_of)
    with torch.no_grad():
        for parameter in model.parameters():  # livelier than what training starts from
            parameter.mul_(1.5).add_(torch.randn_like(parameter) * 0.05)
    model.input_mean.copy_(torch.tensor([9.8, -100.0, 0.0, 120.0]))
    model.input_std.copy_(torch.tensor([2.0, 30.0, 1.0, 40.0]))
    if output.kind == "value":
        model.output_mean.copy_(torch.tensor([1.5, -2.0]))
        model.output_std.copy_(torch.tensor([8.0, 25.0]))
    return model.eval()


@cache
def graph_of(name, output=LOGITS, seed=0, **options):
    """Return the ONNX model."""
    return build_graph(
        model_of(name, output, seed), FRAME, output, producer="test", recipe="test", **options
    )


def frames_of(model, streams, length, seed=0):
    """Draw raw frames `(N, T, F)` in the units that the model expects."""
    normal = np.random.default_rng(seed).normal(size=(streams, length, FRAME.size))
    return (normal * model.input_std.numpy() + model.input_mean.numpy()).astype(np.float32)


def whole(model, frames):
    """Return PyTorch's whole-sequence outputs."""
    with torch.inference_mode():
        return model(torch.from_numpy(frames)).numpy()


def relative_error(outputs, expected):
    """Return the largest difference over the RMS of what is expected."""
    assert outputs.shape == expected.shape
    return float(np.abs(outputs - expected).max() / np.sqrt(np.mean(expected**2)))


class Loop:
    """What an app would write that has read the contract in the file's metadata."""

    def __init__(self, graph):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.contract = Contract.from_metadata(metadata, where="test")

    def fresh(self, streams):
        return {
            state.input: np.full(state.sized(streams), state.initial, state.dtype)
            for state in self.contract.states
        }

    def call(self, frames, state):
        """Feed `(N, T, F)`; return outputs and the next state."""
        contract = self.contract
        names = [contract.output.name, *(state.output for state in contract.states)]
        outputs, *after = self.session.run(names, {contract.frame.name: frames, **state})
        inputs = [state.input for state in contract.states]
        return outputs, dict(zip(inputs, after, strict=True))

    def run(self, frames, cuts, state=None):
        """Feed `(N, T, F)` in chunks of the lengths `cuts`; return all outputs and the state."""
        assert sum(cuts) == frames.shape[1]
        state = self.fresh(len(frames)) if state is None else state
        outputs = []
        for part in np.split(frames, np.cumsum(cuts)[:-1], axis=1):
            one, state = self.call(part, state)
            outputs.append(one)
        return np.concatenate(outputs, axis=1), state


@cache
def loop_of(name, output=LOGITS, seed=0, **options):
    """Return a loaded graph."""
    return Loop(graph_of(name, output, seed, **options))
