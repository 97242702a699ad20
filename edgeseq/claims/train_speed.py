"""Claim `train-speed`: "LSTM trains slowly because it is serial, Transformer in parallel".

One step of training, forward, backward and AdamW, on one thread; the Transformer sees the whole
sequence. Slowly: more time a frame than the Transformer at the longest sequence. Because it is
serial: then the LSTM's disadvantage grows with the length, which a fit of time ~ length^k shows.
"""

from collections.abc import Mapping

from edgeseq.claims.cell import Cell, Result
from edgeseq.claims.claim import Claim, unmeasured
from edgeseq.claims.effects import exponent
from edgeseq.claims.figures import Curves, Figure, Line
from edgeseq.claims.panels import NAMES
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part, Word, above

LENGTHS = (16, 64, 256, 1024)
FAMILIES = ("lstm", "transformer")
DEVICES = ("cpu", "cuda")
TASK, BATCH, ROUNDS = "har", 8, 15
SLOWER, STEEPER = 1.1, 0.1
"""Times as long, and differences of exponents, that count."""


def cell(plan: Plan, family: str, length: int, device: str) -> Cell:
    """Return one measurement."""
    settings = {
        "task": TASK, "family": family, "params": plan.scale.params, "batch": BATCH,
        "length": length, "rounds": max(3, round(ROUNDS * plan.scale.repetitions)),
    }  # fmt: skip
    if family == "transformer":
        settings["sizes"] = {"window": length}
    if device != "cpu":
        settings["provider"] = device
    return Cell("train-speed", settings)


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return both families at every length on every device."""
    return tuple(
        cell(plan, family, length, device)
        for device in DEVICES
        for length in LENGTHS
        for family in FAMILIES
    )


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge both halves on every device."""
    return tuple(
        part for device in DEVICES for part in (_slower(plan, device), _serial(plan, device))
    )


def times(plan: Plan, family: str, device: str) -> Mapping[int, list[float]]:
    """Return median µs a frame and the ends of its interval, by length."""
    found: dict[int, Result] = {
        length: result
        for length in LENGTHS
        if (result := plan.get(cell(plan, family, length, device))) is not None
    }
    return {n: result["us_per_frame"] for n, result in found.items() if "us_per_frame" in result}


def _missing(plan: Plan, statement: str, rule: str, device: str) -> Part:
    return unmeasured(statement, rule, plan.get(cell(plan, "lstm", LENGTHS[-1], device)), device)


def _slower(plan: Plan, device: str) -> Part:
    statement, rule = f"An LSTM's training is slower than a Transformer's on {device}.", SLOW
    lstm, other = (times(plan, family, device).get(LENGTHS[-1]) for family in FAMILIES)
    if not lstm or not other:
        return _missing(plan, statement, rule, device)
    low, high = lstm[1] / other[2], lstm[2] / other[1]
    said = f"{lstm[0] / other[0]:.2f} times as long a frame [{low:.2f}, {high:.2f}]"
    return Part(statement, rule, above((low, high), SLOWER), said)


def _serial(plan: Plan, device: str) -> Part:
    statement, rule = f"The LSTM falls behind as sequences grow on {device}.", SERIAL
    lstm, other = (_exponent(times(plan, family, device)) for family in FAMILIES)
    if lstm is None or other is None:
        return _missing(plan, statement, rule, device)
    word: Word = "inconclusive"
    if lstm - other > STEEPER:
        word = "supported"
    elif lstm < other:
        word = "refuted"
    return Part(statement, rule, word, f"k = {lstm:.2f} against the Transformer's {other:.2f}")


def _exponent(times: Mapping[int, list[float]]) -> float | None:
    return exponent([*times], [found[0] * length for length, found in times.items()])


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show the time a frame against the length."""
    return tuple(
        Curves(
            f"One frame of training on {device}",
            "frames a sequence",
            "µs a frame",
            tuple(_line(plan, family, device) for family in FAMILIES),
            f"{BATCH} sequences a step; medians with 95 % intervals.",
            log_x=True,
            log_y=True,
        )
        for device in DEVICES
        if times(plan, FAMILIES[0], device)
    )


def _line(plan: Plan, family: str, device: str) -> Line:
    found = times(plan, family, device)
    middle, low, high = (tuple(value[n] for value in found.values()) for n in range(3))
    return Line(NAMES[family], tuple(float(length) for length in found), middle, low, high)


SLOW = f"at {LENGTHS[-1]} frames the interval of the ratio above {SLOWER}; refuted below"
SERIAL = f"time of a step ~ length^k: the LSTM's k larger by {STEEPER}; refuted where it is smaller"
CLAIM = Claim(
    name="train-speed",
    sentence="LSTM trains slowly because it is serial, Transformer in parallel.",
    protocol="One step of training of either family with the same number of parameters against the "
    "length of sequences, 16 to 1,024 frames; one CPU thread, and CUDA where there is one.",
    metrics=("seconds a frame", "exponent of time against length"),
    rules=(SLOW, SERIAL),
    grid=grid,
    judge=judge,
    figures=figures,
)
