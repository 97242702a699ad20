"""The forms that are there to be compared pass the same gate and the same promises."""

import dataclasses
import shutil

import pytest
from conftest import random_checkpoint

from edgeseq.budget import judge_bundle
from edgeseq.bundle import load_bundle
from edgeseq.check import check_bundle
from edgeseq.devices import Budget, load_device
from edgeseq.errors import UsageError
from edgeseq.models.transformer import TransformerSpec
from edgeseq.shipped import shipped
from edgeseq.workflows.export import ExportSettings, export_run
from edgeseq.workflows.quantize import quantize_bundle

SPEC = TransformerSpec(width=8, feed_forward=8, heads=2, window=6, positions="learned")
GATE = 2100
"""Frames of the gate: fewer than usual, but more than a cache that grows gets."""


@pytest.fixture(scope="module")
def bundle_of(walk, tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("forms"), {}
    random_checkpoint(SPEC, str(walk)).save(folder / "run")
    usual = (shipped("export") / "recipes" / "streaming-fp32.toml").read_text()
    (folder / "streaming-fp32.toml").write_text(usual.replace("10_000", str(GATE)))

    def make(form):
        if form not in made:
            settings = ExportSettings(form=form, recipe=str(folder / "streaming-fp32.toml"))
            made[form] = export_run(folder / "run", folder / form, settings)
        return made[form]

    return make


def findings(bundle):
    report = check_bundle(bundle)
    assert report.ok, report.broken
    return {finding.promise: finding for finding in report.variants["fp32"]}


def test_recompute_keeps_every_promise(bundle_of):
    bundle = bundle_of("recompute")
    assert list(bundle.manifest.variants) == ["fp32"]
    assert bundle.variant().parity.steps == GATE
    found = findings(bundle)
    streaming = ("chunks", "bound memory", "reset", "snapshot", "streams", "endless", "final state")
    assert {found[name].status for name in streaming} == {"kept"}


def test_a_growing_cache_keeps_what_it_can_and_says_the_rest(bundle_of):
    bundle = bundle_of("growing-cache")
    assert bundle.variant().parity.steps == 2000  # as the manifest says
    found = findings(bundle)
    streaming = ("chunks", "bound memory", "reset", "snapshot", "streams", "final state")
    assert {found[name].status for name in streaming} == {"kept"}
    assert found["endless"].status == "not checked"
    assert found["endless"].note == "it cannot: the state grows by design, 128 bytes a frame"


def test_no_budget_holds_a_growing_cache(bundle_of):
    profile = dataclasses.replace(load_device("cuda"), budget=Budget(state_kib=1e6))
    (verdict,) = judge_bundle(profile, bundle_of("growing-cache"), ["fp32"])
    assert (verdict.verdict, verdict.measured) == ("fail", None)
    assert verdict.reason == "it grows with every frame, so no limit holds it"
    (verdict,) = judge_bundle(profile, bundle_of("recompute"), ["fp32"])
    assert verdict.verdict == "pass"


def test_a_family_without_the_form_is_refused_before_anything_is_written(run_of, tmp_path):
    with pytest.raises(UsageError, match="a model of the family lstm has no form growing-cache"):
        export_run(run_of["lstm"], tmp_path / "b", ExportSettings(form="growing-cache"))
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["recompute", "growing-cache"])
def test_forms_are_quantized_as_any_other(form, bundle_of, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_of(form).path, folder)
    quantize_bundle(folder)
    bundle = load_bundle(folder)
    assert "int8" in bundle.manifest.variants
    assert check_bundle(bundle, ["int8"]).ok
