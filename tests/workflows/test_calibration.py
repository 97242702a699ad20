"""Calibration streams come from training recordings, start anywhere, and are old and young."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from edgeseq.bench.latency import HotSettings
from edgeseq.bundle import load_bundle, write_manifest
from edgeseq.check import check_bundle
from edgeseq.errors import EdgeseqError, UsageError
from edgeseq.measured import Calibrated
from edgeseq.recipes import Calibration, load_recipe
from edgeseq.shipped import shipped
from edgeseq.tasks import load_task
from edgeseq.workflows.calibration import draw, draw_streams
from edgeseq.workflows.quantize import quantize_bundle

QUICK = HotSettings(rounds=1, block=5)
HOW = Calibration(streams=60, shortest=8, longest=900)


def rows(recordings):
    return {row.tobytes() for frames in recordings for row in frames}


def test_streams_are_training_recordings_and_nothing_else(lstm_bundle, walk):
    split = load_task(str(walk)).split(0)
    drawn = draw(lstm_bundle, HOW)
    train = rows(recording.frames for recording in split.train)
    assert rows(drawn.streams) <= train
    kept_apart = [recording.frames for recording in (*split.validation, *split.test)]
    assert rows(drawn.streams).isdisjoint(rows(kept_apart))
    assert len(rows(drawn.streams)) > 0.5 * len(train)


def test_what_the_manifest_says_is_what_was_drawn(lstm_bundle):
    drawn = draw(lstm_bundle, HOW)
    assert drawn.calibrated == Calibrated(
        streams=60,
        frames=sum(len(frames) for frames in drawn.streams),
        source="walk, training recordings of fold 0",
        ranges=HOW.ranges,
        state="rolling",
    )


def test_a_stream_starts_anywhere_and_other_recordings_follow():
    recordings = [np.arange(100 * k, 100 * k + 50, dtype=np.float32)[:, None] for k in range(1, 4)]
    starts = set()
    for frames in draw_streams(recordings, Calibration(streams=400, shortest=5, longest=200)):
        values = frames[:, 0].astype(int)
        starts.add(int(values[0]))
        breaks = np.flatnonzero(np.diff(values) != 1)
        assert all(values[place] % 100 == 49 for place in breaks)  # never cut short
        assert all(values[place + 1] % 100 == 0 for place in breaks)  # nor begun in the middle
    assert len(starts) > 100


def test_lengths_are_log_uniform():
    """As many between 10 and 100 as between 100 and 1,000."""
    recordings = [np.zeros((70, 1), np.float32)]
    how = Calibration(streams=4000, shortest=10, longest=1000)
    lengths = np.array([len(frames) for frames in draw_streams(recordings, how)])
    assert lengths.min() == 10
    assert 950 < lengths.max() <= 1000
    assert 0.47 < np.mean(lengths < 100) < 0.53
    one = Calibration(streams=3, shortest=25, longest=25)
    assert [len(frames) for frames in draw_streams(recordings, one)] == [25] * 3


def test_the_seed_decides(lstm_bundle):
    first, again = (draw(lstm_bundle, HOW).streams for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    other = draw(lstm_bundle, replace(HOW, seed=1)).streams
    assert [len(frames) for frames in other] != [len(frames) for frames in first]


def test_without_the_data_the_reference_has_to_do_and_is_named(lstm_bundle, tmp_path):
    folder = shutil.copytree(lstm_bundle.path, tmp_path / "bundle")
    origin = replace(lstm_bundle.manifest.origin, task="/nowhere/gone.toml")
    write_manifest(folder, replace(lstm_bundle.manifest, origin=origin))
    bundle = load_bundle(folder)
    drawn = draw(bundle, HOW)
    assert drawn.calibrated.source.startswith("the bundle's reference (")
    assert "test recordings of fold 0" in drawn.calibrated.source
    assert rows(drawn.streams) <= rows([bundle.reference["frames"]])
    with pytest.raises(EdgeseqError, match=r"gone\.toml"):
        draw(bundle, HOW, task="/nowhere/gone.toml")


def test_a_task_of_other_frames_is_refused(lstm_bundle, walk):
    task = load_task(str(walk))
    other = replace(task, frame=replace(task.frame, samples=1))
    with pytest.raises(UsageError, match="has frames of"):
        draw(lstm_bundle, HOW, task=other)


def test_a_static_twin_says_how_it_was_calibrated(gru_bundle, tmp_path):
    folder = shutil.copytree(gru_bundle.path, tmp_path / "bundle")
    recipe = tmp_path / "mine.toml"
    text = (shipped("export") / "recipes" / "int8-static.toml").read_text()
    text = text.replace('"int8-static"', '"mine"').replace("longest = 2048", "longest = 200")
    recipe.write_text(text.replace("streams = 32", "streams = 5"))
    bundle = quantize_bundle(folder, recipe, accuracy=False, hot=QUICK)
    for name in ("int8", "step-int8"):
        made = bundle.variant(name)
        assert made.calibration.source == "walk, training recordings of fold 0"
        assert (made.calibration.streams, made.calibration.state) == (5, "rolling")
        assert made.calibration.ranges == load_recipe(recipe).quantize.calibration.ranges
        assert made.census.int8_weights == 1
        assert made.parity.sqnr_db > 25
        assert made.contract.recipe == "mine"
    assert bundle.variant("fp32").calibration is None
    report = check_bundle(bundle, ["int8"])
    assert report.ok
    notes = {finding.promise: finding.note for finding in report.variants["int8"]}
    assert notes["chunks"] == "largest error / RMS against PyTorch"
