"""Advice follows the evidence, in numbers, and ends where the evidence does."""

from dataclasses import replace
from pathlib import Path

import pytest
from report.synthetic import bench_result

from edgeseq.claims.advise import advise
from edgeseq.claims.cell import Cell, Outcome
from edgeseq.claims.essay import essay
from edgeseq.claims.evidence import Costs, costs_of, open_evidence, read
from edgeseq.claims.scope import Question, missing
from edgeseq.claims.store import Store
from edgeseq.errors import ConfigError, UsageError

DRAWS = [(fold, fold) for fold in range(5)]
QUESTION = Question("har", 1.0, 20, streaming=True)


class Cells:
    """Makes up cells in memory."""

    def __init__(self, folder: Path = Path("nowhere")) -> None:
        self.store = Store(folder)
        self.store.machines.append(
            {"cpu": "a CPU", "architecture": "x86_64", "flags": ["avx2", "avx512_vnni"]}
        )

    def add(self, kind, result, **settings):
        cell = Cell(kind, settings)
        self.store.outcomes[cell.key] = Outcome(cell, result, 1.0)

    def trained(
        self, family, level, params=20_000, *, task="har", noise=0.2, kib=None, int8=None, **more
    ):
        """Train at a level; noise is luck that no other family shares."""
        for fold, seed in DRAWS:
            luck = fold - 2 + noise * ((fold * (3 + len(family)) + params) % 5 - 2)
            settings = {
                "task": task, "family": family, "params": params, "fold": fold, "seed": seed,
                "lr": 0.004, "length": 1.0, **more,
            }  # fmt: skip
            higher = {"metric": "accuracy %", "higher_is_better": task != "glucose"}
            self.add("train", {**higher, "value": level + luck}, **settings)
            if kib is not None:
                result = {**higher, "fp32": 0, "int8": (int8 or level) + luck}
                size = [1024 * kib, 256 * kib]
                self.add("quantized", {**result, "bytes": size}, **settings)
        return self

    def timed(self, family, us, params=20_000, *, task="har", rounds=30):
        """Cost so much, as a cell of the kind `edge` says it."""
        result = {
            "parameters": params - 3,
            "fp32": {"file_kib": 9.0, "peak_above_idle_mib": 2.5},
            "int8": {"not measured": "cannot be"},
            "hot_us": {"fp32": [us / 2, us / 3, us]},
            "paced": {"rate_hz": 50, "fp32": {"us": [us, us, us], "cpu_s_per_hour": us / 10}},
        }
        self.add("edge", result, task=task, family=family, params=params, rounds=rounds)
        return self

    def ask(self, **changes):
        return advise(replace(QUESTION, **changes), read(self.store))


def test_the_cheapest_of_who_are_as_good():
    cells = Cells().trained("lstm", 88.0).trained("transformer", 88.5)
    cells.timed("lstm", 100).timed("transformer", 200)
    found = cells.ask()
    assert (found.choice.family, found.runner_up.family) == ("lstm", "transformer")
    assert found.choice.as_good
    assert found.choice.behind[0].mean == pytest.approx(-0.5, abs=0.3)
    assert "the least CPU time of 2 that are as good, 10 s/hour" in found.reasons
    assert found.runner_up.behind == (None,)  # it is the best
    assert found.essay.family == "transformer"
    assert "transformer fp32, 20,000 parameters, is as good, and costs more" in found.disagrees


def test_evidence_flips_the_advice():
    """The same question over other scores, and over other costs."""
    better = Cells().trained("lstm", 84.0).trained("transformer", 88.5)
    better.timed("lstm", 100).timed("transformer", 200)
    found = better.ask()
    assert found.choice.family == "transformer"
    assert not found.runner_up.as_good
    assert found.disagrees == ""
    cheaper = Cells().trained("lstm", 88.0).trained("transformer", 88.5)
    cheaper.timed("lstm", 300).timed("transformer", 200)
    assert cheaper.ask().choice.family == "transformer"


def test_an_error_is_better_where_it_is_small():
    cells = Cells().trained("lstm", 20.0, task="glucose").trained("gru", 30.0, task="glucose")
    found = cells.ask(task="glucose", length=10)
    assert found.choice.family == "lstm"
    assert found.runner_up.behind[0].unit == "%"
    assert found.runner_up.behind[0].mean < -40


def test_who_may_be_as_good_would_change_it():
    cells = Cells().trained("lstm", 87.0, noise=2.5).trained("transformer", 88.5)
    cells.timed("lstm", 100).timed("transformer", 200)
    found = cells.ask()
    assert found.choice.family == "transformer"
    assert any("lstm fp32, 20,000 parameters is cheaper, and open" in s for s in found.would_change)


def test_budgets():
    cells = Cells().trained("lstm", 80.0, kib=40).trained("transformer", 88.5, kib=80, int8=87.9)
    assert cells.ask().choice.name == "transformer int8, 20,000 parameters"
    scores = {item.name: item.scores[0] for item in cells.ask().ranked}
    assert scores["transformer fp32, 20,000 parameters"] == pytest.approx(88.5)
    assert scores["transformer int8, 20,000 parameters"] == pytest.approx(87.9)
    found = cells.ask(max_kib=15)
    assert found.choice.name == "lstm int8, 20,000 parameters"
    assert "without the limit of 15 KiB: transformer int8, 20,000 parameters" in found.would_change
    assert found.disagrees == f"no transformer that was measured fits; {found.choice.name} does"
    nothing = cells.ask(max_kib=5)
    assert nothing.choice is None
    assert "the least file that was measured is 10 KiB" in nothing.unknown[0]
    untimed = cells.ask(max_us=100)
    assert "step was not measured: edgeseq claims edge" in untimed.unknown[0]


def test_a_stream_is_judged_paced_and_a_batch_hot():
    cells = Cells().trained("lstm", 88.0).timed("lstm", 100)
    assert cells.ask(max_us=60).choice is None
    assert cells.ask(max_us=60, streaming=False).choice.family == "lstm"


def test_the_share_of_the_data_decides():
    cells = Cells().trained("lstm", 80.0).trained("transformer", 88.5)
    cells.trained("lstm", 70.0, share=0.1).trained("transformer", 55.0, share=0.1)
    full, tenth = cells.ask(), cells.ask(data=0.12)
    assert (full.choice.family, tenth.choice.family) == ("transformer", "lstm")
    assert tenth.tasks == (("har", 0.1),)
    assert any(said.startswith("with 10 % of the data: lstm") for said in full.would_change)
    assert "edgeseq claims data scale" in cells.ask(data=0.01).unknown[0]


def test_a_kind_holds_on_every_task_of_it():
    cells = Cells()
    for task, lstm, other in (("har", 88.0, 88.5), ("digits", 70.0, 90.0)):
        cells.trained("lstm", lstm, task=task).trained("transformer", other, task=task)
    cells.trained("gru", 89.0)  # on one task only
    found = cells.ask(task="classes")
    assert found.choice.family == "transformer"
    assert [task for task, _ in found.tasks] == ["har", "digits"]
    assert {item.family for item in found.ranked} == {"lstm", "transformer"}
    cells = Cells()
    for task, lstm, other in (("har", 90.0, 70.0), ("digits", 70.0, 90.0)):
        cells.trained("lstm", lstm, task=task).trained("transformer", other, task=task)
    assert "no model in common" in cells.ask(task="classes").unknown[0]


def test_what_lies_far_back_is_asked_of_recall():
    cells = Cells().trained("lstm", 88.0).trained("transformer", 88.5).trained("gru", 88.4)
    assert "no distance" in cells.ask(length=500).unknown[0]
    for lag, level in ((128, 99.0), (512, 40.0)):
        cells.trained("lstm", level, task=f"recall-{lag}")
        cells.trained("transformer", 99.5, task=f"recall-{lag}")
    near, far = cells.ask(length=20), cells.ask(length=500)
    assert {item.family for item in near.ranked} == {"lstm", "transformer", "gru"}
    assert {item.family for item in far.ranked} == {"transformer"}
    assert {item.family for item in cells.ask(length=120).ranked} == {"lstm", "transformer"}
    assert "at most 512 frames" in cells.ask(length=600).unknown[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "whales"}, "whales was not measured; measured: har"),
        ({"task": "text"}, "text was not measured"),
        ({"data": 0.3}, "har was measured with 100 % of its data, not with 30 %"),
        ({"length": 5000}, "not 5000"),
        ({"device": "raspberry-pi-4"}, "nothing was measured on raspberry-pi-4, but on: a CPU"),
    ],
)
def test_outside_of_what_was_measured(changes, said):
    found = Cells().trained("lstm", 88.0).trained("transformer", 88.5).ask(**changes)
    assert found.ranked == ()
    assert any(said in line and "edgeseq claims" in line for line in found.unknown)


def test_the_device_that_measured():
    cells = Cells().trained("lstm", 88.0)
    assert cells.ask(device="x86-64-vnni").choice.family == "lstm"
    with pytest.raises(UsageError, match="no device"):
        cells.ask(device="toaster")


def test_what_is_no_evidence():
    """Experiments, and trainings that were cut short, are not compared with the others."""
    cells = Cells().trained("lstm", 80.0)
    cells.trained("transformer", 99.0, positions="none")
    cells.trained("gru", 99.0, length=0.1)
    cells.add("train", {"failed": "diverged"}, task="har")
    assert {item.family for item in cells.ask().ranked} == {"lstm"}
    assert "nothing" in advise(QUESTION, read(Store(Path("nowhere")))).unknown[0]


def test_costs_of_a_cell():
    cells = Cells().trained("lstm", 88.0).timed("lstm", 100).timed("lstm", 900, rounds=3)
    (known,) = read(cells.store).known("har", 1.0)
    assert known.costs == Costs(9.0, 50.0, 100.0, 2.5, 10.0)  # of the most rounds
    assert costs_of({"int8": {"not measured": "cannot be"}, "hot_us": {}}, "int8") == Costs()


def test_results_of_bench_are_costs(tmp_path):
    result = bench_result()
    variant = result.variants[0]
    size = round(variant.parameters * 1.05)
    cells = Cells().trained(variant.family, 88.0, size, task=variant.task)
    cells.timed(variant.family, 123_456, size, task=variant.task)
    (known,) = read(cells.store, [result]).known(variant.task, 1.0)
    same = [v for v in result.variants if v.precision == known.precision and v.paced]
    assert known.costs.paced_us in {v.paced.step.p50_us for v in same}
    assert known.costs.kib in {v.file_kib for v in same}
    result.save(tmp_path / "bench.json")
    evidence = open_evidence(tmp_path)
    assert evidence.machines[0]["cpu"] == result.machine.cpu


def test_folders(tmp_path):
    with pytest.raises(UsageError, match="has no cells"):
        open_evidence(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        open_evidence(tmp_path / "none")
    store = Store(tmp_path / "cells", {"cpu": "x"})
    for outcome in Cells().trained("lstm", 88.0).store:
        store.add(outcome)
    assert open_evidence(tmp_path).tasks == open_evidence(tmp_path / "cells").tasks == ("har",)
    assert open_evidence() is not None


@pytest.mark.parametrize(
    ("changes", "family"),
    [
        ({}, "lstm"),
        ({"streaming": False}, "transformer"),
        ({"kib": None}, "transformer"),
        ({"length": 65}, "transformer"),
        ({"data": 0.11}, "transformer"),
        ({"kib": None, "device": "raspberry-pi-zero-2w"}, "lstm"),
    ],
)
def test_the_essays_rule_needs_all(changes, family):
    question = {"streaming": True, "length": 64, "data": 0.1, "device": "any", "kib": 64.0}
    assert essay(**question | changes).family == family


def test_questions():
    assert missing(Question()) == ("task", "data", "length", "streaming")
    assert missing(QUESTION) == ()
    with pytest.raises(ConfigError, match=r"data: 3 is no share(.|\n)*max_kib: -1 is not above 0"):
        Question(data=3, max_kib=-1)
