"""`edgeseq report`, from what is typed to what is written, and what it refuses."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from report.synthetic import bench_result

from edgeseq.cli import main

ONE = bench_result()


def call(*arguments, code=0):
    result = CliRunner().invoke(main, ["report", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def two(tmp_path):
    paths = [tmp_path / "x86-64-vnni-2026-11-24.json", tmp_path / "pi.json"]
    good = [item for item in ONE.budget if item.verdict != "fail"]
    replace(ONE, budget=tuple(good)).save(paths[0])
    replace(ONE, status="emulated", is_device=False).save(paths[1])
    return paths


def test_a_page(two, tmp_path):
    output = call(*two, "-o", tmp_path / "report.html").stdout
    assert output.rstrip().endswith(f"Open {tmp_path / 'report.html'}")
    assert "emulated" in output
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "4 variants in 2 results from 1 machine: 1 measured, 1 emulated" in page


def test_markdown_by_name_or_by_option(two, tmp_path):
    call(*two, "-o", tmp_path / "report.md")
    written = (tmp_path / "report.md").read_text()
    assert written.startswith("# edgeseq report")
    assert call(*two, "--markdown").stdout == written
    call(*two, "--markdown", "-o", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == written


def test_json_is_a_list_of_what_was_read(two, tmp_path):
    found = json.loads(call(*two, "--json", "-o", tmp_path / "r.html").stdout)
    assert [item["file"] for item in found] == ["x86-64-vnni-2026-11-24.json", "pi.json"]
    assert (tmp_path / "r.html").exists()


def test_somewhere_it_must_go(two, tmp_path):
    assert "report RESULT.json -o report.html" in call(*two, code=2).stderr
    before = two[0].read_bytes()
    assert "neither .html nor .md" in call(two[1], "-o", two[0], code=2).stderr
    assert two[0].read_bytes() == before
    assert "named twice" in call(two[0], two[0], "--json", code=2).stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"schema": 1}', "schema 1 is unknown"),
        ("{", "cannot read the result"),
        ("[]", "is not a result of"),
        (None, "cannot read the result"),
        (b"\xff\xfe", "cannot read the result"),
    ],
)
def test_one_that_cannot_be_read_and_nothing_is_written(two, tmp_path, content, said):
    bad = tmp_path / "bad.json"
    if content is not None:
        bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    error = call(*two, bad, "-o", tmp_path / "report.html", code=1).stderr
    (line,) = error.splitlines()
    assert said in line
    assert "bad.json" in line
    assert "edgeseq bench -o RESULT.json" in line
    assert not (tmp_path / "report.html").exists()


def test_contributors_can_check_before_they_ask(two):
    assert "x86-64-vnni-2026-11-24.json" in call(two[0], "--check").stdout
    error = call(*two, "--check", code=1).stderr
    assert "pi.json cannot be added to devices/results: its name is pi.json, not" in error
