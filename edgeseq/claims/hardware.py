"""Claim `hardware`: "recurrence wastes parallel hardware, attention fits it".

The roofline of one core (Williams, Waterman & Patterson 2009, doi:10.1145/1498765.1498785) and the
share of its peak that models reach: in training, over whole sequences, and one frame a call. One
core is parallel, too: it computes 8 or 16 numbers at once. On CUDA it is asked as well.
"""

from edgeseq.claims.cell import Cell, Result
from edgeseq.claims.claim import Claim, unmeasured
from edgeseq.claims.figures import Bar, Bars, Figure, Line, Point, Points
from edgeseq.claims.panels import NAMES
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part, above

FAMILIES = ("transformer", "lstm")
DEVICES = ("cpu", "cuda")
CALLS = (("training", 8, 128), ("inference", 8, 128), ("inference", 1, 128), ("inference", 1, 1))
"""What, streams and frames a call; the first two are judged."""
TASK, ROUNDS, MORE = "har", 15, 1.1
"""Times the share of the other that counts as fitting better."""


def cell(plan: Plan, family: str, what: str, batch: int, length: int, device: str) -> Cell:
    """Return one measurement."""
    settings = {
        "task": TASK, "family": family, "params": plan.scale.params, "what": what,
        "batch": batch, "length": length, "rounds": max(3, round(ROUNDS * plan.scale.repetitions)),
    }  # fmt: skip
    if family == "transformer":
        settings["sizes"] = {"window": length}  # a shorter one would count products that are masked
    if device != "cpu":
        settings["provider"] = device
    return Cell("achieved", settings)


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return the machine, and both families at every kind of call on every device."""
    machine = {} if plan.scale.tuned else {"rounds": 3}
    return (
        Cell("roofline", machine),
        *(
            cell(plan, family, *call, device)
            for device in DEVICES
            for call in CALLS
            for family in FAMILIES
        ),
    )


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge training and whole sequences on every device."""
    return tuple(_fits(plan, *call, device) for device in DEVICES for call in CALLS[:2])


def _fits(plan: Plan, what: str, batch: int, length: int, device: str) -> Part:
    statement = f"Attention uses the hardware better than recurrence in {what} on {device}."
    found = [plan.get(cell(plan, family, what, batch, length, device)) for family in FAMILIES]
    shares = [result["share"] for result in found if result and "share" in result]
    if len(shares) < 2:
        return unmeasured(statement, FITS, found[0], device)
    attention, recurrence = shares
    low, high = attention[1] / recurrence[2], attention[2] / recurrence[1]
    said = (
        f"{attention[0]:.1%} of the peak against {recurrence[0]:.1%}, "
        f"{attention[0] / recurrence[0]:.2f} times [{low:.2f}, {high:.2f}]"
    )
    return Part(statement, FITS, above((low, high), MORE), said)


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show the roofline with the models under it, and what a step's time goes into."""
    return (*_roofline(plan), *_operators(plan))


def _roofline(plan: Plan) -> tuple[Figure, ...]:
    machine = plan.get(grid(plan)[0])
    if machine is None:
        return ()
    peak = machine["peak_gflops"][0]
    ends = (0.1, 100.0)
    roofs = tuple(
        Line(level, *_roof(ends, peak, found["gbs"])) for level, found in machine["levels"].items()
    )
    points = tuple(
        Point(
            f"{NAMES[family]}, {what}, {batch} x {length}", result["intensity"],
            result["gflops"][0], family,
        )
        for what, batch, length in CALLS
        for family in FAMILIES
        if (result := plan.get(cell(plan, family, what, batch, length, "cpu")))
        and "gflops" in result
    )  # fmt: skip
    return (
        Points(
            "Roofline of one core",
            "floating-point operations a byte",
            "GFLOP/s",
            points,
            f"Lines: what memory of each level and the peak of {peak:.0f} GFLOP/s "
            f"({machine['peak_by']}) allow. Streams x frames a call.",
            log_x=True,
            log_y=True,
            lines=roofs,
        ),
    )


def _roof(
    ends: tuple[float, float], peak: float, bandwidth: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    x = (ends[0], min(max(peak / bandwidth, ends[0]), ends[1]), ends[1])
    return x, tuple(min(peak, bandwidth * intensity) for intensity in x)


def _operators(plan: Plan) -> tuple[Figure, ...]:
    found: list[tuple[str, Result]] = [
        (family, result)
        for family in FAMILIES
        if (result := plan.get(cell(plan, family, *CALLS[-1], "cpu"))) and "operators" in result
    ]
    return tuple(
        Bars(
            f"Where a step's time goes: {NAMES[family]}",
            "% of the call",
            tuple(
                Bar(name, 100 * share, 100 * share, 100 * share)
                for name, share in [*result["operators"].items(), ("call", result["call"])]
            ),
            "By ONNX Runtime's profiler; `call` is all else, the profiler too.",
        )
        for family, result in found
    )


FITS = f"interval of the ratio of achieved shares above {MORE}; refuted where all of it is below"
CLAIM = Claim(
    name="hardware",
    sentence="Recurrence wastes parallel hardware, attention fits it.",
    protocol="Achieved FLOP/s over the measured peak of one core, in turns with it, by family, "
    "kind of call, streams and frames; as many parameters each.",
    metrics=("share of peak FLOP/s", "operations a byte", "share of time by operator"),
    rules=(FITS,),
    grid=grid,
    judge=judge,
    figures=figures,
)
