"""A bundle that cannot be trusted is refused in one line: what, why, what to type next."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from edgeseq.bundle import load_bundle, write_manifest
from edgeseq.errors import BundleError
from edgeseq.files import sha256


@pytest.fixture
def path(lstm_bundle, tmp_path):
    """A copy of a good bundle, to be spoiled."""
    shutil.copytree(lstm_bundle.path, tmp_path / "bundle")
    return tmp_path / "bundle"


def edit(path, change):
    table = json.loads((path / "manifest.json").read_text())
    change(table)
    (path / "manifest.json").write_text(json.dumps(table))


def refusal(path):
    with pytest.raises(BundleError) as error:
        load_bundle(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_good_bundle_loads_as_it_was_written(path, lstm_bundle):
    bundle = load_bundle(path)
    assert bundle.manifest == lstm_bundle.manifest
    assert bundle.variant() is bundle.manifest.variants["fp32"]
    assert bundle.file() == path / "model.onnx"
    frames, outputs = bundle.reference["frames"], bundle.reference["outputs"]
    assert frames.shape == (1024, bundle.variant().contract.frame.size)
    assert outputs.shape == (1024, 3)
    assert {f"state.{s.input}" for s in bundle.variant().contract.states} < set(bundle.reference)
    write_manifest(path, bundle.manifest)
    assert load_bundle(path).manifest == bundle.manifest


def test_a_bundle_that_is_not_there(tmp_path):
    where = tmp_path / "nowhere"
    end = f"Make a bundle with: edgeseq export RUN -o {where}"
    assert refusal(where) == f"{where} does not exist. {end}"
    where.mkdir()
    assert refusal(where) == f"{where} is not a bundle: it has no manifest.json. {end}"


def test_a_manifest_that_is_not_json(path):
    file = path / "manifest.json"
    file.write_text(file.read_text()[:100])
    assert refusal(path).startswith(f"{file} is not JSON (")
    assert refusal(path).endswith("). Export again")
    file.write_bytes(b"\xff\xfe")
    assert refusal(path).endswith("). Export again")


@pytest.mark.parametrize("schema", [2, 0, None, "1"])
def test_an_unknown_schema(path, schema):
    edit(path, lambda table: table.update(schema=schema))
    assert refusal(path) == (
        f"{path / 'manifest.json'}: schema {schema!r} is unknown; this edgeseq reads schema 1. "
        "Upgrade edgeseq, or export again"
    )


def test_a_manifest_that_is_no_table(path):
    (path / "manifest.json").write_text("[]")
    assert "schema None is unknown" in refusal(path)


def test_unknown_keys_are_refused_wherever_they_are(path):
    file = path / "manifest.json"
    edit(path, lambda table: table["variants"]["fp32"].update(zoom=True))
    assert refusal(path).startswith(f"{file}: variants.fp32.zoom: unknown key; allowed: file, ")
    assert refusal(path).endswith(". Export again")
    edit(path, lambda table: table["variants"]["fp32"].pop("zoom"))
    edit(path, lambda table: table.update(preffered="fp32"))
    assert refusal(path) == (
        f'{file}: preffered: unknown key; did you mean "preferred"?. Export again'
    )


def test_a_preferred_variant_that_is_not_there(path):
    edit(path, lambda table: table.update(preferred="int8"))
    assert refusal(path) == f'{path / "manifest.json"}: preferred "int8" is not among its variants'


@pytest.mark.parametrize("file", ["model.onnx", "reference.npz"])
def test_a_file_that_is_another(path, file):
    data = bytearray((path / file).read_bytes())
    digest = sha256(path / file)
    data[len(data) // 2] ^= 1
    (path / file).write_bytes(data)
    assert refusal(path) == (
        f"{path / file} is not the file that was exported (sha256 {sha256(path / file)[:12]}…, "
        f"manifest says {digest[:12]}…). Copy the bundle again, or export again"
    )


@pytest.mark.parametrize("file", ["model.onnx", "reference.npz"])
def test_a_file_that_is_missing(path, file):
    (path / file).unlink()
    assert refusal(path) == (f"{path}: {file} is missing. Copy the whole bundle, or export again")


@pytest.mark.parametrize(
    "file",
    ["../model.onnx", "/etc/passwd", "a/../../model.onnx", "C:model.onnx", "..\\model.onnx", ".."],
)
def test_a_path_that_leaves_the_bundle(path, file):
    shutil.copy(path / "model.onnx", path.parent / "model.onnx")
    edit(path, lambda table: table["variants"]["fp32"].update(file=file))
    assert refusal(path) == (
        f'{path}: the path "{file}" in its manifest leaves the bundle; refused'
    )


def test_a_link_out_of_the_bundle(path):
    outside = path.parent / "outside.onnx"
    (path / "model.onnx").rename(outside)
    (path / "model.onnx").symlink_to(outside)
    assert refusal(path) == f'{path}: "model.onnx" is a link out of the bundle; refused'


def test_a_link_inside_the_bundle_is_fine(path):
    (path / "model.onnx").rename(path / "real.onnx")
    (path / "model.onnx").symlink_to("real.onnx")
    assert load_bundle(path).file() == path / "model.onnx"


def test_a_bundle_may_be_a_link_itself(path):
    (path.parent / "link").symlink_to(path)
    assert load_bundle(path.parent / "link").variant().file == "model.onnx"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_reference(path, share):
    file = path / "reference.npz"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    edit(path, lambda table: table["reference"].update(sha256=sha256(file)))
    bundle = load_bundle(path)
    with pytest.raises(BundleError) as error:
        _ = bundle.reference
    assert str(error.value).startswith(f"{file} cannot be read (")
    assert str(error.value).endswith("). Export again")
    assert "\n" not in str(error.value)


def test_a_reference_never_unpickles(path):
    file = path / "reference.npz"
    np.savez(file, frames=np.array([{"a": 1}], dtype=object))
    edit(path, lambda table: table["reference"].update(sha256=sha256(file)))
    with pytest.raises(BundleError, match="allow_pickle=False"):
        _ = load_bundle(path).reference


def test_an_unknown_variant_names_those_there_are(path):
    bundle = load_bundle(path)
    with pytest.raises(BundleError, match=r'has no variant "fp8"; it has: fp32, step\.$'):
        bundle.variant("fp8")
    with pytest.raises(BundleError, match=r"Make it with: edgeseq quantize BUNDLE$"):
        bundle.file("int8")


def test_a_swap_that_was_killed_is_finished_when_the_bundle_is_loaded(path):
    path.rename(path.parent / f".{path.name}.old")
    assert load_bundle(path).path == path


def test_the_manifest_records_what_it_was_given(path):
    bundle = load_bundle(path)
    variants = {"fp32": replace(bundle.variant(), bytes=7)}
    write_manifest(path, replace(bundle.manifest, variants=variants, preferred_because="tests"))
    again = load_bundle(path)
    assert again.variant().bytes == 7
    assert again.manifest.preferred_because == "tests"
