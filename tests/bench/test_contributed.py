"""A result that others are to build on: every way in which it can be wrong is seen."""

from dataclasses import replace

import numpy as np
import pytest
from report.synthetic import bench_result

from edgeseq.bench.contributed import check_contribution, damage, load_result, mistakes
from edgeseq.bench.samples import pack, unpack
from edgeseq.errors import EdgeseqError
from edgeseq.files import write_json

NAME = "x86-64-vnni-2026-11-24.json"


@pytest.fixture(scope="module")
def good():
    result = bench_result()
    return replace(result, budget=tuple(item for item in result.budget if item.verdict != "fail"))


def first(result, **changes):
    """Change the first variant."""
    return replace(result, variants=(replace(result.variants[0], **changes), *result.variants[1:]))


def hot(result, **changes):
    return first(result, hot=replace(result.variants[0].hot, **changes))


def step(result, **changes):
    paced = result.variants[0].paced
    return first(result, paced=replace(paced, step=replace(paced.step, **changes)))


@pytest.mark.parametrize("name", [NAME, "x86-64-vnni-2026-11-24-second-try.json"])
def test_nothing_is_wrong_with_a_good_one(good, name, tmp_path):
    assert mistakes(good, name) == []
    good.save(tmp_path / name)
    assert check_contribution(tmp_path / name) == good
    assert load_result(tmp_path / name) == good


FAULTS = {
    "another day": (lambda r: replace(r, created="2026-11-25T00:00:00+00:00"), "its name is"),
    "another device": (lambda r: replace(r, device="raspberry-pi-4"), "its name is"),
    "no device": (lambda r: replace(r, device=None), "device: None has no profile"),
    "unknown device": (lambda r: replace(r, device="toaster"), "'toaster' has no profile"),
    "no hash": (lambda r: first(r, sha256=""), r"variants.fp32.sha256: '' is no SHA-256"),
    "half a hash": (lambda r: first(r, sha256="ab12"), "is no SHA-256"),
    "no bundle": (lambda r: first(r, bundle=" "), r"variants.fp32.bundle: is empty"),
    "no variants": (lambda r: replace(r, variants=()), "measured nothing"),
    "elsewhere": (lambda r: replace(r, is_device=False), "measured on another machine"),
    "wrong machine": (
        lambda r: replace(r, machine=replace(r.machine, flags=("avx2",))),
        "does not match the profile",
    ),
    "broken promise": (
        lambda r: replace(r, budget=(replace(r.budget[0], verdict="fail"),)),
        "fp32 model_kib broke",
    ),
    "emulated device": (lambda r: replace(r, status="emulated"), "did not run on the device"),
    "emulated time": (
        lambda r: replace(
            r, status="emulated", is_device=False,
            budget=(replace(r.budget[1], verdict="pass"),),
        ),
        "step_p99_ms cannot pass where it is emulated",
    ),
    "estimated memory": (
        lambda r: replace(
            r, status="estimated", is_device=False,
            budget=(replace(r.budget[0], promise="peak_rss_mib"),),
        ),
        "peak_rss_mib cannot pass where it is estimated",
    ),
    "emulated against a baseline": (
        lambda r: replace(
            r, status="emulated", is_device=False,
            budget=(replace(r.budget[0], promise="hot p50 vs old.json"),),
        ),
        "hot p50 vs old.json cannot pass",
    ),
    "not base64": (lambda r: hot(r, samples="!"), "fp32.hot: samples cannot be unpacked"),
    "cut off": (
        lambda r: hot(r, samples=r.variants[0].hot.samples[:-40]),
        "fp32.hot: samples cannot be unpacked",
    ),
    "samples lost": (
        lambda r: hot(r, samples=pack(unpack(r.variants[0].hot.samples)[:-1])),
        "4,999 samples, but 10,000 steps would keep 5,000",
    ),
    "steps invented": (lambda r: hot(r, count=900_001), "would keep 4,973"),
    "steps times ninety": (lambda r: hot(r, count=900_000), "hot: 900,000 steps, its settings"),
    "another run's pace": (
        lambda r: replace(r, pace_settings=replace(r.pace_settings, seconds=60.0)),
        "fp32.paced: 1,500 frames, its settings time 6,000",
    ),
    "no steps": (lambda r: hot(r, count=0), "0 steps"),
    "paced count": (lambda r: step(r, count=1400), "fp32.paced.step: 1,500 samples, but 1,400"),
    "better median": (
        lambda r: step(r, p50_us=r.variants[0].paced.step.p50_us - 1),
        "fp32.paced.step: p50_us is",
    ),
    "better worst case": (lambda r: hot(r, max_us=20.0), "fp32.hot: max_us is 20"),
    "misses left out": (
        lambda r: first(r, paced=replace(r.variants[0].paced, missed=0)),
        "fp32.paced: 0 frames missed, its samples say 2",
    ),
    "frames invented": (
        lambda r: first(r, paced=replace(r.variants[0].paced, frames=1600)),
        "1,600 frames, 1,500 steps",
    ),
    "harness": (
        lambda r: replace(
            r, harness=replace(r.harness, floor=replace(r.harness.floor, samples=""))
        ),
        "harness.floor: samples cannot be unpacked",
    ),
    "no number": (lambda r: first(r, file_kib=float("nan")), "fp32.file_kib: nan is no number"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_seen(good, fault, tmp_path):
    change, said = FAULTS[fault]
    write_json(tmp_path / NAME, change(good).to_json())
    with pytest.raises(EdgeseqError, match=said) as caught:
        check_contribution(tmp_path / NAME)
    assert "\n" not in str(caught.value)
    assert NAME in str(caught.value)


def test_what_an_emulator_may_say(good):
    """Sizes, and that time was not checked."""
    emulated = replace(good, status="emulated", is_device=False)
    assert {item.verdict for item in emulated.budget} == {"pass", "not checked"}
    assert mistakes(emulated, NAME) == []


def test_all_faults_are_named_at_once(good):
    found = mistakes(replace(hot(good, samples="!"), is_device=False), "laptop.json")
    assert len(found) == 3


def test_a_stall_beyond_32_bits_is_no_contradiction(good):
    from edgeseq.bench.stats import summarise

    times = np.full(100, 20_000)
    times[7] = 9_000_000_000
    assert damage(first(good, hot=summarise(times))) == []


def test_damage_is_told_wherever_results_are_read(good, tmp_path):
    write_json(tmp_path / "mine.json", hot(good, samples="!").to_json())
    with pytest.raises(EdgeseqError, match=r"mine.json is damaged: variants.fp32.hot: samples"):
        load_result(tmp_path / "mine.json")
