"""`bench` from bundle to result: everything in it, honestly marked, and readable again."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgeseq.bench import measure, run
from edgeseq.bench.contributed import check_contribution, damage
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import this_machine
from edgeseq.bench.memory import Memory
from edgeseq.bench.pace import PaceSettings
from edgeseq.bench.results import BenchResult
from edgeseq.bench.run import BenchSettings, bench
from edgeseq.contract import SessionSettings
from edgeseq.devices import Budget, Match, list_devices, load_device
from edgeseq.errors import BundleError, EdgeseqError, PromiseError, ProviderError, UsageError
from edgeseq.files import write_json
from edgeseq.shipped import shipped

QUICK = BenchSettings(
    hot=HotSettings(rounds=4, block=20, settle=2),
    pace=PaceSettings(500.0, seconds=0.04, segments=2, settle=1),
    chunk_rounds=2,
    gap_repeats=1,
    fresh_processes=1,
    fresh_steps=10,
    floor_processes=2,
    many_streams=20,
)
HOT_ONLY = replace(QUICK, pace=None, chunk_rounds=0, gap_repeats=0, fresh_processes=0)
LONG = replace(HOT_ONLY, hot=HotSettings(rounds=4, block=70))
"""Steps enough to know a 99th percentile."""


def here(**budget):
    """Return a profile of whatever machine the test runs on."""
    return replace(
        load_device("x86-64-vnni"),
        name="here",
        match=Match(architecture=this_machine().architecture),
        session=SessionSettings(memory_pattern=False),
        budget=Budget(**budget),
    )


def elsewhere(**budget):
    return replace(here(**budget), name="elsewhere", match=Match(architecture="vax"))


@pytest.fixture(scope="module")
def result(bundle):
    return bench(bundle.path, settings=QUICK)


def test_variants_that_step_fp32_first(result):
    assert [variant.name for variant in result.variants] == ["fp32", "int8"]
    (ratio,) = result.ratios
    assert (ratio.candidate, ratio.reference, ratio.rounds) == ("int8", "fp32", 4)


def test_everything_was_measured(result, bundle):
    for variant in result.variants:
        assert variant.hot.count == 80
        assert 0 < variant.hot.p50_us <= variant.hot.p99_us
        assert variant.warmup.discarded >= 1000
        assert len(variant.against_floor.ratios) == 2
        assert 0.3 < variant.against_floor.ratio < 3, "it is the floor, under another name"
        assert variant.chunks.sizes == (1, 2, 4, 8, 16, 32, 64)
        assert variant.chunks.overhead_us > variant.chunks.frame_us, "nothing is computed"
        assert [gap.gap_ms for gap in variant.idle] == [0, 1, 2, 5, 10, 20, 50, 100]
        assert variant.paced.frames == 20
        assert variant.paced.cpu_seconds_per_hour > 0
        assert variant.cold.total_ms > variant.cold.load_ms > 0
        assert variant.memory.steps == 10
        assert variant.many.streams == 20
        assert variant.state_kib == pytest.approx(4 / 1024, abs=1e-3)
        size = bundle.file(variant.name).stat().st_size
        assert variant.file_kib == pytest.approx(size / 1024, abs=1e-3)
        assert (variant.bundle, variant.variant) == ("nothing", variant.name)
        assert variant.sha256 == bundle.variant(variant.name).sha256
        assert (variant.provider, variant.family, variant.parameters) == ("cpu", "identity", 0)
        assert variant.accuracy.value == 90
    assert result.harness.hot.p50_us < result.harness.floor.p50_us
    assert result.conditions.seconds > 0
    assert result.harness.paced.frames == 10


def test_the_result_says_where_and_how(result):
    assert (result.schema, result.status) == (2, "measured")
    assert result.created.endswith("+00:00")
    assert (result.device, result.is_device, result.budget) == (None, False, ())
    assert result.machine == replace(this_machine(), load_1m=result.machine.load_1m)
    assert (result.hot_settings, result.pace_settings) == (QUICK.hot, QUICK.pace)


def test_settings_of_the_manifest_are_used(result):
    assert not result.variant("fp32").session.arena
    assert result.variant("int8").session.arena
    with pytest.raises(KeyError):
        result.variant("fp16")


def test_json_round_trip(result, tmp_path):
    table = json.loads(json.dumps(result.to_json()))
    assert BenchResult.from_json(table, where="here") == result
    result.save(tmp_path / "result.json")
    assert BenchResult.load(tmp_path / "result.json") == result
    assert (tmp_path / "result.json").stat().st_size < 60_000, "packed, a few bytes a step"
    again = BenchResult.load(tmp_path / "result.json")
    assert len(again.variants[0].hot.samples_us) == 80, "all of them, not a summary"


def nulls(value, path=()):
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from nulls(inner, (*path, key))


def test_every_null_has_its_reason(bundle):
    result = bench(bundle, settings=HOT_ONLY)
    table = result.to_json()
    expected = {
        ".".join((where, *path))
        for where in ("machine", "conditions")
        for path in nulls(table[where])
    } | {"gpu", "throughput"}
    for variant in table["variants"]:
        expected |= {".".join(("variants", variant["name"], *path)) for path in nulls(variant)}
    assert set(result.not_measured) == expected
    assert result.not_measured["variants.fp32.paced"] == "no rate was asked for"
    assert result.not_measured["variants.int8.memory"] == "no fresh processes were asked for"
    assert all(result.not_measured.values())


def test_figures_are_those_of_their_samples(result):
    assert damage(result) == []


def test_what_the_system_does_not_tell_is_spelled_out(result):
    blind = Memory(*[None] * 9, steps=1, repeats=1)
    variant = replace(result.variants[0], memory=blind)
    missing = run._missing((variant,), result.machine, result.conditions)
    assert "does not tell" in missing["variants.fp32.memory.uss_mib"]
    assert "variants.fp32.memory.steps" not in missing


def test_reading_refuses_what_it_does_not_know(result, tmp_path):
    with pytest.raises(EdgeseqError, match=r"old.json: schema 1 is unknown.*edgeseq bench"):
        BenchResult.from_json(result.to_json() | {"schema": 1}, where="old.json")
    with pytest.raises(EdgeseqError, match="mood: unknown key"):
        BenchResult.from_json(result.to_json() | {"mood": "good"}, where="x.json")
    (tmp_path / "half.json").write_text('{"schema": 2,')
    with pytest.raises(EdgeseqError, match="cannot read the result"):
        BenchResult.load(tmp_path / "half.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(EdgeseqError, match="is not a result"):
        BenchResult.load(tmp_path / "list.json")
    with pytest.raises(EdgeseqError, match="cannot read the result"):
        BenchResult.load(tmp_path / "absent.json")


def test_chosen_variants_in_the_order_asked(bundle):
    result = bench(bundle, variants=("int8", "fp32"), settings=HOT_ONLY)
    assert [variant.name for variant in result.variants] == ["int8", "fp32"]
    assert result.ratios[0].reference == "int8"


def test_unknown_variant(bundle):
    with pytest.raises(BundleError, match='no variant "fp16"'):
        bench(bundle, variants=("fp16",), settings=HOT_ONLY)


def test_a_bundle_that_cannot_step(bundle):
    manifest = bundle.manifest
    only = replace(manifest, variants={"sequence": manifest.variants["sequence"]})
    with pytest.raises(UsageError, match="--form step"):
        bench(replace(bundle, manifest=only), settings=HOT_ONLY)


def test_device_settings_and_budget_on_that_device(bundle):
    profile = here(step_p99_ms=1e6, model_kib=0.001, state_kib=1)
    result = bench(bundle, device=profile, settings=LONG)
    assert result.device == "here"
    assert result.is_device
    assert all(variant.session == profile.session for variant in result.variants)
    verdicts = {(item.variant, item.promise): item.verdict for item in result.budget}
    assert verdicts == {
        (name, promise): verdict
        for name in ("fp32", "int8")
        for promise, verdict in (
            ("step_p99_ms", "pass"),
            ("model_kib", "fail"),
            ("state_kib", "pass"),
        )
    }
    assert BenchResult.from_json(result.to_json(), where="x") == result
    with pytest.raises(
        PromiseError, match=r"2 promise\(s\) of here broke: fp32 model_kib"
    ) as caught:
        result.require_promises()
    assert caught.value.exit_code == 3
    assert "edgeseq devices here" in str(caught.value)


def test_elsewhere_time_and_memory_are_never_passed(bundle):
    profile = elsewhere(step_p99_ms=1e6, peak_rss_mib=1e6, state_kib=1)
    result = bench(bundle, variants=("fp32",), device=profile, settings=HOT_ONLY)
    assert not result.is_device
    assert [item.verdict for item in result.budget] == ["not checked", "not checked", "pass"]
    result.require_promises()
    with pytest.raises(PromiseError, match=r"2 promise.*this machine is no elsewhere"):
        result.require_promises(strict=True)


def test_another_provider_is_another_device(bundle):
    profile = replace(here(step_p99_ms=1e6), provider="wasm")
    result = bench(bundle, variants=("fp32",), device=profile, settings=HOT_ONLY)
    assert result.variants[0].provider == "cpu"
    assert not result.is_device
    (verdict,) = result.budget
    assert (verdict.verdict, verdict.reason) == ("not checked", "ran on cpu, here is about wasm")


def test_an_emulator_proves_no_time(bundle):
    result = bench(
        bundle,
        variants=("fp32",),
        device=here(step_p99_ms=1e6, state_kib=1),
        settings=HOT_ONLY,
        status="emulated",
    )
    assert (result.status, result.is_device) == ("emulated", False)
    assert [item.verdict for item in result.budget] == ["not checked", "pass"]
    assert result.budget[0].reason == "emulated, and only the device itself can be timed"


def test_paced_latency_is_what_a_budget_means(bundle):
    hot = bench(bundle, variants=("fp32",), device=here(step_p99_ms=1e6), settings=HOT_ONLY)
    assert hot.budget[0].measured == pytest.approx(hot.variants[0].hot.p99_us / 1000, abs=1e-4)
    both = bench(
        bundle,
        variants=("fp32",),
        device=here(step_p99_ms=1e6),
        settings=replace(QUICK, fresh_processes=0),
    )
    paced = both.variants[0].paced.step
    assert both.budget[0].measured == pytest.approx(paced.p99_us / 1000, abs=1e-4)
    assert both.budget[0].verdict == "not checked", "20 frames cannot know their 99th percentile"


def test_operators_come_from_the_manifest(bundle):
    profile = here(forbidden_operators=("DynamicQuantizeLSTM",))
    result = bench(bundle, device=profile, settings=HOT_ONLY)
    assert [item.verdict for item in result.budget] == ["pass", "fail"]


WITHOUT_A_GPU = [name for name in list_devices() if load_device(name).provider != "cuda"]


@pytest.mark.parametrize("name", WITHOUT_A_GPU)
def test_every_shipped_profile_can_be_applied(bundle, name):
    result = bench(bundle, device=name, settings=HOT_ONLY)
    assert result.device == name
    assert {item.promise for item in result.budget} >= {"step_p99_ms", "model_kib", "state_kib"}
    if not result.is_device:
        assert {item.verdict for item in result.budget if item.promise == "step_p99_ms"} == {
            "not checked"
        }


def test_unknown_device(bundle):
    with pytest.raises(UsageError, match="edgeseq devices"):
        bench(bundle, device="toaster", settings=HOT_ONLY)


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA"
)
@pytest.mark.parametrize("asked", [{"provider": "cuda"}, {"device": "cuda"}])
def test_asked_for_cuda_never_runs_on_the_cpu(bundle, asked):
    with pytest.raises(ProviderError) as caught:
        bench(bundle, settings=HOT_ONLY, **asked)
    assert 'pip install "edgeseq[cuda]"' in str(caught.value)
    assert "onnxruntime and onnxruntime-gpu overwrite each other" in str(caught.value)


def test_progress_names_what_it_does(bundle):
    seen = []
    bench(
        bundle,
        variants=("fp32",),
        settings=QUICK,
        progress=lambda what, done, total: seen.append((what, done == total)),
    )
    assert [what for what, last in seen if last] == [
        "hot", "chunks of fp32", "idle gaps", "against the floor", "memory",
        "memory of many streams", "paced",
    ]  # fmt: skip


def test_bundles_variants_and_settings_side_by_side(bundle, tmp_path):
    twin = shutil.copytree(bundle.path, tmp_path / "twin")
    result = bench(bundle, twin, settings=HOT_ONLY)
    assert [variant.name for variant in result.variants] == ["nothing/fp32", "twin/fp32"]
    changes = ("threads=1,arena=true", "onnxruntime")
    result = bench(bundle, variants=("fp32",), sessions=changes, settings=HOT_ONLY)
    arena, pool = result.variants
    assert arena.name == "fp32 threads=1,arena=true"
    assert arena.session == SessionSettings(arena=True)
    assert (pool.session.threads, pool.session.spinning) == (0, True)
    assert [ratio.candidate for ratio in result.ratios] == ["fp32 onnxruntime"]


def test_two_bundles_of_one_name_go_by_their_paths(bundle, tmp_path):
    twin = shutil.copytree(bundle.path, tmp_path / bundle.path.name)
    result = bench(bundle, twin, settings=HOT_ONLY)
    assert [variant.name for variant in result.variants] == [
        f"{bundle.path}/fp32",
        f"{twin}/fp32",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("threads", "is not a session setting"),
        ("treads=2", 'unknown key; did you mean "threads"'),
        ("spinning=2", "2 is not true or false"),
        ("graph_level=most", "'most' is not one of"),
    ],
)
def test_settings_that_make_no_sense(bundle, change, said):
    with pytest.raises(UsageError, match=said):
        bench(bundle, sessions=(change,), settings=HOT_ONLY)


def test_the_same_thing_twice_is_refused(bundle):
    with pytest.raises(UsageError, match="fp32: named twice"):
        bench(bundle, variants=("fp32", "fp32"), settings=HOT_ONLY)


def test_a_margin_between_variants(bundle):
    result = bench(bundle, margin=100.0, settings=HOT_ONLY)
    (verdict,) = result.budget
    assert (verdict.variant, verdict.promise) == ("int8", "hot p50 vs fp32")
    assert verdict.verdict == "pass"
    tight = bench(bundle, margin=-0.99, settings=HOT_ONLY)  # twins are not a hundredth of a twin
    with pytest.raises(PromiseError, match=r"1 promise.* of this run broke: int8 hot p50 vs fp32"):
        tight.require_promises()


def test_against_a_baseline(bundle, result, tmp_path):
    result.save(tmp_path / "old.json")
    again = bench(bundle, baseline=tmp_path / "old.json", margin=100.0, settings=QUICK)
    promises = {(item.variant, item.promise): item.verdict for item in again.budget}
    assert promises == {
        (name, f"{what} vs old.json"): "pass"
        for name in ("fp32", "int8")
        for what in ("hot p50", "peak memory", "file", "state")
    }
    with pytest.raises(EdgeseqError, match="cannot read the result"):
        bench(bundle, baseline=tmp_path / "none.json", settings=HOT_ONLY)


RESULTS = [
    path
    for path in sorted(Path(str(shipped("devices") / "results")).rglob("*.json"))
    if path.parent.name != "claims"  # cells: see tests/claims/test_committed.py
]


def test_committed_results_load():
    for path in RESULTS:
        check_contribution(path)


def test_a_result_that_is_wrong_would_be_seen(result, tmp_path):
    write_json(tmp_path / "x.json", result.to_json() | {"status": "guessed"})
    with pytest.raises(EdgeseqError, match="status: 'guessed' is not one of"):
        BenchResult.load(tmp_path / "x.json")


def test_ctrl_c_keeps_what_was_measured(bundle, monkeypatch):
    def cut(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "measure_fresh", cut)
    result = bench(bundle, settings=QUICK)
    assert result.interrupted
    assert all(variant.chunks and variant.idle for variant in result.variants)
    assert all(variant.memory is None for variant in result.variants)
    assert "interrupted" in result.not_measured["variants.fp32.paced"]
    assert BenchResult.from_json(result.to_json(), where="x") == result


def test_frames_are_the_reference_stream(bundle, monkeypatch):
    seen = []

    def spy(candidates, *_args, **_options):
        seen.extend(candidates)
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "measure_hot", spy)
    with pytest.raises(KeyboardInterrupt):
        bench(bundle, settings=HOT_ONLY)
    *variants, floor = seen
    assert floor.name == "floor"
    for candidate in variants:
        np.testing.assert_array_equal(candidate.frames, bundle.reference["frames"])
