"""What each choice behind the shipped graphs and sessions is worth, all in one interleaved run.

    python tests/benchmarks/choices.py

Models, weights and B are those of `baseline.py`. First stands what is shipped for one frame a call,
then the same with one thing chosen otherwise: the operators, the size of a call, how states are
bound, each session option, the arithmetic. Every figure is the time of one frame over that of the
shipped fp32 graph: above 1, the choice was right. Outputs are compared before they are timed.
"""

import argparse
import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from baseline import FRAME, INPUTS, OUTPUT, TARGETS, Baseline, RecurrentStep, TransformerStep
from baseline import random_model as model_of

from edgeseq.bench.candidate import Candidate, of_file
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.bench.machine import this_machine
from edgeseq.bench.subjects import ONNXRUNTIME
from edgeseq.contract import Contract, SessionSettings
from edgeseq.export import build_graph
from edgeseq.graph.build import write_contract
from edgeseq.graph.weights import operators
from edgeseq.models.transformer import TransformerSpec
from edgeseq.quantize.apart import take_apart
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import Quantization, Recipe, load_recipe
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.runtime.model import session_options

SHIPPED = "as shipped: one frame a call, fp32"
CHUNKS = 4, 16
RECIPES = ("int8-dynamic", "int8-per-tensor", "int8-static", "int8-weights", "int4-weights")
OTHER_SESSIONS = {
    "ONNX Runtime's default session": ONNXRUNTIME,
    "with the memory arena": SessionSettings(arena=True),
    "without a memory pattern": SessionSettings(memory_pattern=False),
    "without prepacked weights": SessionSettings(prepacking=False),
    "graph optimised to `basic` only": SessionSettings(graph_level="basic"),
    "graph not optimised": SessionSettings(graph_level="disabled"),
    "two threads, not spinning": SessionSettings(threads=2),
}


class Plain:
    """A file through `InferenceSession.run`: arrays in, arrays out, the state fed back by name."""

    def __init__(self, file: Path) -> None:
        options = session_options(SessionSettings())
        self.session = onnxruntime.InferenceSession(file, options)
        self.contract = StreamModel.load(file).contract
        states = self.contract.states
        self.names = [self.contract.output.name, *(state.output for state in states)]
        self.state = {s.input: np.full(s.sized(1), s.initial, s.dtype) for s in states}

    def step(self, frame: np.ndarray) -> np.ndarray:
        feeds = {self.contract.frame.name: frame[None, None], **self.state}
        y, *after = self.session.run(self.names, feeds)
        self.state = dict(zip(self.state, after, strict=True))
        return y[0, 0]


class Chunked:
    """A session that is fed several frames a call, from the first of each."""

    def __init__(self, session: StreamSession, frames: np.ndarray, size: int) -> None:
        self.session, self.size = session, size
        whole = len(frames) // size * size
        self.chunks = list(frames[:whole].reshape(-1, size, frames.shape[1]))
        self.next = 0

    def step(self, _: np.ndarray) -> np.ndarray:
        chunk = self.chunks[self.next]
        self.next = (self.next + 1) % len(self.chunks)
        return self.session.run(chunk)[0]


def plainly(open_: Callable[[], object]) -> Callable:
    """Return an opener whose session is closed by being dropped."""

    @contextmanager
    def opened() -> Iterator:
        yield open_()

    return opened


def recipe(name: str, nodes: dict[str, str] | None = None) -> Recipe:
    """Return a shipped recipe, with exceptions for some weights."""
    loaded = load_recipe(name)
    how: Quantization = dataclasses.replace(loaded.quantize, nodes=nodes or {})
    return dataclasses.replace(loaded, quantize=how)


class Choices:
    """Everything that could have been chosen for one model."""

    def __init__(self, spec: object, folder: Path) -> None:
        self.spec, self.folder = spec, folder
        self.model = model_of(spec)
        generator = np.random.default_rng(0)
        self.frames = generator.standard_normal((2000, INPUTS)).astype(np.float32)
        self.per_call: dict[str, int] = {}
        self.nodes: dict[str, int] = {}
        self.candidates = dict(self._all())

    def _all(self) -> Iterator[tuple[str, Candidate]]:
        step = self.graph("step", newest=True, frames=1)
        chunk = self.graph("chunk")
        yield self.file(SHIPPED, step)
        yield self._baseline()
        yield self.file("the graph for any chunk", chunk)
        for size in CHUNKS:
            yield self.chunked(f"{size} frames a call, per frame", chunk, size)
        yield from self._other_operators(step)
        yield self.other("`run()` with arrays, no binding", plainly(lambda: Plain(step)))
        yield self.file("states in two buffers, not in place", self._two_buffers(step))
        for name, settings in OTHER_SESSIONS.items():
            yield self.file(name, step, settings)
        for name in RECIPES:
            yield self.quantized(f"`{name}`", step, recipe(name))
        yield self.quantized("`int8-dynamic`, head in fp32", step,
                             recipe("int8-dynamic", {"head": "fp32"}))  # fmt: skip
        if not isinstance(self.spec, TransformerSpec):
            yield self.quantized("`int8-dynamic`, the operator taken apart",
                                 self.folder / "apart.onnx", recipe("int8-dynamic"))  # fmt: skip

    def _baseline(self) -> tuple[str, Candidate]:
        transformer = isinstance(self.spec, TransformerSpec)
        module = (TransformerStep if transformer else RecurrentStep)(self.model)
        baseline = Baseline(module, self.folder / "b.onnx")
        self.nodes["B"] = baseline.nodes
        return self.other("B", baseline.open)

    def _other_operators(self, step: Path) -> Iterator[tuple[str, Candidate]]:
        if isinstance(self.spec, TransformerSpec):
            portable = self.graph("opset-17", frames=1)
            yield self.file("opset 17: ScatterND and MatMul for attention", portable)
        else:
            apart = self.write("apart", take_apart(onnx.load(step)))
            yield self.file("the recurrent operator taken apart", apart)

    def _two_buffers(self, file: Path) -> Path:
        """Write a copy whose contract does not allow states in place."""
        model = onnx.load(file)
        contract = StreamModel.load(file).contract
        states = tuple(dataclasses.replace(state, in_place=False) for state in contract.states)
        other: Contract = dataclasses.replace(contract, states=states)
        write_contract(model, other)
        return self.write("two-buffers", model)

    def graph(self, name: str, **how: object) -> Path:
        """Write a graph of the model."""
        built = build_graph(self.model, FRAME, OUTPUT, producer="benchmark", recipe="", **how)
        return self.write(name, built)

    def write(self, name: str, model: onnx.ModelProto) -> Path:
        path = self.folder / f"{name}.onnx"
        onnx.save(model, path)
        return path

    def quantized(self, name: str, source: Path, how: Recipe) -> tuple[str, Candidate]:
        path = self.folder / f"{len(self.per_call)}.onnx"
        quantize_file(source, path, how, streams=[self.frames[:500]])
        return self.file(name, path)

    def file(
        self, name: str, path: Path, settings: SessionSettings | None = None
    ) -> tuple[str, Candidate]:
        self.nodes[name] = sum(operators(onnx.load(path)).values())
        settings = settings or SessionSettings()
        found = of_file(name, path, self.frames, provider="cpu", settings=settings)
        return self.other(name, found.open)

    def chunked(self, name: str, path: Path, size: int) -> tuple[str, Candidate]:
        def opened() -> Chunked:
            return Chunked(StreamSession(StreamModel.load(path)), self.frames, size)

        return self.other(name, plainly(opened), size)

    def other(self, name: str, open_: Callable, frames: int = 1) -> tuple[str, Candidate]:
        self.per_call[name] = frames
        return name, Candidate(name, open_, self.frames)

    def compared(self) -> dict[str, float]:
        """Return each candidate's noise: RMS of the difference to what is shipped over its RMS."""
        outputs = {}
        for name, candidate in self.candidates.items():
            with candidate.open() as session:
                count, size = 240, self.per_call[name]
                given = [session.step(frame) for frame in self.frames[: count // size]]
            outputs[name] = np.repeat(np.stack(given), size, axis=0)
        expected = outputs[SHIPPED]
        noise = {}
        for name, given in outputs.items():
            first = slice(None, None, self.per_call[name])  # of a chunk, its first frame
            error = np.sqrt(np.mean((given[first] - expected[first]) ** 2))
            noise[name] = float(error / np.sqrt(np.mean(expected[first] ** 2)))
            if noise[name] > (0.2 if "int" in name else 1e-4):
                raise SystemExit(f"{name} does not compute what is shipped: {noise[name]:.1e}")
        return noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--block", type=int, default=100)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--models", nargs="*", default=list(TARGETS), help="some of them only")
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    machine = dataclasses.asdict(this_machine())
    # The whole process, before any session makes its threads: one core for all.
    os.sched_setaffinity(0, {arguments.core})
    settings = HotSettings(rounds=arguments.rounds, block=arguments.block)
    models = {}
    for name in arguments.models:
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            choices = Choices(TARGETS[name].spec, Path(folder))
            noise = choices.compared()
            result = measure_hot(list(choices.candidates.values()), settings)
        rows = {}
        for candidate, latency in result.latencies.items():
            ratio, size = result.ratio(candidate, SHIPPED), choices.per_call[candidate]
            rows[candidate] = {
                "p50_us": latency.p50_us / size,
                "ratio": ratio.ratio / size,
                "low": ratio.low / size,
                "high": ratio.high / size,
                "noise": noise[candidate],
                "nodes": choices.nodes.get(candidate),
            }
            row = rows[candidate]
            interval = f"[{row['low']:.2f}, {row['high']:.2f}]"
            print(f"  {candidate:46s} {row['p50_us']:7.1f} us  {row['ratio']:.2f} {interval}")
        models[name] = rows
    versions = {"torch": torch.__version__, "onnx": onnx.__version__}
    if arguments.json:
        table = {"models": models, "machine": machine, "versions": versions}
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
