"""`results.json`: what is written is what is read, and nothing else is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from report.synthetic import demo

from edgeseq.errors import EdgeseqError, PromiseError
from edgeseq.report.demo import DemoResult, Promise


def test_round_trip(tmp_path: Path) -> None:
    result = demo()
    result.save(tmp_path / "results.json")
    assert DemoResult.load(tmp_path / "results.json") == result


def test_what_was_not_measured_survives(tmp_path: Path) -> None:
    result = replace(demo(), harness=None, pace_settings=None)
    result.save(tmp_path / "results.json")
    assert DemoResult.load(tmp_path / "results.json") == result


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema": 99}, "schema 99 is unknown"), ({"verdicts": []}, "verdicts: unknown key")],
)
def test_what_is_not_known_is_refused(change: dict, message: str) -> None:
    with pytest.raises(EdgeseqError, match=message):
        DemoResult.from_json(demo().to_json() | change, where="results.json")


@pytest.mark.parametrize("content", ["{", "[]", '"no"'])
def test_damaged_files_are_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(EdgeseqError, match=r"results\.json"):
        DemoResult.load(path)
    with pytest.raises(EdgeseqError, match="nowhere"):
        DemoResult.load(tmp_path / "nowhere.json")


def test_the_file_is_json_with_a_schema_first() -> None:
    text = json.dumps(demo().to_json())
    assert text.startswith('{"schema": 2, "status": "measured"')
    assert ": NaN" not in text
    assert len(text) < 300_000


def test_looking_up() -> None:
    result = demo()
    assert result.model("lstm").shipped.name == "int8"
    assert result.task.frame_rate_hz == 12.5
    with pytest.raises(KeyError):
        result.model("gru")


def test_broken_promises_are_raised_by_name() -> None:
    result = demo()
    result.require_promises()
    broken = Promise("int8", "changed decisions", "broken", "3 % of frames (limit 1 %)")
    skipped = Promise("fp32", "census", "not checked", "needs onnx")
    model = replace(result.models[0], promises=(broken, skipped))
    with pytest.raises(PromiseError, match=r"1 promise\(s\) broke: lstm int8 changed decisions: 3"):
        replace(result, models=(model, result.models[1])).require_promises()
