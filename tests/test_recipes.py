"""Shipped recipes say what they promise; mistakes in a recipe are all named at once."""

import dataclasses

import pytest

from edgeseq.bundle import Tolerance
from edgeseq.errors import ConfigError, EdgeseqError, UsageError
from edgeseq.recipes import Calibration, Quantization, list_recipes, load_quantization, load_recipe

GOOD = """
name = "mine"
summary = "for a test"
[tolerance]
relative_error = 0.1
noise = 0.1
[quantize]
method = "dynamic"
"""


def write(folder, text, name="mine"):
    file = folder / f"{name}.toml"
    file.write_text(text)
    return file


def test_lists_and_loads_every_shipped_recipe():
    assert list_recipes() == (
        "fp16", "int4-weights", "int8-dynamic", "int8-per-tensor", "int8-static", "int8-weights",
        "mixed", "streaming-fp32",
    )  # fmt: skip
    for name in list_recipes():
        assert load_recipe(name).name == name
        assert load_recipe(name).gate_steps == 10_000


def test_fp32_promises_rounding_only():
    recipe = load_recipe("streaming-fp32")
    assert recipe.tolerance == Tolerance(relative_error=1e-5, noise=2e-6, changed_decisions=0.001)
    assert recipe.quantize is None


def test_int8_promises_one_decision_in_a_hundred_and_the_same_answer_everywhere():
    recipe, how = load_quantization("int8-dynamic")
    assert recipe.tolerance.changed_decisions == 0.01
    assert how == Quantization("dynamic", fit_pairs=True, int8_share=0.9, max_drop=0.5)
    assert how.portable


def test_fp16_promises_ten_times_less_than_fp32_and_more_than_int8():
    recipe, how = load_quantization("fp16")
    assert (how.method, how.precision) == ("half", "fp16")
    fp32, int8 = load_recipe("streaming-fp32"), load_recipe("int8-dynamic")
    for name in ("relative_error", "noise", "changed_decisions"):
        limits = [getattr(item.tolerance, name) for item in (fp32, recipe, int8)]
        assert limits == sorted(limits)
        assert limits[0] < limits[1] < limits[2]
    assert int8.quantize.precision == "int8"


def test_every_field_has_its_reason_beside_it():
    import inspect

    import edgeseq.recipes

    source = inspect.getsource(edgeseq.recipes)
    for field in (*dataclasses.fields(Quantization), *dataclasses.fields(Calibration)):
        after = source.split(f"    {field.name}: ", 1)[1].split("\n", 1)[1]
        assert after.lstrip().startswith('"""'), field.name


def test_a_file_of_ones_own_with_defaults(tmp_path):
    recipe, how = load_quantization(write(tmp_path, GOOD))
    assert (recipe.name, recipe.tolerance.relative_error) == ("mine", 0.1)
    assert how == Quantization("dynamic")


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError, match=r'no recipe "int8_dynamic". Did you mean "int8-dynamic"'):
        load_recipe("int8_dynamic")


def test_export_recipe_cannot_quantize():
    with pytest.raises(UsageError, match=r"no \[quantize\]. Try: --recipe int8-dynamic"):
        load_quantization("streaming-fp32")


def test_all_mistakes_at_once(tmp_path):
    text = GOOD.replace('"dynamic"', '"magic"').replace("relative_error", "relative_eror")
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(tmp_path, text + "per_chanel = true\n"))
    mistakes = "\n".join(caught.value.mistakes)
    assert len(caught.value.mistakes) == 4
    assert 'tolerance.relative_eror: unknown key; did you mean "relative_error"?' in mistakes
    assert (
        "quantize.method: 'magic' is not one of 'dynamic', 'static', 'weights', 'half'" in mistakes
    )
    assert 'quantize.per_chanel: unknown key; did you mean "per_channel"?' in mistakes


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("int8_share = 1.5", "int8_share: 1.5 is not above 0"),
        ("max_drop = -1", "max_drop: -1.0 is negative"),
        ("bits = 4", 'bits: 4 needs method = "weights"; dynamic has 8 only'),
        ("block = 48", "block: 48 is not one of 16, 32, 64, 128, 256"),
        ("block = 512", "block: 512 is not one of"),
        ('[quantize.nodes]\n"" = "fp32"', 'nodes: "" has an empty pattern'),
        ('[quantize.nodes]\nW0 = "int3"', "nodes.W0: 'int3' is not one of 'fp32', 'dynamic', 'st"),
        ("[quantize.calibration]\nstreams = 0", "calibration.streams: 0 is not at least 1"),
        (
            "[quantize.calibration]\nshortest = 9\nlongest = 8",
            "longest: 8 is less than shortest: 9",
        ),
        ("[quantize.calibration]\npercentile = 101", "percentile: 101.0 is not above 50"),
        ('[quantize.calibration]\nstate = "kept"', "state: 'kept' is not one of 'rolling', 'zero'"),
    ],
)
def test_impossible_quantization_is_refused(tmp_path, line, mistake):
    with pytest.raises(ConfigError, match=mistake):
        load_recipe(write(tmp_path, GOOD + line))


def test_impossible_quantization_is_refused_together():
    with pytest.raises(ConfigError) as caught:
        Quantization("half", bits=4, block=7, nodes={"W0|": "int3"}, int8_share=0, max_drop=-1)
    assert len(caught.value.mistakes) == 7
    with pytest.raises(ConfigError) as caught:
        Calibration(percentile=50, streams=0, shortest=0, longest=-1, seed=-1)
    assert len(caught.value.mistakes) == 5


def test_the_first_pattern_that_matches_is_a_weights_scheme():
    nodes = {"in|W0": "weights8", "W*": "weights4", "R?|head": "fp32"}
    how = Quantization("dynamic", nodes=nodes)
    schemes = {name: how.scheme(name) for name in ("W0", "W1", "R0", "head", "embed")}
    assert schemes == {
        "W0": "weights8", "W1": "weights4", "R0": "fp32", "head": "fp32", "embed": "dynamic",
    }  # fmt: skip
    assert how.scheme("w0") == "dynamic", "names are told apart by case on every system"


@pytest.mark.parametrize(
    ("how", "scheme", "precision"),
    [
        (Quantization("dynamic"), "dynamic", "int8"),
        (Quantization("static"), "static", "int8"),
        (Quantization("weights"), "weights8", "int8"),
        (Quantization("weights", bits=4), "weights4", "int4"),
        (Quantization("half"), "fp32", "fp16"),
        (Quantization("weights", bits=4, nodes={"W0": "weights8"}), "weights4", "mixed"),
        (Quantization("dynamic", nodes={"head": "fp32"}), "dynamic", "mixed"),
        (Quantization("dynamic", nodes={"head": "dynamic"}), "dynamic", "int8"),
    ],
)
def test_a_variant_is_called_after_its_schemes(how, scheme, precision):
    assert (how.scheme("R1"), how.precision) == (scheme, precision)


def test_exceptions_and_calibration_are_tables_of_a_recipe(tmp_path):
    text = GOOD + '[quantize.nodes]\n"blocks.*.up" = "weights4"\nhead = "fp32"\n'
    text += '[quantize.calibration]\nranges = "mse"\nlongest = 99\n'
    _, how = load_quantization(write(tmp_path, text))
    assert how.nodes == {"blocks.*.up": "weights4", "head": "fp32"}
    assert how.calibration == Calibration(ranges="mse", longest=99)


def test_impossible_promises_are_refused_together(tmp_path):
    text = GOOD.replace("noise = 0.1", "noise = 0.1\nchanged_decisions = 2").replace(
        "relative_error = 0.1", "relative_error = 0"
    )
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(tmp_path, "gate_steps = 0\n" + text))
    assert len(caught.value.mistakes) == 3


def test_name_must_be_the_files(tmp_path):
    with pytest.raises(ConfigError, match=r"differs from the file's name"):
        load_recipe(write(tmp_path, GOOD, name="other"))


def test_missing_file_is_one_line():
    with pytest.raises(EdgeseqError, match=r"cannot read .*absent.toml"):
        load_recipe("/nowhere/absent.toml")
