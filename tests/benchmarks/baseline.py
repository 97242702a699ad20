"""Baseline B: what `torch.onnx.export` and ONNX Runtime's defaults give, against edgeseq.

    python tests/benchmarks/baseline.py

Both sides have the same weights, N = T = 1, normalisation included. B is the natural PyTorch
step module (`nn.LSTM`, `nn.GRU` with stacked state; the Transformer with a shifted cache), made by
`torch.onnx.export(dynamo=True)` with its default opset, run by `InferenceSession.run` with default
`SessionOptions`. The other side is edgeseq's file through the public `StreamSession.step()`.
All run interleaved in one process that is pinned to one core; outputs are compared before they are
timed. B's default session places a second thread on another core all the same (`B, one thread` does
not): where that helps, B has two cores and edgeseq one.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from edgeseq.bench.candidate import Candidate, of_file
from edgeseq.bench.latency import HotResult, HotSettings, measure_hot
from edgeseq.bench.machine import this_machine
from edgeseq.contract import Frame, Output, SessionSettings
from edgeseq.export import build_graph
from edgeseq.models import SequenceModel
from edgeseq.models.gru import GRUSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import load_recipe
from edgeseq.runtime.model import session_options

INPUTS, OUTPUTS = 40, 12
FRAME = Frame(tuple(f"x{i}" for i in range(INPUTS)), ("1",) * INPUTS, 100.0)
OUTPUT = Output("logits", tuple(f"class {i}" for i in range(OUTPUTS)))
Spec = LSTMSpec | GRUSpec | TransformerSpec
ONE_THREAD = "B, one thread"
INT8 = ("int8", "int8-per-tensor", "step-int8", "step-int8-per-tensor")


@dataclasses.dataclass(frozen=True)
class Target:
    """A model, and the share of B's time that the best of some variants may take."""

    spec: Spec
    variants: tuple[str, ...]
    limit: float


TARGETS = {
    "LSTM 2x128": Target(LSTMSpec(128, 2), INT8, 0.47),
    "LSTM 2x256": Target(LSTMSpec(256, 2), INT8, 0.42),
    "GRU 2x128": Target(GRUSpec(128, 2), INT8, 0.65),
    "Transformer d64 x 2, window 128": Target(
        TransformerSpec(64, 256, window=128), ("fp32", "step", *INT8), 0.40
    ),
    "Transformer d128 x 4, window 128": Target(
        TransformerSpec(128, 512, layers=4, window=128), INT8, 0.40
    ),
}


class RecurrentStep(nn.Module):
    """One frame through `nn.LSTM` or `nn.GRU`, its state stacked as PyTorch has it."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model
        self.lstm = isinstance(model.spec, LSTMSpec)

    def initial(self) -> dict[str, Tensor]:
        spec = self.model.spec
        # Two tensors: given one twice, the exporter makes h and c one input.
        return {what: torch.zeros(spec.layers, 1, spec.hidden) for what in "hc"[: 1 + self.lstm]}

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        body = self.model.body
        x = (x - self.model.input_mean) / self.model.input_std
        if not self.lstm:
            y, h = body.gru(x, *state)
            return body.head(y), h
        y, (h, c) = body.lstm(x, state)
        return body.head(y), h, c


class TransformerStep(nn.Module):
    """One frame through the Transformer, its cache shifted by one at every step."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model, self.spec = model, model.spec

    def initial(self) -> dict[str, Tensor]:
        spec = self.spec
        size = (1, spec.heads, spec.window, spec.width // spec.heads)
        names = [f"{what}{layer}" for layer in range(spec.layers) for what in "kv"]
        position = torch.zeros(1, dtype=torch.int64)
        return {"position": position, **{name: torch.zeros(size) for name in names}}

    def forward(self, x: Tensor, position: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        body, window = self.model.body, self.spec.window
        x = body.embed((x - self.model.input_mean) / self.model.input_std)
        filled = (torch.arange(window) >= window - 1 - position)[None]  # (1, W)
        new = []
        for layer, block in enumerate(body.blocks):
            attention = block.attention
            qkv = attention.qkv(block.norm1(x)).view(1, 1, 3, attention.heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            q, k = self.rotate(attention, q, position), self.rotate(attention, k, position)
            k = torch.cat([caches[2 * layer][:, :, 1:], k], dim=2)
            v = torch.cat([caches[2 * layer + 1][:, :, 1:], v], dim=2)
            new += [k, v]
            y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=filled)
            x = x + attention.out(y.transpose(1, 2).reshape(1, 1, -1))
            x = x + block.down(torch.relu(block.up(block.norm2(x))))
        return body.head(body.norm(x)), position + 1, *new

    def rotate(self, attention: nn.Module, x: Tensor, position: Tensor) -> Tensor:
        turn = position % (2 * self.spec.window)
        cos, sin = attention.cos[turn], attention.sin[turn]
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Baseline:
    """What B runs: the file that `torch.onnx.export` makes of a step module."""

    def __init__(self, step: RecurrentStep | TransformerStep, path: Path) -> None:
        state = step.initial()
        names, self.path = list(state), path
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                step.eval(),
                (torch.zeros(1, 1, INPUTS), *state.values()),
                path,
                dynamo=True,
                input_names=["x", *names],
                output_names=["y", *(f"next_{name}" for name in names)],
            )
        self.nodes = len(onnx.load(path).graph.node)
        self.opset = onnx.load(path, load_external_data=False).opset_import[0].version
        self.state = {name: value.numpy() for name, value in state.items()}

    def open(self) -> "BaselineSession":
        """Open B afresh, as people do: default `SessionOptions`."""
        return BaselineSession(onnxruntime.InferenceSession(self.path), self.state)

    def open_one_thread(self) -> "BaselineSession":
        """Open B afresh with one thread, which does not spin."""
        options = session_options(SessionSettings())
        return BaselineSession(onnxruntime.InferenceSession(self.path, options), self.state)


class BaselineSession:
    """B itself: `InferenceSession.run` with the state fed back by name."""

    def __init__(self, session: onnxruntime.InferenceSession, state: dict[str, np.ndarray]) -> None:
        self.session, self.names, self.state = session, list(state), list(state.values())

    def __enter__(self) -> "BaselineSession":
        return self

    def __exit__(self, *_: object) -> None:
        del self.session  # its pool's threads end with it

    def step(self, frame: np.ndarray) -> np.ndarray:
        feeds = dict(zip(self.names, self.state, strict=True))
        y, *self.state = self.session.run(None, {"x": frame[None, None], **feeds})
        return y[0, 0]


def random_model(spec: Spec) -> SequenceModel:
    torch.manual_seed(0)
    model = SequenceModel(spec, INPUTS, OUTPUTS).eval()
    model.input_mean.normal_()
    model.input_std.uniform_(0.5, 2)
    return model


def contenders(model: SequenceModel, folder: Path) -> dict[str, Path]:
    """Write edgeseq's variants of `model`: any chunk and one frame a call, fp32 and int8.

    `step` is the variant of that name of a Transformer's bundle; of an LSTM it is what
    `edgeseq export --static N=1,T=1` makes.
    """
    graphs = {"fp32": {}, "step": {"newest": True, "frames": 1}}
    files = {}
    for name, how in graphs.items():
        graph = build_graph(model, FRAME, OUTPUT, producer="benchmark", recipe="", **how)
        path = folder / f"{name}.onnx"
        onnx.save(graph, path)
        files[name] = path
        for recipe in ("int8-dynamic", "int8-per-tensor"):
            small = folder / f"{name}-{recipe}.onnx"
            quantize_file(path, small, load_recipe(recipe))
            variant = recipe.removesuffix("-dynamic")
            files[variant if name == "fp32" else f"{name}-{variant}"] = small
    return files


def candidates(spec: Spec, folder: Path) -> list[Candidate]:
    """Return B and edgeseq's variants of one model; all were seen to compute the same."""
    model = random_model(spec)
    step = (TransformerStep if isinstance(spec, TransformerSpec) else RecurrentStep)(model)
    baseline = Baseline(step, folder / "b.onnx")
    print(f"  B: opset {baseline.opset}, {baseline.nodes} nodes", file=sys.stderr)
    frames = np.random.default_rng(0).standard_normal((2000, INPUTS)).astype(np.float32)
    found = [Candidate("B", baseline.open, frames)]
    found.append(Candidate(ONE_THREAD, baseline.open_one_thread, frames))
    found += [
        of_file(name, file, frames, provider="cpu", settings=SessionSettings())
        for name, file in contenders(model, folder).items()
    ]
    outputs = {}
    for candidate in found:
        with candidate.open() as session:
            outputs[candidate.name] = np.stack([session.step(frame) for frame in frames[:300]])
    rms = np.sqrt(np.mean(outputs["B"] ** 2))
    for name, given in outputs.items():
        error = np.abs(given - outputs["B"]).max() / rms
        if error > (0.5 if "int8" in name else 1e-4):
            raise SystemExit(f"{name} does not compute what B computes: error {error:.1e} of RMS")
    return found


def line(name: str, result: HotResult) -> str:
    """One variant's figures; those of B have no ratio."""
    latency = result.latencies[name]
    text = f"  {name:20s} p50 {latency.p50_us:6.1f} us  p99 {latency.p99_us:6.1f} us"
    for ratio in result.ratios:
        if ratio.candidate == name:
            text += f"  {ratio.ratio:.2f} B [{ratio.low:.2f}, {ratio.high:.2f}]"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--block", type=int, default=150)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    machine = dataclasses.asdict(this_machine())
    # The whole process, before any session makes its threads: one core for both sides.
    os.sched_setaffinity(0, {arguments.core})
    settings = HotSettings(rounds=arguments.rounds, block=arguments.block)
    versions = {"torch": torch.__version__, "onnx": onnx.__version__}
    models = {}
    for name, target in TARGETS.items():
        print(name)
        with tempfile.TemporaryDirectory() as folder:
            result = measure_hot(candidates(target.spec, Path(folder)), settings)
        models[name] = {
            "p50_us": {key: value.p50_us for key, value in result.latencies.items()},
            "p99_us": {key: value.p99_us for key, value in result.latencies.items()},
            "ratios": [dataclasses.asdict(ratio) for ratio in result.ratios],
            "limit": target.limit,
        }
        for variant in result.latencies:
            print(line(variant, result))
        best = min(
            (ratio for ratio in result.ratios if ratio.candidate in target.variants),
            key=lambda ratio: ratio.ratio,
        )
        verdict = "reached" if best.ratio <= target.limit else "missed"
        print(f"  {best.candidate}: {best.ratio:.2f} B, target {target.limit:.2f} B {verdict}")
    print(machine, versions)
    if arguments.json:
        table = {"models": models, "machine": machine, "versions": versions}
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
