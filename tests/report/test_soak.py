"""What a soak and a sweep look like: the verdict first, and nothing that was not measured."""

from dataclasses import replace

import numpy as np
import pytest

from edgeseq.bench.conditions import Watch
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import this_machine
from edgeseq.bench.results import Subject
from edgeseq.bench.soak import SoakedVariant, SoakResult, judged
from edgeseq.bench.soaking import SoakSettings
from edgeseq.bench.stats import Ratio
from edgeseq.bench.sweep import Pass, Price, SweepResult
from edgeseq.bench.trends import LATENCY, MEMORY, STATE, drift_limit, trend
from edgeseq.contract import SessionSettings
from edgeseq.report.sheet import as_markdown
from edgeseq.report.soak import soak_sheets, sparkline
from edgeseq.report.sweep import sweep_sheets

SUBJECT = Subject(
    "fp32", "bundle", "fp32", "", "lstm", "har", 1, "fp32", "cpu", SessionSettings(), 1.0, 1.0, None
)
STEPS = np.linspace(25_000, 1_000_000, 40)


def soaked(memory_kib=0.0, **changes):
    """Return a soak of a million steps in an hour, whose memory grows by this."""

    def fitted(quantity, values, limit):
        return trend(quantity, STEPS[: len(values)], 3600.0, values, limit, confidence=0.99)

    flat = np.ones(40)
    variant = SoakedVariant(
        **vars(SUBJECT),
        steps=1_000_000,
        seconds=3600.0,
        run_in=128,
        forgets=True,
        aligned=True,
        control_share=0.02,
        at_steps=tuple(int(step) for step in STEPS),
        p99_us=(9.0,) * 40,
        control_us=(8.0,) * 40,
        trends=(
            fitted("latency", flat, LATENCY),
            fitted("memory", memory_kib * STEPS / 1e6, MEMORY),
            fitted("drift", flat * 5e-8, drift_limit(2e-6)),
            fitted("state", flat, STATE),
        ),
        plain=fitted("plain latency", flat * 8.0, LATENCY),
        broken=None,
    )
    variant = replace(variant, **changes)
    return SoakResult(
        1, "measured", "2026-01-01T00:00:00+00:00", "0", this_machine(), Watch().read(None),
        SoakSettings(steps=10**6), False, (variant,), judged(variant),
    )  # fmt: skip


def page(sheets):
    return as_markdown(sheets, title="x")


def test_a_soak_that_passes():
    text = page(soak_sheets(soaked()))
    assert "| fail |" not in text
    assert text.count("| pass | fp32 |") == 5
    assert "fp32: 1,000,000 steps in 60 min 0 s, 40 windows" in text
    assert "Interrupted" not in text
    assert "5.0·10⁻⁸" in text


def test_a_leak_by_hour_and_by_million_steps():
    text = page(soak_sheets(soaked(500.0)))
    first = text.splitlines()[4]
    assert first.startswith(
        "| fail | fp32 | no slope of memory | ± 256 KiB | +500 KiB over the soak"
    )
    row = next(line for line in text.splitlines() if "| memory, KiB |" in line)
    assert row.count("+500") >= 3, "an hour, a million steps and the soak are one here"
    assert "▁" in row
    assert "█" in row


def test_what_must_be_read_with_it():
    text = page(soak_sheets(replace(soaked(forgets=False), interrupted=True)))
    assert "Interrupted: this is what was measured until then." in text
    assert "remembers more than 128 frames: drift has a level" in text


def test_few_windows_and_no_memory_are_not_measured():
    result = soaked()
    trends = list(result.variants[0].trends)
    trends[1] = trend("memory", STEPS[:0], 1.0, STEPS[:0], MEMORY, confidence=0.99)
    text = page(soak_sheets(replace(result, variants=(soaked(trends=tuple(trends)).variants))))
    row = next(line for line in text.splitlines() if "| memory, KiB |" in line)
    assert row.count("not measured") == 4


@pytest.mark.parametrize(
    ("values", "drawn"),
    [((), ""), ((5.0, 5.0), "▁▁"), ((1.0, 2.0, 3.0), "▁▅█"), (tuple(range(40)), 20)],
)
def test_sparkline(values, drawn):
    found = sparkline(values)
    assert (len(found) if isinstance(drawn, int) else found) == drawn


def swept(**changes):
    def price(change, low, high, cpu=None, why=""):
        return Price(change, Ratio(change, "current", low, low, high, 0.95, 40, 20), cpu, why)

    fields = {
        "schema": 1, "status": "measured", "created": "", "edgeseq": "0",
        "machine": this_machine(), "conditions": Watch().read(None), "subject": SUBJECT,
        "hot_settings": HotSettings(), "pace_settings": None,
        "chosen": SessionSettings(memory_pattern=False), "settled": True,
        "passes": (Pass(SessionSettings(), (), {}),),
        "prices": (
            price("onnxruntime", 1.5, 1.6, 1700.0), price("arena=true", 1.01, 1.02, why="slower"),
        ),
        "cpu_seconds_per_hour": 10.0, "excluded": {"graph_level=basic": "changes the outputs"},
        "written": True,
    }  # fmt: skip
    return SweepResult(**fields | changes)


def test_a_sweep_shows_the_choice_and_the_price_of_the_rest():
    text = page(sweep_sheets(swept()))
    assert "| memory_pattern | true | false |" in text
    assert "| ONNX Runtime's defaults | 1.500 | 1.500 to 1.600 | 1,700 |" in text
    assert text.index("arena=true") < text.index("ONNX Runtime's defaults"), "the dearest last"
    assert "Not timed: graph_level=basic: changes the outputs." in text
    assert "the manifest has the chosen settings now" in text
    assert "CPU was not measured" in text


def test_a_sweep_says_what_it_did_not_write():
    assert "the chosen settings are: memory_pattern=false." in page(
        sweep_sheets(swept(written=False))
    )
    same = page(sweep_sheets(swept(written=False, chosen=SessionSettings())))
    assert "nothing beats the settings that it has" in same
    assert "sweep again" in page(sweep_sheets(swept(settled=False)))
