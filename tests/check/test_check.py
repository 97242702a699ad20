import io
import json
import time
from dataclasses import replace

import numpy as np
import pytest
from check.rewrite import rewrite
from rich.console import Console

from edgeseq.bundle import write_manifest
from edgeseq.check import PROMISES, CheckReport, Finding, check_bundle, int8
from edgeseq.check.subject import ring_size
from edgeseq.errors import BundleError, PromiseError, ProviderError
from edgeseq.files import sha256
from edgeseq.report.check import check_table

STATELESS = "a sequence graph has no state"


def statuses(report, variant="fp32"):
    return {f.promise: f.status for f in report.variants[variant]}


def unchecked(report, variant="fp32"):
    return {f.promise: f.note for f in report.variants[variant] if f.status == "not checked"}


@pytest.mark.parametrize("family", ["lstm", "gru", "transformer", "cnn"])
def test_a_right_bundle_keeps_every_promise(family, int8_of):
    start = time.perf_counter()
    report = check_bundle(int8_of[family])
    assert time.perf_counter() - start < 20
    assert report.ok
    report.require_kept()
    for name, findings in report.variants.items():
        assert tuple(finding.promise for finding in findings) == PROMISES
        values = next(f for f in findings if f.promise == "values")
        assert values.measured <= (0.1 if "int8" in name else 2e-6)
        assert values.parity.steps == 1024


def test_only_what_cannot_be_checked_is_left_out(int8_of):
    fp32 = "the variant is fp32"
    assert unchecked(check_bundle(int8_of["lstm"])) == {"portable": fp32, "census": fp32}
    report = check_bundle(int8_of["transformer"])
    assert unchecked(report, "int8") == {}
    assert unchecked(report, "step-int8") == {"chunks": "it takes 1 a call, no more, no less"}


@pytest.mark.parametrize(("family", "window"), [("transformer", 16), ("cnn", 10), ("lstm", None)])
def test_chunks_are_cut_around_what_the_state_reaches_back(family, window, bundle_of):
    assert ring_size(bundle_of[family].variant().contract) == window


def test_a_sequence_graph_is_checked_for_what_it_promises(exported):
    report = check_bundle(exported("lstm", form="sequence"))
    assert report.ok
    assert {name for name, note in unchecked(report).items() if note == STATELESS} == {
        "bound memory", "reset", "snapshot", "endless",
    }  # fmt: skip
    assert statuses(report)["streams"] == "kept"


def test_a_sequence_graph_of_fixed_size_is_compared_with_the_start_of_the_reference(exported):
    report = check_bundle(exported("transformer", form="sequence", frames=25, streams=2))
    assert report.ok
    values = next(f for f in report.variants["fp32"] if f.promise == "values")
    assert values.parity.steps == 25


def test_static_graphs_are_checked_as_far_as_they_go(exported):
    one = unchecked(check_bundle(exported("transformer", streams=1, frames=1)))
    assert one["streams"] == "it takes exactly 1 stream"
    assert one["chunks"] == "it takes 1 a call, no more, no less"
    report = check_bundle(exported("lstm", streams=2, frames=5))
    assert report.ok
    assert statuses(report)["streams"] == statuses(report)["snapshot"] == "kept"
    assert "final state" in unchecked(report)  # 1,024 is no multiple of 5


@pytest.mark.parametrize("frames", [3, 7, 40, 100, 1200])
def test_a_count_that_wraps_inside_calls_is_no_growth(frames, exported):
    report = check_bundle(exported("transformer", streams=1, frames=frames))
    assert report.ok, report.broken


def test_without_onnx_the_recorded_census_is_verified(int8_of, monkeypatch):
    monkeypatch.setattr(int8, "available", lambda _: False)
    monkeypatch.setattr(int8, "take_census", None)
    finding = check_bundle(int8_of["lstm"], ["int8"]).variants["int8"][-1]
    assert finding.status == "kept"
    assert finding.note.startswith("share of weights that run in fp32, as recorded with ONNX")
    assert finding.note.endswith('to count again: pip install "edgeseq[tools]"')


def test_a_census_that_differs_from_the_manifest_is_broken(int8_of, copy_of):
    bundle = copy_of(int8_of["lstm"])
    variant = bundle.variant("int8")
    for census in (None, replace(variant.census, int8_weights=0.95)):
        changed = {**bundle.manifest.variants, "int8": replace(variant, census=census)}
        wrong = replace(bundle, manifest=replace(bundle.manifest, variants=changed))
        assert [f.promise for _, f in check_bundle(wrong, ["int8"]).broken] == ["census"]


def test_a_file_for_a_newer_runtime_is_not_checked(lstm_bundle, copy_of):
    bundle = copy_of(lstm_bundle)
    variant = bundle.variant()
    bundle.file().write_bytes(b"from the future")
    contract = replace(variant.contract, min_onnxruntime="99.1.0")
    for wanted, status in ((contract, "not checked"), (variant.contract, "broken")):
        changed = {"fp32": replace(variant, contract=wanted)}
        future = replace(bundle, manifest=replace(bundle.manifest, variants=changed))
        assert statuses(check_bundle(future))["loads"] == status
        assert statuses(check_bundle(future))["values"] == "not checked"


def test_values_decide_nothing(lstm_bundle, copy_of):
    def as_values(contract):
        return replace(contract, output=replace(contract.output, kind="value"))

    bundle = rewrite(copy_of(lstm_bundle), lambda _: None, contract=as_values)
    report = check_bundle(bundle)
    assert report.ok
    assert unchecked(report)["decisions"] == "the outputs are values, not classes"


def test_the_seed_draws_the_chunks(lstm_bundle):
    assert check_bundle(lstm_bundle, seed=7).seed == 7


def test_progress_tells_every_variant(int8_of):
    heard = []
    check_bundle(int8_of["lstm"], progress=heard.append)
    assert heard == ["fp32", "int8", "step", "step-int8"]


def test_unknown_variants_and_providers_are_errors(lstm_bundle):
    with pytest.raises(BundleError, match='has no variant "int4"; it has: fp32'):
        check_bundle(lstm_bundle, ["int4"])
    with pytest.raises(ProviderError, match='no provider "tpu"'):
        check_bundle(lstm_bundle, provider="tpu")


@pytest.mark.parametrize("name", ["frames", "outputs"])
def test_a_reference_that_proves_nothing_is_refused(name, lstm_bundle, copy_of):
    bundle = copy_of(lstm_bundle)
    arrays = dict(bundle.reference)
    for wrong in (None, arrays[name][:5], np.where(arrays[name] > 1e9, 0, np.nan)):
        left = {key: array for key, array in arrays.items() if key != name}
        file = bundle.path / "reference.npz"
        np.savez(file, **left, **({} if wrong is None else {name: wrong.astype(np.float32)}))
        reference = replace(bundle.manifest.reference, sha256=sha256(file))
        manifest = replace(bundle.manifest, reference=reference)
        write_manifest(bundle.path, manifest)
        with pytest.raises(BundleError, match=rf"reference.npz: {name} (is|holds) .*Export again$"):
            check_bundle(replace(bundle, manifest=manifest))


def report_of(*findings):
    return CheckReport("walk", "cpu", "1.32.0", 0, 1024, {"fp32": findings})


KEPT = Finding("values", "kept", "frame 3", 2.5e-7, 1e-5)
BROKEN = Finding("chunks", "broken", "chunks of 17, frame 9", 0.5, 1e-5, "against frame by frame")


def test_the_error_says_which_where_and_by_how_much():
    with pytest.raises(PromiseError) as error:
        report_of(KEPT, BROKEN, BROKEN).require_kept()
    assert str(error.value) == (
        'walk: fp32 breaks "chunks" and 1 more: chunks of 17, frame 9, 0.5 (limit 1e-05), against '
        "frame by frame. Do not ship it; export again"
    )
    assert error.value.exit_code == 3
    report_of(KEPT).require_kept()


def test_json_holds_no_infinity(lstm_bundle):
    table = report_of(replace(KEPT, measured=float("inf"))).to_json()
    assert table["variants"]["fp32"][0]["measured"] is None
    whole = check_bundle(lstm_bundle).to_json()
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert whole["ok"] is True


def text_of(report):
    console = Console(width=200, file=io.StringIO())
    console.print(check_table(report))
    return " ".join(console.file.getvalue().split())


def test_the_table_shows_every_finding(lstm_bundle):
    text = text_of(report_of(KEPT, replace(BROKEN, where="logits[walk]")))
    assert "values kept 2.5e-07 1e-05 frame 3" in text
    assert "chunks broken 0.5 1e-05 logits[walk] against frame by frame" in text
    assert "walk: 1 promises kept, 1 broken; 1,024 reference frames, ONNX Runtime 1.32.0" in text
    assert "; SQNR 1" in text_of(check_bundle(lstm_bundle))
