"""What one answer on every CPU costs: 7 bits, and scales fitted to pairs, against all 8 bits.

    python tests/benchmarks/reduce_range.py BUNDLE ... --json FILE

Of each bundle the graph that is stepped fastest, in five forms: fp32; 7 bits, `reduce_range`; as
fine as pairs allow, `fit_pairs`, the default; 8 bits as this CPU computes them, which without VNNI
saturate; and 8 bits with ONNX Runtime's `session.x64quantprecision`, which makes the products u8 x
u8 and so exact on any x86: that is what CPUs with VNNI answer, and the other way out. Noise is over
the bundle's reference frames; accuracy on the test recordings where the data is here; latency is
interleaved in one process.
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgeseq.bench.candidate import Candidate
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.bench.machine import this_machine
from edgeseq.bench.stats import Ratio
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.check.parity import compare, decision_rule
from edgeseq.extras import require
from edgeseq.graph.portable import dependences
from edgeseq.measured import Accuracy, Parity
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import load_recipe
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.runtime.model import session_options
from edgeseq.workflows.evidence import Evidence, frame_by_frame, gather

FP32, SEVEN, FITTED, EIGHT, EXACT = "fp32", "7 bits", "fitted", "8 bits", "8 bits, u8 x u8"
GATE_STEPS = 10_000


@dataclass(frozen=True)
class Form:
    """One form of one bundle's graph."""

    bundle: str
    form: str
    pairs: int
    """Pairs of weights that can saturate."""
    parity: Parity
    """Against fp32 here, over the reference frames."""
    accuracy: Accuracy | None
    median_us: float
    ratio: Ratio | None
    """Its time over that of 7 bits."""


def exact(path: Path) -> StreamModel:
    """Load a file whose products ONNX Runtime shall not let saturate."""
    model = StreamModel.load(path)
    options = session_options(model.settings)
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = require("onnxruntime").InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    return dataclasses.replace(model, session=session)


def forms(bundle: Bundle, graph: str, folder: Path) -> dict[str, tuple[Path, bool]]:
    """Quantize a graph in all ways; return file and whether to load it as exact, by form."""
    recipe, files = load_recipe("int8-dynamic"), {}
    for name, options in {
        SEVEN: {"fit_pairs": False},
        FITTED: {},
        EIGHT: {"fit_pairs": False, "reduce_range": False, "portable": False},
    }.items():
        files[name] = folder / f"{name.replace(' ', '-')}.onnx"
        how = dataclasses.replace(recipe.quantize, **options)
        changed = dataclasses.replace(recipe, quantize=how)
        quantize_file(bundle.file(graph), files[name], changed)
    return {
        FP32: (bundle.file(graph), False),
        **{name: (file, False) for name, file in files.items()},
        EXACT: (files[EIGHT], True),
    }


def loaded(path: Path, as_exact: bool) -> StreamModel:
    return exact(path) if as_exact else StreamModel.load(path)


def measure(bundle: Bundle, evidence: Evidence, rounds: int, folder: Path) -> Iterator[Form]:
    graph = "step" if "step" in bundle.manifest.variants else "fp32"
    chosen = forms(bundle, graph, folder)
    models = {name: loaded(*which) for name, which in chosen.items()}
    frames = np.ascontiguousarray(bundle.reference["frames"], np.float32)
    outputs = {name: frame_by_frame(model, frames[None])[0] for name, model in models.items()}
    hot = measure_hot(
        [
            Candidate(name, lambda which=which: StreamSession(loaded(*which)), frames)
            for name, which in chosen.items()
        ],
        HotSettings(rounds=rounds),
    )
    contract = bundle.variant().contract
    decide = decision_rule(contract.frame, contract.output)
    for name, (path, _) in chosen.items():
        yield Form(
            bundle=f"{bundle.manifest.name} {bundle.manifest.origin.parameters // 1000}k",
            form=name,
            pairs=sum(item.pairs for item in dependences(onnx.load(path))),
            parity=compare(outputs[FP32], outputs[name], decide),
            accuracy=evidence.accuracy(models[name]),
            median_us=hot.latencies[name].p50_us,
            ratio=None if name == SEVEN else hot.ratio(name, SEVEN),
        )


def line(form: Form) -> str:
    score = form.accuracy
    accuracy = f"{score.value:.2f} {score.metric}" if score else "accuracy not measured"
    ratio = form.ratio
    time = f"x{ratio.ratio:.3f} ({ratio.low:.3f} to {ratio.high:.3f})" if ratio else "x1"
    return (
        f"{form.bundle:22}{form.form:18}{form.pairs:7,} pairs, noise {form.parity.noise:.1e}, "
        f"{form.parity.changed_decisions:.2%} of decisions, {accuracy}, "
        f"{form.median_us:.1f} us, {time}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    found = []
    for path in arguments.bundles:
        bundle = load_bundle(path)
        evidence = gather(bundle, GATE_STEPS)
        with tempfile.TemporaryDirectory() as folder:
            for form in measure(bundle, evidence, arguments.rounds, Path(folder)):
                found.append(form)
                print(line(form), flush=True)
    if arguments.json:
        machine = dataclasses.asdict(this_machine())
        rows = [dataclasses.asdict(form) | {"noise": form.parity.noise} for form in found]
        arguments.json.write_text(
            json.dumps({"forms": rows, "machine": machine, "versions": {}}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
