"""An assignment becomes a recipe that gives every weight its scheme."""

import dataclasses
import tomllib
from dataclasses import replace

import pytest

from edgeseq.quantize.mix import READS, mix
from edgeseq.recipes import Calibration, Quantization, Recipe, load_recipe
from edgeseq.specs import to_toml

ELEMENTS = {"W0": 100, "R0": 400, "head": 10, "odd[1]*": 90}


@pytest.fixture
def bases():
    dynamic = load_recipe("int8-dynamic")
    how = replace(
        dynamic.quantize, method="weights", bits=4, block=32, portable=False, fit_pairs=False
    )
    tolerance = replace(dynamic.tolerance, noise=0.2)
    four = replace(dynamic, name="four", quantize=how, tolerance=tolerance, gate_steps=20_000)
    calibration = Calibration(ranges="mse", seed=3)
    how = replace(dynamic.quantize, method="static", calibration=calibration, fit_pairs=False)
    static = replace(dynamic, name="static", quantize=how)
    return {"dynamic": dynamic, "weights4": four, "static": static}


def mixed(bases, **assignment) -> Recipe:
    every = dict.fromkeys(ELEMENTS, "fp32") | assignment
    return mix(every, bases, ELEMENTS, name="mixed-1", summary="a mixture")


@pytest.mark.parametrize(
    "assignment",
    [
        dict.fromkeys(ELEMENTS, "dynamic"),
        {"head": "dynamic"},
        {"odd[1]*": "weights4", "R0": "static"},
        {"W0": "weights4", "R0": "weights4", "head": "dynamic", "odd[1]*": "static"},
    ],
)
def test_every_weight_gets_its_scheme(bases, assignment):
    how = mixed(bases, **assignment).quantize
    found = {weight: how.scheme(weight) for weight in ELEMENTS}
    assert found == dict.fromkeys(ELEMENTS, "fp32") | assignment
    uniform = len(set(found.values())) == 1
    assert how.precision == ("int8" if uniform else "mixed")


def test_each_scheme_keeps_its_parameters(bases):
    how = mixed(bases, R0="dynamic", W0="weights4", head="static").quantize
    assert how.method == "dynamic"
    assert how.block == 32
    assert how.calibration == Calibration(ranges="mse", seed=3)
    assert how.fit_pairs


def test_the_parameters_of_a_minority_are_its_own(bases):
    how = mixed(bases, R0="weights4", head="dynamic").quantize
    assert (how.method, how.bits, how.block) == ("weights", 4, 32)
    assert how.fit_pairs
    bases["dynamic"] = replace(
        bases["dynamic"],
        quantize=replace(bases["dynamic"].quantize, fit_pairs=False, per_channel=False),
    )
    how = mixed(bases, R0="weights4", head="dynamic").quantize
    assert not how.fit_pairs
    assert not how.per_channel
    # Where two schemes read one parameter, that of most weights counts.
    assert mixed(bases, R0="static", head="dynamic").quantize.per_channel
    assert not mixed(bases, R0="dynamic", head="static").quantize.per_channel


def test_every_parameter_belongs_to_a_scheme_or_to_the_mixture():
    """A new field of a recipe has to say who reads it, or mixtures would lose it."""
    of_the_mixture = {"method", "bits", "nodes", "int8_share", "max_drop", "portable"}
    fields = {field.name for field in dataclasses.fields(Quantization)}
    assert fields - of_the_mixture == {name for names in READS.values() for name in names}


def test_promises_are_those_of_the_weakest_scheme(bases):
    recipe = mixed(bases, R0="dynamic", W0="weights4")
    assert recipe.tolerance.noise == 0.2
    assert recipe.gate_steps == 20_000
    assert not recipe.quantize.portable
    assert mixed(bases, R0="dynamic", W0="static").quantize.portable


def test_what_stays_in_floats_is_not_missed(bases):
    assert mixed(bases, R0="dynamic").quantize.int8_share == pytest.approx(0.9 * 400 / 600)


def test_a_mixture_is_a_file_that_can_be_used_again(bases, tmp_path):
    recipe = mixed(bases, R0="dynamic", W0="weights4", head="static")
    file = tmp_path / "mixed-1.toml"
    file.write_text(to_toml(recipe))
    assert load_recipe(file) == recipe
    assert tomllib.loads(file.read_text())["quantize"]["nodes"]["W0"] == "weights4"
