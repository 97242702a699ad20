"""The promise of one answer on every CPU breaks where the weights could break it."""

from dataclasses import replace

import numpy as np
import pytest
from check.rewrite import rewrite
from onnx import numpy_helper

from edgeseq.check import check_bundle, portable
from edgeseq.check.subject import Subject
from edgeseq.devices import load_device
from edgeseq.graph.portable import SATURATES
from edgeseq.runtime import StreamModel


def widen(model):
    """Make one pair of weights larger than 7 bits."""
    tensor = next(item for item in model.graph.initializer if item.name == "head_quantized")
    weights = numpy_helper.to_array(tensor).copy()
    weights[:2, 0] = np.where(weights[0, 0] > 0, 65, -65)
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))


def named(recipe):
    return lambda contract: replace(contract, recipe=recipe)


def finding(bundle, variant="int8", device=None):
    frames, outputs = (bundle.reference[name] for name in ("frames", "outputs"))
    model = StreamModel.load(bundle.file(variant))
    profile = load_device(device) if device else None
    subject = Subject(variant, bundle.variant(variant), model, frames, outputs, {}, 0, profile)
    return portable.portable(subject)


@pytest.mark.parametrize("family", ["lstm", "gru", "transformer"])
def test_seven_bits_keep_it(family, int8_of):
    found = finding(int8_of[family])
    assert (found.status, found.note) == ("kept", "no integer product depends on the CPU")


def test_one_pair_of_larger_weights_breaks_it(int8_of, copy_of):
    bundle = rewrite(copy_of(int8_of["lstm"]), widen, variant="int8")
    found = finding(bundle)
    assert found.status == "broken"
    assert found.note.endswith(f"1 pair of weights: {SATURATES}")
    assert found.note.startswith("1 node (")


@pytest.mark.parametrize("recipe", ["of-someone-else", "opt-in"])
def test_a_recipe_that_may_not_promise_it_is_told_and_not_judged(
    recipe, int8_of, copy_of, monkeypatch
):
    load = portable.load_recipe

    def load_recipe(name):
        recipe = load("int8-dynamic" if name == "opt-in" else name)
        return replace(recipe, quantize=replace(recipe.quantize, portable=False))

    monkeypatch.setattr(portable, "load_recipe", load_recipe)
    bundle = rewrite(copy_of(int8_of["lstm"]), widen, variant="int8", contract=named(recipe))
    found = finding(bundle)
    assert found.status == "not checked"
    assert found.note.startswith(f"{recipe} does not promise it: 1 node (")


def test_a_device_that_saturates_is_no_place_for_it_whatever_the_recipe_says(int8_of, copy_of):
    bundle = rewrite(
        copy_of(int8_of["lstm"]), widen, variant="int8", contract=named("of-someone-else")
    )
    report = check_bundle(bundle, ["int8"], device=load_device("x86-64-avx2"))
    assert "portable" in [promise.promise for _, promise in report.broken]
    found = finding(bundle, device="x86-64-avx2")
    assert found.note.startswith("on x86-64-avx2: 1 node (")
    assert finding(bundle, device="x86-64-vnni").status == "not checked"
    assert finding(int8_of["lstm"], device="x86-64-avx2").status == "kept"


def test_floats_and_a_machine_without_onnx_are_not_judged(int8_of, monkeypatch):
    assert finding(int8_of["lstm"], "fp32").note == "the variant is fp32"
    monkeypatch.setattr(portable, "available", lambda _: False)
    assert finding(int8_of["lstm"]).note == 'to look: pip install "edgeseq[tools]"'
