"""A benchmark as tables: every figure where it belongs, what was not measured said."""

import io
from dataclasses import replace

import pytest
from report.synthetic import bench_result
from rich.console import Console

from edgeseq.bench.compare import compare_results
from edgeseq.bench.copies import CopyCost
from edgeseq.bench.gpu import DeviceMemory, Gpu
from edgeseq.bench.on_gpu import OnGpu
from edgeseq.bench.placement import Placement
from edgeseq.report.bench import bench_sheets, comparison_sheets, verdicts
from edgeseq.report.sheet import Sheet, as_markdown, as_text


@pytest.fixture(scope="module")
def result():
    return bench_result()


def drawn(sheets):
    console = Console(width=200, file=io.StringIO(), highlight=False)
    console.print(as_text(sheets))
    return console.file.getvalue()


def cells(sheets, head):
    (sheet,) = [sheet for sheet in sheets if sheet.columns and sheet.columns[0].startswith(head)]
    return {row[0]: dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows}


def test_figures_stand_where_they_belong(result):
    sheets = bench_sheets(result)
    hot = cells(sheets, "hot step")
    for variant in result.variants:
        assert float(hot[variant.name]["p50>"]) == pytest.approx(variant.hot.p50_us, rel=0.01)
        assert float(hot[variant.name]["p99>"]) == pytest.approx(variant.hot.p99_us, rel=0.01)
    paced = cells(sheets, "step at 100 Hz")
    assert paced["fp32"]["missed>"] == "2 of 1,500"
    assert paced["fp32"]["J/hour>"] == "not measured"
    assert cells(sheets, "step after a pause")["int8"]["10 ms>"] == "81.0"


def test_advice_needs_a_rate_and_says_its_deadline(result):
    chunks = cells(bench_sheets(result, deadline_ms=80), "call of T frames")
    assert chunks["fp32"]["µs>"] == "9.00 + 7.50 T"
    assert chunks["fp32"]["advice"] == "T = 8, 70.1 ms, 0.09 % busy (deadline 80.0 ms)"
    tight = cells(bench_sheets(result, deadline_ms=0.001), "call of T frames")
    assert tight["fp32"]["advice"] == "none is in time (deadline 0.00100 ms)"
    unpaced = replace(result, pace_settings=None)
    assert cells(bench_sheets(unpaced), "call of T frames")["fp32"]["advice"] == ""


def test_memory_in_parts_growth_and_many_streams(result):
    sheets = bench_sheets(result)
    assert cells(sheets, "fresh process")["fp32"]["growth, KiB a million steps>"] == "0 [-40, 40]"
    parts = cells(sheets, "resident")["fp32"]
    assert (parts["total>"], parts["unexplained>"]) == ("60.0", "0.050")
    assert parts["that is>"] == "0.08 % of all"
    (many,) = [sheet for sheet in sheets if sheet.columns[:1] == ("one of many streams, KiB",)]
    assert many.rows[0] == ("fp32", "1,000", "0.375", "9.20", "8.80", "0.520", "0.150")


def test_a_gpu_is_shown_part_by_part(result):
    """Figures made up to see them in their places; none is from a GPU."""
    on_gpu = OnGpu(
        memory=(DeviceMemory(410.0, 20.0, 30.0, 10.0, 470.0, 1, 200, 3, "process"),),
        memory_not_measured="",
        copies=(CopyCost("cuda", 1, 60.0, 50.0, 10.0, 20), CopyCost("cuda", 64, 80, 50, 30.0, 20)),
    )
    nodes = {"CPUExecutionProvider": {"Add": 1}, "CUDAExecutionProvider": {"LSTM": 2, "MatMul": 1}}
    placement = Placement("cuda", nodes, (), 0.0, 2.0, 3, "profile")
    variant = replace(result.variants[0], on_gpu=on_gpu, placement=placement)
    found = replace(result, variants=(variant,), gpu=Gpu("Imaginary", "9.0", 80_000, "1.2"))
    (sheet,) = [s for s in bench_sheets(found) if s.columns[:1] == ("on the GPU, MiB",)]
    assert sheet.rows == (
        ("fp32", "1", "410", "20.0", "30.0", "10.0", "470", "10.0"),
        ("fp32", "64", *["not measured"] * 5, "30.0"),
    )
    assert sheet.notes == (
        "fp32: 1 nodes on CPU, 3 nodes on CUDA; 0 copies to the device and 2 back within a call.",
        "GPU: Imaginary, compute capability 9.0, 80,000 MiB, driver 1.2.",
    )


def test_the_harness_and_the_conditions_stand_below(result):
    text = drawn(bench_sheets(result))
    assert "The harness: 140 ns a step; a session that does nothing (the floor) 4.2" in text
    assert "pacing takes 14.2 CPU s/hour" in text
    assert "stolen by the hypervisor 0.21 %" in text
    assert "put off a core 17.0 times" in text
    assert "Not measured: machine.governor" in text


def test_without_paced_run_there_is_no_such_table(result):
    bare = replace(
        result,
        variants=tuple(
            replace(v, paced=None, idle=None, chunks=None, cold=None, memory=None, many=None)
            for v in result.variants
        ),
    )
    heads = [sheet.columns[0] for sheet in bench_sheets(bare) if sheet.columns]
    assert heads == ["hot step, µs", "hot, in turns", "promise"]


def test_what_failed_comes_first(result):
    words = [row[0] for row in verdicts(result.budget).rows]
    assert words == ["fail", "not checked", "pass"]


def test_a_comparison_names_both_and_what_it_did_not_judge(result):
    other = replace(result, machine=replace(result.machine, onnxruntime="onnxruntime 1.30.0"))
    found = compare_results(result, other, 0.05, names=("a.json", "b.json"))
    text = drawn(comparison_sheets(found))
    assert "a.json" in text
    assert (
        "Times were not judged: onnxruntime was onnxruntime 1.32.0, is onnxruntime 1.30.0." in text
    )
    rows = cells(comparison_sheets(found), "variant")
    assert rows["fp32"]["new / old>"] == "1.000"


def test_markdown_is_a_table_that_nothing_breaks():
    sheet = Sheet(("name", "µs>"), (("a|b", "1"), ("[red]", "2")), ("Said.", "Twice."))
    assert as_markdown([sheet], title="T") == (
        "### T\n\n| name | µs |\n|---|--:|\n| a\\|b | 1 |\n| [red] | 2 |\n\nSaid.  \nTwice.\n"
    )
    assert "[red]" in drawn([sheet]), "names are no markup"
