"""The user's own data: three file formats, every split, and TOMLs full of mistakes."""

import numpy as np
import pytest

from edgeseq.errors import ConfigError, UsageError
from edgeseq.tasks import load_task
from edgeseq.tasks.base import UNKNOWN
from edgeseq.tasks.tables import find_files

SHORT = """
files = ["data/*.csv"]
rate_hz = 10
inputs = { ax = "g", ay = "g" }
label = "activity"
classes = ["still", "moving"]
window_s = 1.0
"""


def signal(seed, rows=60, moving=False):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3.0 if moving else 0.1, (rows, 2)).astype(np.float32)


def write_csv(path, samples, names, labels=None):
    header = [*names, "activity"] if labels is not None else list(names)
    lines = [",".join(header)]
    for index, row in enumerate(samples.tolist()):
        cells = [f"{value:.6f}" for value in row]
        lines.append(",".join([*cells, labels[index]] if labels is not None else cells))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path):
    """Five people, one CSV each: still for half of it, then moving."""
    for person in range(5):
        samples = np.concatenate([signal(person), signal(person, moving=True)])
        labels = ["still"] * 60 + ["moving"] * 60
        write_csv(tmp_path / "data" / f"p{person}.csv", samples, ("ax", "ay"), labels)
    return tmp_path


def toml(folder, text):
    path = folder / "own.toml"
    path.write_text(text)
    return str(path)


def mistakes(folder, text):
    with pytest.raises(ConfigError) as caught:
        load_task(toml(folder, text))
    return list(caught.value.mistakes)


class TestClasses:
    def test_csv(self, folder):
        task = load_task(toml(folder, SHORT))
        assert (task.frame.channels, task.frame.units) == (("ax", "ay"), ("g", "g"))
        assert (task.window, task.warmup, task.folds) == (10, 0, 5)
        assert task.output.labels == ("still", "moving")
        assert "last 1 s (10 frames)" in task.output.decision
        first = task.recordings()[0]
        assert (first.subject, first.name, first.frames.shape) == ("p0", "data/p0.csv", (120, 2))
        assert first.target.tolist() == [0] * 60 + [1] * 60
        np.testing.assert_allclose(first.frames[:60], signal(0), atol=1e-6)

    def test_folds_test_everybody_once(self, folder):
        task = load_task(toml(folder, SHORT))
        tested = [item.subject for fold in range(5) for item in task.split(fold).test]
        assert sorted(tested) == ["p0", "p1", "p2", "p3", "p4"]

    def test_baselines(self, folder):
        task = load_task(toml(folder, SHORT))
        scores = task.baselines(task.split(1))
        assert scores["majority class"].value == 50.0
        assert scores["random forest"].value == 100.0
        assert scores["random forest"].confusion == ((6, 0), (0, 6))

    def test_npy_columns_follow_inputs_then_label_as_number(self, folder):
        for person in range(3):
            label = np.repeat([0.0, 1.0, -1.0], 20)[:, None]
            np.save(folder / f"{person}.npy", np.hstack([signal(person), label]))
        task = load_task(toml(folder, SHORT.replace("data/*.csv", "*.npy")))
        assert task.recordings()[2].target.tolist() == [0] * 20 + [1] * 20 + [UNKNOWN] * 20
        np.testing.assert_array_equal(task.recordings()[2].frames, signal(2))

    def test_npz_holds_many_recordings(self, folder):
        block = np.stack([signal(index, 25) for index in range(6)])
        who = np.array(["a", "a", "b", "b", "c", "c"])
        np.savez(
            folder / "all.npz",
            x=block,
            activity=np.array([0, 1, 0, 1, 0, 1]),
            who=who.astype("S"),
            note=np.array(7),
        )
        text = SHORT.replace("data/*.csv", "*.npz") + 'array = "x"\nsubject = "who"\n'
        task = load_task(toml(folder, text))
        assert [item.subject for item in task.recordings()] == who.tolist()
        assert [item.name for item in task.recordings()][:2] == ["all.npz[0]", "all.npz[1]"]
        np.testing.assert_array_equal(task.recordings()[3].frames, block[3])
        assert set(task.recordings()[3].target.tolist()) == {1}
        assert task.folds == 3

    def test_npz_with_one_array_a_column(self, folder):
        for person in range(3):
            ax, ay = signal(person).T
            np.savez(folder / f"{person}.npz", ax=ax, ay=ay, activity=np.array("moving"))
        task = load_task(toml(folder, SHORT.replace("data/*.csv", "*.npz")))
        np.testing.assert_array_equal(task.recordings()[1].frames, signal(1))
        assert set(task.recordings()[1].target.tolist()) == {1}

    def test_label_and_subject_from_the_path(self, tmp_path):
        for person in ("ann", "bob", "cy"):
            for label in ("still", "moving"):
                write_csv(tmp_path / label / f"{person}_1.csv", signal(0), ("ax", "ay"))
        text = SHORT.replace("data/*.csv", "*/*.csv").replace('"activity"', '"folder"')
        task = load_task(toml(tmp_path, text + 'subject = "file:([a-z]+)_[0-9]"\n'))
        found = [(item.subject, int(item.target[0])) for item in task.recordings()]
        assert found == [(who, label) for label in (1, 0) for who in ("ann", "bob", "cy")]

    def test_frames_of_several_samples_take_the_newest_label(self, folder):
        """Rows 56 to 62 make a frame; the activity changes at row 60."""
        task = load_task(toml(folder, SHORT + "samples_per_frame = 7\n"))
        first = task.recordings()[0]
        assert (first.frames.shape, task.window) == ((17, 14), 1)
        assert first.target.tolist() == [0] * 8 + [1] * 9
        np.testing.assert_allclose(first.frames[1], signal(0)[7:14].ravel(), atol=1e-6)

    def test_npz_with_one_recording_in_an_array(self, folder):
        for person in range(3):
            np.savez(folder / f"{person}.npz", x=signal(person), activity=np.arange(60) % 2)
        text = SHORT.replace("data/*.csv", "*.npz") + 'array = "x"\n'
        task = load_task(toml(folder, text))
        np.testing.assert_array_equal(task.recordings()[2].frames, signal(2))
        assert task.recordings()[2].target.tolist() == [0, 1] * 30
        assert task.augment(signal(2), np.random.default_rng(0)).tolist() == signal(2).tolist()

    def test_files_by_absolute_path(self, folder):
        text = SHORT.replace("data/*.csv", f'{folder}/data/*.csv", "data/p0.csv')
        assert len(load_task(toml(folder, text)).recordings()) == 5

    def test_named_split(self, folder):
        text = SHORT + 'split = { test = ["p1"], validation = ["p3"] }\n'
        task = load_task(toml(folder, text))
        split = task.split()
        sides = [[item.subject for item in side] for side in (split.train, split.validation)]
        assert (task.folds, sides) == (1, [["p0", "p2", "p4"], ["p3"]])
        assert [item.subject for item in split.test] == ["p1"]


FORECAST = """
files = ["level.csv"]
rate_hz = 0.1
inputs = { rain = "mm", level = "m" }
target = "level"
horizon_s = 30
window_s = 100
split = { by = "time" }
"""


class TestValues:
    @pytest.fixture
    def river(self, tmp_path):
        rng = np.random.default_rng(0)
        rain = rng.exponential(1.0, 1000)
        level = 5 + np.sin(np.arange(1000) * 2 * np.pi / 40) + rng.normal(0, 0.02, 1000)
        samples = np.stack([rain, level], axis=1).astype(np.float32)
        write_csv(tmp_path / "level.csv", samples, ("rain", "level"))
        return tmp_path, samples

    def test_future_of_an_input_starts_from_persistence(self, river):
        folder, samples = river
        task = load_task(toml(folder, FORECAST))
        assert task.output.labels == ("level in 30 s",)
        assert (task.output.units, task.output.residual_of, task.warmup) == ("m", 1, 10)
        target = task.recordings()[0].target
        np.testing.assert_allclose(target[:-3, 0], samples[3:, 1], atol=1e-5)
        assert np.isnan(target[-3:]).all()

    def test_residual_is_the_newest_sample_of_a_frame(self, river):
        text = FORECAST + "samples_per_frame = 3\n"
        assert load_task(toml(river[0], text)).output.residual_of == 2 * 2 + 1

    def test_baselines_stand_in_order(self, river):
        task = load_task(toml(river[0], FORECAST))
        split = task.split()
        assert [len(side[0].frames) for side in (split.train, split.validation)] == [700, 100]
        scores = task.baselines(split)
        assert list(scores) == ["persistence", "ridge auto-regression"]
        assert scores["ridge auto-regression"].value < 0.2 * scores["persistence"].value
        assert scores["persistence"].metric == "MAE m"

    def test_target_beside_the_inputs(self, river):
        text = FORECAST.replace('rain = "mm", level = "m"', 'rain = "mm"').replace(
            "horizon_s = 30", 'target_units = "m"'
        )
        task = load_task(toml(river[0], text))
        assert task.output.residual_of is None
        assert list(task.baselines(task.split())) == ["mean", "ridge auto-regression"]
        np.testing.assert_allclose(task.recordings()[0].target[:, 0], river[1][:, 1], atol=1e-5)


class TestMistakes:
    def test_all_are_named_at_once(self, folder):
        header, *rows = (folder / "data" / "p1.csv").read_text().splitlines()
        rows[3:5] = ["nan,0.1,still", ",0.2,jumping"]
        (folder / "data" / "p1.csv").write_text("\n".join([header, *rows]))
        text = """
files = ["data/*.csv", "more/*.csv", "own.toml"]
rate_hz = -10
inputs = { ax = "g", ay = "g", az = "g" }
label = "activity"
classes = ["still", "moving"]
window_s = "long"
widow_s = 2.0
subject = "file:p[0-9]"
split = { by = "person", test_fraction = 1.5 }
"""
        assert mistakes(folder, text) == [
            'widow_s: unknown key; did you mean "window_s"?',
            "window_s: 'long' is not a number",
            "split.by: 'person' is not one of 'subject', 'time'",
            "rate_hz: -10.0 is not above 0",
            "subject: 'file:p[0-9]' needs exactly one group in parentheses, not 0",
            "split.test_fraction: 1.5 is not between 0 and 1",
            f'files: nothing matches "more/*.csv" in {folder}',
            'inputs: no column "az"; there are: ax, ay, activity (data/p0.csv and 4 more files)',
            'inputs: column "ax" has 2 NaN, infinite or empty values (data/p1.csv)',
            'label: "jumping" is not in classes: still, moving (data/p1.csv)',
            "files: .toml ending; allowed: .csv, .npz, .npy (own.toml)",
        ]

    def test_message_has_the_file_and_the_count(self, folder):
        with pytest.raises(ConfigError, match=r"own\.toml: 1 mistake\n  - rate_hz: missing"):
            load_task(toml(folder, SHORT.replace("rate_hz = 10", "")))

    def test_endless(self, folder):
        text = SHORT.replace("rate_hz = 10", "rate_hz = inf")
        assert mistakes(folder, text) == ["rate_hz: inf is not a finite number"]

    def test_not_toml(self, folder):
        assert mistakes(folder, "files = [")[0].startswith("not TOML: ")

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ('label = "activity"', "label, target: give one of the two: label for classes, "),
            ('classes = ["still", "moving"]', "classes: expected two or more different names"),
            ("window_s = 1.0", "window_s: missing; expected a number"),
            ('ax = "g", ay = "g"', "inputs: empty; expected at least one column = unit, such as"),
        ],
    )
    def test_left_out(self, folder, change, found):
        assert mistakes(folder, SHORT.replace(change, ""))[0].startswith(found)

    @pytest.mark.parametrize(
        ("added", "found"),
        [
            ("horizon_s = 1.0", "horizon_s: only a target has one"),
            ("samples_per_frame = 0", "samples_per_frame: 0 is not 1 or more"),
            ("samples_per_frame = 50", "window_s: 1.0 is shorter than a frame of 5 s"),
            ("subject = 'file:('", "subject: 'file:(' is no regular expression: missing ), "),
            ("subject = 'who'", 'subject: no column "who"; there are: ax, ay, activity (data/p0'),
            ("subject = 'folder'", "split: train, validation and test need 3 subjects, and there "),
            ("subject = 'file:q(.)'", "subject: 'file:q(.)' does not match the file's path"),
            ("split = { test = ['p9'], validation = ['p1'] }", 'split.test: no subject "p9"; the'),
            ("split = { test = ['p1'] }", "split.test, split.validation: name subjects for both"),
            ("split = { test = ['p1'], validation = ['p1'] }", 'split.validation: "p1" is in sp'),
            (
                "split = { test = ['p0', 'p1', 'p2'], validation = ['p3', 'p4'] }",
                "split.test, split.validation: they leave no subject to train on",
            ),
            ("split = { by = 'time', test = ['p1'], validation = ['p2'] }", "split.test, split.v"),
            (
                "split = { by = 'time', test_fraction = 0.05 }",
                "split: nothing can be scored in test of fold 0: it needs a recording of more",
            ),
            (
                "split = { by = 'time', test_fraction = 0.6, validation_fraction = 0.5 }",
                "split.test_fraction, split.validation_fraction: together they leave no training",
            ),
        ],
    )
    def test_makes_no_sense(self, folder, added, found):
        (only,) = mistakes(folder, SHORT + added)
        assert only.startswith(found)

    @pytest.mark.parametrize(
        ("content", "found"),
        [
            ("ax,ay,activity\n1,2,still\n1,2\n", "files: cannot be read: row 2 has 2 cells, the "),
            ("ax,ay,activity\n1,two,still\n", 'inputs: column "ay" is not all numbers: could not'),
            ("", "files: cannot be read: it has no rows below its header"),
        ],
    )
    def test_damaged_csv(self, folder, content, found):
        (folder / "data" / "p0.csv").write_text(content)
        (only,) = mistakes(folder, SHORT)
        assert only.startswith(found)
        assert only.endswith("(data/p0.csv)")

    def test_damaged_arrays(self, folder):
        np.save(folder / "a.npy", signal(0))
        (folder / "b.npz").write_bytes(b"PK\x03\x04 cut off")
        np.savez(folder / "c.npz", y=signal(0))
        np.savez(folder / "d.npz", x=signal(0)[:, :1])
        np.save(folder / "e.npy", np.array([{"a": 1}]), allow_pickle=True)
        text = SHORT.replace("data/*.csv", "*.np?") + 'array = "x"\n'
        found = mistakes(folder, text)
        assert found[0] == "inputs: shape (60, 2) is not (T, 3) for ax, ay, activity (a.npy)"
        assert found[1].startswith("files: cannot be read: ")
        assert found[2] == 'array: no array "x"; it has: y (c.npz)'
        assert found[3] == 'array: "x" has shape (60, 1), not (T, 2) or (N, T, 2) (d.npz)'
        assert found[4].startswith("files: cannot be read: Object arrays cannot be loaded")

    def test_label_of_another_length(self, folder):
        ax, ay = signal(0).T
        np.savez(folder / "a.npz", ax=ax, ay=ay, activity=np.zeros(7, int))
        np.savez(folder / "b.npz", ax=ax, ay=ay[:-1], activity=np.zeros(60, int))
        assert mistakes(folder, SHORT.replace("data/*.csv", "*.npz")) == [
            "label: shape (7,) is neither one value nor one for each row (a.npz)",
            "inputs: columns have shapes [(59,), (60,)], not all (T,) (b.npz)",
        ]

    @pytest.mark.parametrize(
        ("old", "new", "found"),
        [
            ("horizon_s = 30", "horizon_s = 0", "horizon_s: must be above 0, because the target"),
            ("horizon_s = 30", "horizon_s = 33", "horizon_s: 33.0 is not a multiple of a frame "),
            ('target = "level"', 'target = "flow"', "target_units: missing; flow is no input"),
        ],
    )
    def test_forecast(self, tmp_path, old, new, found):
        write_csv(tmp_path / "level.csv", signal(0, 400), ("rain", "level"))
        assert mistakes(tmp_path, FORECAST.replace(old, new))[0].startswith(found)

    def test_two_people_cannot_be_split(self, folder):
        assert mistakes(folder, SHORT.replace("*.csv", "p[01].csv")) == [
            "split: train, validation and test need 3 subjects, and there are 2: p0, p1. "
            "Set subject, add files, or use by = 'time'"
        ]

    def test_no_toml(self, tmp_path):
        with pytest.raises(UsageError, match=r"no file .*none\.toml; name a TOML that exists"):
            load_task(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("pattern", ["", ".", "a**", "nowhere/*.csv"])
def test_a_pattern_that_matches_nothing_matches_nothing(pattern, tmp_path):
    assert find_files(tmp_path, [pattern]) == {pattern: []}
