"""Train a decoder on Python source, make it int8, weigh it against n-grams, and let it write.

    python tests/benchmarks/text.py                   # trains, 15 minutes of a core, or goes on
    python tests/benchmarks/text.py --runs /tmp/runs  # the runs, and the decoder's bundle, go there

All are scored on the same files of the standard library, which none has seen; the files of the
bundle frame by frame, as an app feeds them. The text is what the int8 file writes, by the library
function that `edgeseq run` calls. Results go to `tests/benchmarks/results/text.{json,md}`.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeseq import files
from edgeseq.bench.machine import this_machine
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.claims.paired import compare
from edgeseq.models.decoder import DecoderSpec
from edgeseq.runtime import StreamModel, StreamSession, generate
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Recording, Task
from edgeseq.tasks.ngrams import NGrams
from edgeseq.tokens import decode, encode
from edgeseq.train import Checkpoint, default_settings, default_spec, fit, predictor
from edgeseq.workflows.export import export_run
from edgeseq.workflows.quantize import quantize_bundle

DECODER = DecoderSpec(width=96, feed_forward=384, layers=3, heads=4, window=128)
LSTM_PARAMETERS = 50_000
LONGER = {"steps": 3000, "crop": 256, "batch": 8, "lr": 3e-3, "evaluate_every": 250}
"""As many characters as the task's own settings give in 1,500 steps, and twice the context."""
ORDERS = (1, 2, 3, 4, 5, 6, 7, 8)
RECIPE = "int8-dynamic"
FILES = {"step": "fp32", "step-int8": "int8"}

PROMPT = "class Queue:\n    def "
LENGTH = 400
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "temperature 0.7, seed 0": {"temperature": 0.7, "seed": 0},
    "temperature 1, top-p 0.9, seed 1": {"temperature": 1.0, "top_p": 0.9, "seed": 1},
}

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Parse the command line, train what is missing, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/text"), help="kept runs")
    parser.add_argument("--json", type=Path, default=RESULTS / "text.json")
    arguments = parser.parse_args()
    task = load_task("text")
    decoder, lstm = trained(task, arguments.runs)
    bundle = bundled(arguments.runs)
    result: dict[str, Any] = {
        "command": "python tests/benchmarks/text.py",
        "created": time.strftime("%Y-%m-%d"),
        "machine": asdict(this_machine()),
        "train_characters": _characters(task.split().train),
        "test_characters": _characters(task.split().test),
        "rows": [*networks(bundle, decoder, lstm), *ngrams(task)],
        "int8": lost(bundle),
        "against_ngram": against_ngram(task, decoder),
        "seconds": {"decoder": round(decoder.seconds), "lstm": round(lstm.seconds)},
        "prompt": PROMPT,
        "texts": texts(bundle),
    }
    files.write_json(arguments.json, result)
    page = page_of(result)
    files.write_text(arguments.json.with_suffix(".md"), page)
    print(page)


def _characters(recordings: tuple[Recording, ...]) -> int:
    return sum(len(recording.frames) for recording in recordings)


def trained(task: Task, runs: Path) -> tuple[Checkpoint, Checkpoint]:
    """Return the decoder and the LSTM; what is finished is read, what was interrupted goes on."""
    longer = default_settings(task, "decoder", **LONGER)
    usual = default_settings(task, "lstm")
    lstm = default_spec(task, "lstm", LSTM_PARAMETERS)
    return (
        fit(task, DECODER, longer, runs / "decoder", resume=True, progress=announce),
        fit(task, lstm, usual, runs / "lstm", resume=True, progress=announce),
    )


def announce(step: int, steps: int, loss: float, best: float | None) -> None:
    """Say now and then how training goes."""
    if step % 100 == 0:
        shown = "none yet" if best is None else f"{best:.3f} bits"
        print(f"step {step:,} of {steps:,}: loss {loss:.3f} nats, validation {shown}", flush=True)


def bundled(runs: Path) -> Bundle:
    """Return the decoder's bundle with an int8 twin, made anew unless it is the run's."""
    run, path = runs / "decoder", runs / "decoder-bundle"
    weights = json.loads((run / "run.json").read_text())["weights_sha256"]
    stamp = path.with_suffix(".run")
    if not stamp.exists() or stamp.read_text() != weights:
        stamp.unlink(missing_ok=True)
        export_run(run, path, progress=print)
        quantize_bundle(path, RECIPE, progress=print)
        files.write_text(stamp, weights)
    return load_bundle(path)


def networks(bundle: Bundle, decoder: Checkpoint, lstm: Checkpoint) -> list[dict[str, Any]]:
    """Return a row for each file of the decoder, and one for the LSTM."""
    rows = []
    for name, precision in FILES.items():
        variant = bundle.variant(name)
        assert variant.accuracy is not None, "the task's data is here"
        rows.append(
            {
                "name": f"decoder {precision}",
                "numbers": decoder.parameters,
                "bytes": variant.bytes,
                "bits": variant.accuracy.value,
            }
        )
    score = lstm.scores["test"]
    return [*rows, {"name": "lstm fp32", "numbers": lstm.parameters, "bits": score.value}]


def ngrams(task: Task) -> list[dict[str, Any]]:
    """Return a row for each order of n-grams, counted on the training files."""
    split, tokens = task.split(), len(task.frame.vocabulary)
    rows = []
    for order in ORDERS:
        model = NGrams(split.train, order, tokens)
        numbers = sum(len(level.grams) for level in model.levels)
        name = "unigram" if order == 1 else f"{order}-gram"
        bits = task.score(model, split.test).value
        rows.append({"name": name, "numbers": numbers, "bits": bits})
    return rows


def lost(bundle: Bundle) -> dict[str, Any]:
    """Return what int8 loses, and what of it runs in integers."""
    variant = bundle.variant("step-int8")
    assert variant.paired is not None, "the task's data is here"
    assert variant.census is not None, "it is quantized"
    assert variant.parity is not None, "it was gated"
    paired = variant.paired
    return {
        "drop": paired.drop,
        "low": paired.low,
        "high": paired.high,
        "unit": paired.unit,
        "clusters": f"{paired.clusters} {paired.by}",
        "int8_weights": variant.census.int8_weights,
        "changed_decisions": variant.parity.changed_decisions,
        "steps": variant.parity.steps,
    }


def against_ngram(task: Task, decoder: Checkpoint) -> dict[str, Any]:
    """Return what the decoder costs more than the longest n-grams, stretch by stretch."""
    split = task.split()
    longest = NGrams(split.train, ORDERS[-1], len(task.frame.vocabulary))
    paired = compare(
        task.losses(longest, split.test), task.losses(predictor(decoder.model), split.test)
    )
    assert paired is not None, "there are stretches enough"
    modules = {
        "n-grams": task.score(longest, split.test).per_subject,
        "decoder": decoder.scores["test"].per_subject,
    }
    return {
        "change": paired.drop,
        "low": paired.low,
        "high": paired.high,
        "clusters": f"{paired.clusters} {paired.by}",
        "modules": modules,
    }


def texts(bundle: Bundle) -> dict[str, str]:
    """Return what the int8 file writes after the prompt, in several ways."""
    model = StreamModel.load(bundle.path, variant="step-int8")
    vocabulary = model.contract.frame.vocabulary
    written = {}
    for name, how in WAYS.items():
        with StreamSession(model) as session:
            tokens = generate(session, encode(PROMPT, vocabulary), LENGTH, **how)
            written[name] = decode(tokens, vocabulary)
    return written


def page_of(result: dict[str, Any]) -> str:
    """Return the results as a page of Markdown."""
    rows = [
        [
            row["name"],
            f"{row['numbers']:,}",
            f"{row['bytes'] / 1024:.0f}" if "bytes" in row else "",
            f"{row['bits']:.3f}",
        ]
        for row in result["rows"]
    ]
    head = ["model", "parameters or n-grams", "file KiB", "bits per character"]
    table = [head, ["---", "--:", "--:", "--:"], *rows]
    int8, seconds, machine = result["int8"], result["seconds"], result["machine"]
    pair = result["against_ngram"]
    by_module = ", ".join(
        f"{name} {pair['modules']['decoder'][name]:.2f} against {bits:.2f}"
        for name, bits in pair["modules"]["n-grams"].items()
    )
    written = "\n\n".join(
        f"{name}:\n\n```\n{result['prompt']}{text}\n```" for name, text in result["texts"].items()
    )
    return f"""\
# text: the next character of Python source

{result["train_characters"]:,} characters of the standard library of Python {machine["python"]} \
to learn from, {result["test_characters"]:,} of other modules to be judged on. \
`{result["command"]}`, {result["created"]}, on {machine["cpu"]}; training took \
{seconds["decoder"]} s (decoder) and {seconds["lstm"]} s (lstm) on one core, which others used, \
too. n-grams: interpolated modified Kneser-Ney.

{chr(10).join("| " + " | ".join(line) + " |" for line in table)}

The decoder needs {pair["change"]:+.1f} % ({pair["low"]:+.1f} to {pair["high"]:+.1f}, over \
{pair["clusters"]}) of the {ORDERS[-1]}-gram's bits: {by_module}.

int8 costs {int8["drop"]:.2f} ({int8["low"]:.2f} to {int8["high"]:.2f}) {int8["unit"]} bits, over \
{int8["clusters"]}; of {int8["steps"]:,} characters in a row another one is the most likely after \
{int8["changed_decisions"]:.2%}. {int8["int8_weights"]:.0%} of the weights that multiply run in \
integers. The table of tokens, which is the head, is stored once, in int8; loading unpacks it for \
look-ups.

## What the int8 file writes

{written}
"""


if __name__ == "__main__":
    main()
