"""Many results as one: what they are called, where they ran, and how to get them again."""

import json
import shlex
from dataclasses import replace

import pytest
from report.synthetic import bench_result

from edgeseq.cli import main
from edgeseq.contract import SessionSettings
from edgeseq.errors import EdgeseqError, UsageError
from edgeseq.files import write_json
from edgeseq.report.numbers import short
from edgeseq.report.results import (
    Run,
    headline,
    letters,
    load_runs,
    machines,
    markdown_page,
    reproduce,
    summary,
    variants,
)

ONE = bench_result()
RUN = Run("A", "x86-64-vnni-2026-11-24.json", ONE)


def parsed(run):
    """Return what `edgeseq bench` makes of the command."""
    program, verb, *words = shlex.split(reproduce(run))
    assert (program, verb) == ("edgeseq", "bench")
    return main.commands["bench"].make_context("bench", words).params


def with_variants(*found):
    return replace(RUN, result=replace(ONE, variants=found))


def test_the_command_asks_for_the_same():
    asked = parsed(RUN)
    assert [str(path) for path in asked["bundles"]] == ["har-lstm"]
    assert asked["variants"] == ("fp32", "int8")
    assert (asked["rate"], asked["seconds"], asked["rounds"]) == (100.0, 15.0, 40)
    assert (asked["device"], asked["fresh"], asked["pin"]) == ("x86-64-vnni", 5, None)
    assert (asked["provider"], asked["sessions"]) == (None, ())
    assert str(asked["out"]) == "x86-64-vnni-2026-11-24.json"


def test_bundles_and_session_settings_are_found_in_the_names():
    base = ONE.variants[0]
    session = SessionSettings(threads=2)
    run = with_variants(
        replace(base, name="a/fp32 threads=2", bundle="a", session=session),
        replace(base, name="a/fp32 onnxruntime", bundle="a"),
        replace(base, name="b c/fp32 threads=2", bundle="b c", session=session),
        replace(base, name="b c/fp32 onnxruntime", bundle="b c"),
    )
    asked = parsed(run)
    assert [str(path) for path in asked["bundles"]] == ["a", "b c"]
    assert asked["variants"] == ("fp32",)
    assert asked["sessions"] == ("threads=2", "onnxruntime")


def test_preferred_variants_of_several_bundles_need_no_name():
    base = ONE.variants[0]
    run = with_variants(
        replace(base, name="a/fp32", bundle="a"),
        replace(base, name="b/step", bundle="b", variant="step"),
    )
    assert parsed(run)["variants"] == ()


def test_what_was_left_out_is_left_out_again():
    bare = tuple(replace(item, memory=None, cold=None, paced=None) for item in ONE.variants)
    hot = replace(ONE.hot_settings, pin=1, rounds=7)
    result = replace(ONE, variants=bare, pace_settings=None, device=None, hot_settings=hot)
    asked = parsed(replace(RUN, result=result))
    assert (asked["seconds"], asked["fresh"], asked["pin"], asked["rounds"]) == (0, 0, 1, 7)
    assert asked["device"] is None


def test_machines_are_told_apart_by_all_that_decides_times():
    later = replace(ONE, machine=replace(ONE.machine, load_1m=3.0))
    newer = replace(ONE, machine=replace(ONE.machine, onnxruntime="onnxruntime 1.33.0"))
    runs = [Run(letters(n), f"{n}.json", result) for n, result in enumerate((ONE, later, newer))]
    found = [[run.letter for run in group] for group in machines(runs).values()]
    assert found == [["A", "B"], ["C"]]
    assert headline(runs) == "6 variants in 3 results from 2 machines: measured"
    runs[0] = replace(runs[0], result=replace(ONE, status="estimated"))
    assert headline(runs).endswith("2 measured, 1 estimated")
    assert headline([RUN]) == "2 variants in 1 result from 1 machine: measured"


def test_letters_go_on():
    assert [letters(n) for n in (0, 25, 26, 51, 52, 701, 702)] == [
        "A", "Z", "AA", "AZ", "BA", "ZZ", "AAA",
    ]  # fmt: skip


def test_a_device_that_it_is_not_is_told():
    assert RUN.device == "x86-64-vnni"
    assert RUN.promises == "1 fail, 1 not checked, 1 pass"
    elsewhere = replace(RUN, result=replace(ONE, is_device=False))
    assert elsewhere.device == "x86-64-vnni (not this machine)"


def test_files_are_read_in_order_and_named_apart(tmp_path):
    for folder in ("old", "new"):
        ONE.save(tmp_path / folder / "r.json")
    ONE.save(tmp_path / "other.json")
    paths = [tmp_path / "old" / "r.json", tmp_path / "new" / "r.json", tmp_path / "other.json"]
    runs = load_runs(paths)
    assert [run.letter for run in runs] == ["A", "B", "C"]
    assert [run.file for run in runs] == [str(paths[0]), str(paths[1]), "other.json"]
    with pytest.raises(UsageError, match=r"other\.json: named twice"):
        load_runs([paths[2], tmp_path / "old" / ".." / "other.json"])
    assert (runs[0].label(0), runs[1].label(1)) == ("A1", "B2")


def test_a_damaged_result_is_refused(tmp_path):
    table = ONE.to_json()
    table["variants"][1]["paced"]["step"]["samples"] = "gone"
    write_json(tmp_path / "bad.json", table)
    with pytest.raises(EdgeseqError, match=r"bad.json is damaged: variants.int8.paced.step: samp"):
        load_runs([tmp_path / "bad.json"])


def test_markdown_has_all_tables_and_the_status_of_each_row():
    text = markdown_page([RUN, Run("B", "b.json", replace(ONE, status="emulated"))])
    assert text.startswith("# edgeseq report\n\n4 variants in 2 results from 1 machine: 1 measured")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    row = next(row for row in rows if row[0] == "| B2")
    assert row[:3] == ["| B2", "int8", "emulated"]
    assert short(ONE.variants[1].paced.step.p99_us) in row
    assert "### B: b.json, emulated on Intel(R) Xeon(R) Processor @ 2.80GHz, cpu" in text
    assert text.count("The harness: 140 ns a step") == 2
    assert f"The same again: `{reproduce(RUN)}`" in text
    widths = {}
    for row in rows:
        widths.setdefault(len(row), []).append(row)
    assert all(len(group) > 1 for group in widths.values()), "heads and rows are equally wide"


def test_the_main_table_says_what_was_not_measured():
    bare = with_variants(replace(ONE.variants[0], accuracy=None, paced=None, memory=None))
    sheet = variants([bare])
    (row,) = sheet.rows
    assert row.count("not measured") == 8
    assert len(row) == len(sheet.columns)
    assert sheet.without("status").columns[:3] == ("mark", "variant", "task")


def test_the_summary_is_json_with_the_main_figures():
    (found,) = json.loads(json.dumps(summary([RUN])))
    assert (found["result"], found["status"], found["device"]) == ("A", "measured", "x86-64-vnni")
    assert found["promises"] == {"fail": 1, "not checked": 1, "pass": 1}
    first = found["variants"][0]
    assert (first["label"], first["missed"]) == ("A1", 2)
    assert first["hot_p50_us"] == ONE.variants[0].hot.p50_us
    assert first["accuracy"] == ONE.variants[0].accuracy.value
