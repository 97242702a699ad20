"""Claim `bottleneck`: "LSTM squeezes history into a fixed vector; attention holds N x N".

Counted: bytes that are kept between two frames. Measured: the peak of a fresh process that listens
to N frames, above one that does nothing. The Transformer's window is the longest sequence, so its
ring holds all that it is asked to remember: N entries, never N x N.
"""

import math

from edgeseq.claims.cell import Cell, Result
from edgeseq.claims.claim import Claim, unmeasured
from edgeseq.claims.effects import exponent
from edgeseq.claims.figures import Curves, Figure, Line
from edgeseq.claims.panels import NAMES
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part, Word

LENGTHS = (64, 256, 1024, 4096)
TASK = "har"
FAMILIES = ("lstm", "transformer")
SQUARE, STRAIGHT = 1.5, 1.2
"""Exponents of memory against length: above, it holds N x N; below, it does not."""


def cell(plan: Plan, family: str) -> Cell:
    """Return one family's measurement."""
    settings = {
        "task": TASK, "family": family, "params": plan.scale.params, "lengths": list(LENGTHS),
        "repeats": max(1, round(3 * plan.scale.repetitions)),
    }  # fmt: skip
    if family == "transformer":
        settings["sizes"] = {"window": LENGTHS[-1]}
    return Cell("memory", settings)


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return both families."""
    return tuple(cell(plan, family) for family in FAMILIES)


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge the vector, the square, and whether a stream needs it."""
    lstm, other = (plan.get(cell(plan, family)) for family in FAMILIES)
    return (_fixed(lstm), _square(other), _held(other))


def _fixed(found: Result | None) -> Part:
    statement = "An LSTM's history is a vector of fixed size."
    if found is None:
        return unmeasured(statement, FIXED, None)
    states = found["state_bytes"]["step"]
    word: Word = "supported" if len(set(states)) == 1 else "refuted"
    return Part(statement, FIXED, word, f"{states[0]:,} bytes after any number of frames")


def _square(found: Result | None) -> Part:
    statement = "Attention over a whole sequence holds N x N."
    k = None if found is None else _exponent(found["lengths"], found["peak_mib"]["sequence"])
    if k is None:
        return unmeasured(statement, SQUARED, None)
    word: Word = "inconclusive"
    if k > SQUARE:
        word = "supported"
    elif k < STRAIGHT:
        word = "refuted"
    return Part(statement, SQUARED, word, f"peak memory ~ N^{k:.2f} over the two longest")


def _held(found: Result | None) -> Part:
    statement = "A Transformer that streams has to hold N x N, too."
    if found is None:
        return unmeasured(statement, HELD, None)
    ring, growing = (found["state_bytes"][form] for form in ("step", "growing-cache"))
    k = _exponent(found["lengths"], growing) or math.nan
    word: Word = "refuted" if k < STRAIGHT and len(set(ring)) == 1 else "supported"
    said = f"the ring holds {ring[-1]:,} bytes always, a growing cache N^{k:.2f}"
    return Part(statement, HELD, word, said)


def _exponent(lengths: list[int], amounts: list[float | None]) -> float | None:
    """Return k of amount ~ length^k over the two longest; none where one is not known."""
    known = _known(lengths, amounts)[-2:]
    return exponent([x for x, _ in known], [y for _, y in known])


def _known(lengths: list[int], amounts: list[float | None]) -> list[tuple[int, float]]:
    pairs = zip(lengths, amounts, strict=True)
    return [(x, y) for x, y in pairs if y is not None and y > 0]


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show state and peak memory against the length."""
    found = [(family, result) for family in FAMILIES if (result := plan.get(cell(plan, family)))]
    states = [
        _line(f"{NAMES[family]}, {form}", result["lengths"], amounts, 1 / 1024)
        for family, result in found
        for form, amounts in result["state_bytes"].items()
    ]
    peaks = [
        _line(f"{NAMES[family]}, {form}", result["lengths"], amounts, 1.0)
        for family, result in found
        for form, amounts in result["peak_mib"].items()
    ]
    return tuple(
        Curves(title, "frames listened to", label, tuple(lines), caption, log_x=True, log_y=True)
        for title, label, lines, caption in (
            ("State", "kept between frames, KiB", states, "Counted from the contract."),
            ("Peak memory", "above an idle session, MiB", peaks, "Of fresh processes, measured."),
        )
        if lines
    )


def _line(name: str, lengths: list[int], amounts: list[float | None], unit: float) -> Line:
    known = _known(lengths, amounts)
    return Line(name, tuple(float(x) for x, _ in known), tuple(y * unit for _, y in known))


FIXED = "as many bytes after 64 frames as after 4,096; refuted otherwise"
SQUARED = (
    f"peak memory grows with an exponent above {SQUARE} over the two longest; refuted below "
    f"{STRAIGHT}"
)
HELD = "refuted where a ring is of fixed size and a growing cache grows in proportion"
CLAIM = Claim(
    name="bottleneck",
    sentence="LSTM squeezes history into a fixed vector; attention holds N x N.",
    protocol="What is kept and what it takes at most to listen for 64 to 4,096 frames: step "
    "graphs, growing caches, and whole sequences, as many parameters each.",
    metrics=("state bytes", "peak MiB of a fresh process above an idle one"),
    rules=(FIXED, SQUARED, HELD),
    grid=grid,
    judge=judge,
    figures=figures,
)
