"""The contract in a file says all, and is refused where it is not understood."""

import json
from dataclasses import replace

import pytest

from edgeseq.contract import METADATA_KEY, Contract, Frame, Output, State
from edgeseq.errors import ModelError

CONTRACT = Contract(
    frame=Frame(channels=("ax", "ay"), units=("g", "g"), sample_rate_hz=50, samples=5),
    output=Output(kind="logits", labels=("rest", "walk")),
    states=(
        State("h0", "next_h0", ("1", "N", "8"), "float32", "hidden", in_place=True),
        State("cached_position", "new_cached_position", ("N",), "int64", "frames seen"),
    ),
    form="step",
    min_onnxruntime="1.16.0",
    producer="test",
    recipe="test",
)


def read(table):
    return Contract.from_metadata({METADATA_KEY: json.dumps(table)}, where="x.onnx")


def test_it_survives_json():
    assert read(CONTRACT.to_json()) == CONTRACT
    fixed = replace(CONTRACT, streams=2, chunk_min=4, chunk_max=4)
    assert read(fixed.to_json()) == fixed


def test_a_file_that_says_nothing_of_a_delay_has_none():
    table = CONTRACT.to_json()
    del table["output"]["delay"]
    assert read(table) == CONTRACT
    late = replace(CONTRACT, output=replace(CONTRACT.output, delay=3))
    assert read(late.to_json()).output.delay == 3


def test_sizes_follow_from_it():
    assert CONTRACT.frame.size == 10
    assert CONTRACT.frame.rate_hz == 10
    hidden, position = CONTRACT.states
    assert (hidden.sized(3), hidden.stream_axis) == ((1, 3, 8), 1)
    assert (position.sized(3), position.stream_axis) == ((3,), 0)


def test_no_contract():
    with pytest.raises(ModelError, match=r"^x\.onnx carries no edgeseq contract, so its state"):
        Contract.from_metadata({"other": "1"}, where="x.onnx")


def test_not_json():
    with pytest.raises(ModelError, match=r"^x\.onnx: its contract is not JSON: "):
        Contract.from_metadata({METADATA_KEY: "{"}, where="x.onnx")


@pytest.mark.parametrize("table", [[], None, 3, "text"])
def test_json_that_is_no_table(table):
    with pytest.raises(ModelError, match=r"^x\.onnx: contract version None is unknown"):
        read(table)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_unknown_versions(version):
    with pytest.raises(ModelError) as error:
        read(CONTRACT.to_json() | {"version": version})
    assert str(error.value) == (
        f"x.onnx: contract version {version!r} is unknown; this edgeseq reads version 1. "
        "Upgrade edgeseq, or export again"
    )


def test_unknown_and_missing_keys():
    table = CONTRACT.to_json()
    table["frame"]["scale"] = 2
    del table["form"]
    with pytest.raises(ModelError) as error:
        read(table)
    assert str(error.value) == (
        'x.onnx: its contract is damaged: frame.scale: unknown key; did you mean "samples"?; '
        "form: missing; expected one of 'step', 'sequence', "
        "'recompute', 'growing-cache'. Export again"
    )


def test_every_file_of_a_bundle_carries_it(transformer_bundle):
    import onnx

    for name, variant in transformer_bundle.manifest.variants.items():
        model = onnx.load(transformer_bundle.file(name))
        metadata = {prop.key: prop.value for prop in model.metadata_props}
        assert Contract.from_metadata(metadata, where=name) == variant.contract
