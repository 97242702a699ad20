"""`edgeseq run`: what is typed, what is printed, and what is left in the state file."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from runtime.letters import LETTERS, save_model

from edgeseq.cli import main, running
from edgeseq.cli.interrupt import Interrupts
from edgeseq.contract import Output
from edgeseq.report.run import Board
from edgeseq.runtime import StreamSession
from edgeseq.runtime.feed import Answer

GOLDEN = Path(__file__).parents[1] / "golden"
HAR, GLUCOSE = GOLDEN / "har-lstm", GOLDEN / "glucose-transformer"
COUNT = 12


def call(*arguments, code=0, text=None):
    command = ["run", *map(str, arguments)]
    result = CliRunner().invoke(main, command, input=text)
    assert result.exit_code == code, result.output
    return result


def frames(bundle=HAR, count=COUNT):
    with np.load(bundle / "reference.npz") as arrays:
        return arrays["frames"][:count]


def csv(array, header=""):
    """An array's samples as lines."""
    rows = (",".join(f"{value:.9g}" for value in row) for row in array)
    return "\n".join([*filter(None, [header]), *rows]) + "\n"


@pytest.fixture
def recording(tmp_path):
    """Samples of 12 frames as a CSV file."""
    file = tmp_path / "recording.csv"
    file.write_text(csv(frames().reshape(-1, 6), "ax,ay,az,wx,wy,wz"))
    return file


def outputs(result):
    table = [json.loads(line) for line in result.stdout.splitlines()]
    return np.array([list(row["outputs"].values()) for row in table], np.float32)


def stepped(bundle, rows, **how):
    with StreamSession(bundle, **how) as session:
        return np.stack([session.step(row) for row in rows])


@pytest.mark.parametrize(("bundle", "variant"), [(HAR, "int8"), (GLUCOSE, None)])
def test_json_reads_back_bit_for_bit(bundle, variant):
    rows = frames(bundle)
    chosen = ["--variant", variant] if variant else []
    result = call(bundle, "-", "--json", *chosen, text=csv(rows))
    assert np.array_equal(outputs(result), stepped(bundle, rows, variant=variant))
    first = json.loads(result.stdout.splitlines()[1])
    assert first["frame"] == 1
    assert first["seconds"] == (300 if bundle == GLUCOSE else 0.08)


def test_json_of_classes_and_of_values(recording):
    row = json.loads(call(HAR, recording, "--json").stdout.splitlines()[-1])
    assert set(row) == {"frame", "seconds", "outputs", "probabilities", "decision"}
    assert max(row["outputs"], key=row["outputs"].get) == row["decision"]
    logits = np.array(list(row["outputs"].values()))
    likely = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(list(row["probabilities"].values()), likely, atol=1e-6)
    row = json.loads(call(GLUCOSE, "-", "--json", text="120\n").stdout)
    assert set(row) == {"frame", "seconds", "outputs", "units"}
    assert row["units"] == "mg/dL"


def test_a_line_a_frame(recording):
    wanted = stepped(HAR, frames())
    lines = [line.split("\t") for line in call(HAR, recording).stdout.splitlines()]
    assert [line[:2] for line in lines] == [[str(i), f"{0.08 * i:g}"] for i in range(COUNT)]
    with StreamSession(HAR) as session:
        labels = session.contract.output.labels
    assert [line[2] for line in lines] == [labels[i] for i in wanted.argmax(axis=1)]
    value = call(GLUCOSE, "-", text="120\n").stdout.split("\t")
    assert np.float32(value[2]) == stepped(GLUCOSE, np.float32([[120]]))[0, 0]
    assert value[3] == "mg/dL\n"


def test_a_bare_file_and_session_settings(recording):
    rows = call(HAR / "model.onnx", recording, "--session", "threads=2", "--json")
    assert np.array_equal(outputs(rows), outputs(call(HAR, recording, "--json")))
    assert "threads=2,spinning=true" in call(HAR, recording, "--session", "x", code=2).stderr


def test_the_summary_is_on_standard_error(recording):
    error = call(HAR, recording).stderr
    assert re.match(r"12 frames in .* a second; a step took .* \(p50\), .* \(p99\)\n", error)
    assert "for an app: argmax of the mean of the logits of the last 2 seconds" in error
    few = "1,2,3,4,5,6\n" * 6
    assert "2 samples at the end make no frame: not fed" in call(HAR, "-", text=few).stderr


def test_two_halves_through_a_file_are_the_whole(recording, tmp_path):
    state = tmp_path / "s.npz"
    whole = outputs(call(HAR, recording, "--json"))
    first = call(HAR, recording, "--json", "--state", state, "--limit", 5)
    assert f"To go on with the rest of {recording}: --skip 20" in first.stderr
    assert f"Kept in {state}: the stream after 5 frames" in first.stderr
    lines = recording.read_text().splitlines(keepends=True)
    middle = call(HAR, "-", "--json", "--state", state, text="".join(lines[21:32]))  # 2.75 frames
    assert "3 samples at the end make no frame: kept for the next run" in middle.stderr
    last = call(HAR, recording, "--json", "--state", state, "--skip", 31)
    found = np.concatenate([outputs(part) for part in (first, middle, last)])
    assert np.array_equal(found, whole)
    assert json.loads(last.stdout.splitlines()[-1])["frame"] == 11


def test_a_wrong_line_keeps_what_came_before_it(recording, tmp_path):
    state = tmp_path / "s.npz"
    whole = outputs(call(HAR, recording, "--json"))
    lines = recording.read_text().splitlines()
    wrong = [*lines[:23], "1,2,nan,4,5,6", *lines[24:]]
    recording.write_text("\n".join(wrong))
    result = call(HAR, recording, "--json", "--state", state, code=1)
    assert result.stderr.splitlines()[-1].startswith(
        "Error: recording.csv, line 24: channel az is nan, which would stay in the state"
    )
    assert "--skip 22" in result.stderr
    assert np.array_equal(outputs(result), whole[:5])
    recording.write_text("\n".join(lines))
    rest = call(HAR, recording, "--json", "--state", state, "--skip", 22)
    assert np.array_equal(outputs(rest), whole[5:])


def test_a_state_that_cannot_be_written_is_said_before_data_is_used(recording, tmp_path):
    (tmp_path / "file").touch()
    result = call(HAR, recording, "--state", tmp_path / "file" / "s.npz", code=1)
    assert result.stderr.startswith("Error: cannot write")
    assert result.stdout == ""


def test_interrupted_is_130_and_kept(recording, tmp_path, monkeypatch):
    """A signal in the middle of a step waits for its answer."""
    state, step = tmp_path / "s.npz", StreamSession.step
    whole = outputs(call(HAR, recording, "--json"))

    def interrupted(session, frame):
        answer = step(session, frame)
        if np.array_equal(frame, frames()[6]):
            os.kill(os.getpid(), signal.SIGTERM)
        return answer

    monkeypatch.setattr(StreamSession, "step", interrupted)
    first = call(HAR, recording, "--json", "--state", state, code=130)
    monkeypatch.undo()
    assert "the stream after 7 frames" in first.stderr
    rest = call(HAR, recording, "--json", "--state", state, "--skip", 28)
    assert np.array_equal(np.concatenate([outputs(first), outputs(rest)]), whole)


def interrupt(interrupts, times):
    """Send signals inside of what must not be cut in two."""
    with interrupts.held:
        for number in range(1, times + 1):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise AssertionError(f"signal {number}") from None


def test_signals_come_at_once_outside_and_the_second_inside():
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupt(interrupts, 1)
    with Interrupts() as interrupts, pytest.raises(AssertionError, match="signal 2"):
        interrupt(interrupts, 3)
    assert signal.getsignal(signal.SIGINT) == before


REAL = """
import sys
sys.modules.update(dict.fromkeys(["torch", "onnx", "sklearn", "safetensors"]))
from edgeseq.cli import main
main(sys.argv[1:])
"""


def test_a_pipe_is_answered_line_by_line_without_torch(tmp_path):
    """The real thing: another process, whose answer is read before the next frame is written."""
    command = [sys.executable, "-c", REAL, "run", str(GLUCOSE), "-", "--state", "s.npz"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path
    ) as process:
        for number, value in enumerate((120, 121, 125)):
            process.stdin.write(f"{value}\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(f"{number}\t{300 * number}\t")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error.splitlines()[-1] == "Kept in s.npz: the stream after 3 frames"


def test_a_reader_that_has_seen_enough_is_no_error(recording):
    program = f"{sys.executable} -m edgeseq run {HAR} {HAR / 'reference.npz'} | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


def test_real_time_takes_its_time(recording):
    begin = time.monotonic()
    error = call(HAR, recording, "--pace", "real-time", "--limit", 3).stderr
    assert (
        time.monotonic() - begin >= 2 / 12.5
    )  # the third frame is due two periods after the first
    assert re.match(r"3 frames in .* m?s, 12.5 Hz, \d answered too late; ", error)


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("letters"))


def test_text_goes_on(letters, tmp_path):
    greedy = call(letters, "--prompt", "fade", "--length", 30, "--temperature", 0).stdout
    assert greedy.startswith("fade")
    assert len(greedy) == 34
    drawn = [
        call(letters, "--prompt", "fade", "--length", 30, "--seed", seed).stdout
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    (tmp_path / "prompt.py").write_text("fade")
    from_file = call(letters, tmp_path / "prompt.py", "--length", 30, "--temperature", 0)
    from_pipe = call(letters, "-", "--length", 30, "--temperature", 0, text="fade")
    assert from_file.stdout == from_pipe.stdout == greedy
    assert "30 tokens in" in from_file.stderr


def test_text_as_json_and_in_parts(letters, tmp_path):
    how = ("--json", "--temperature", 0)
    whole = call(letters, "--prompt", "fade", "--length", 30, *how).stdout
    tokens = [json.loads(line) for line in whole.splitlines()]
    assert all(LETTERS[item["token"]] == item["text"] for item in tokens)
    state = ("--state", tmp_path / "s.npz")
    parts = [
        call(letters, "--prompt", "fade", "--length", 10, *how, *state).stdout,
        call(letters, "--length", 20, *how, *state).stdout,
    ]
    assert "".join(parts) == whole


def test_what_goes_wrong_is_one_line(letters, recording, tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "short.csv").write_text("1,2,3,4,5,6\n")
    (tmp_path / "a.wav").touch()
    frames_of_text = tmp_path / "s.npz"
    call(letters, "--prompt", "a", "--length", 2, "--state", frames_of_text)
    wrong = {
        (HAR,): (2, "nothing to run: name a file, or - for standard input"),
        (HAR, "no.csv"): (2, "no file no.csv; name one that exists"),
        (HAR, tmp_path / "a.wav"): (2, "a file of kind .wav cannot be read"),
        (HAR, tmp_path / "empty.csv"): (1, "nothing to feed: the input is empty"),
        (HAR, tmp_path / "short.csv"): (1, "has too few rows for a frame, which is 4 samples"),
        (HAR, recording, "--skip", 99): (1, "all of it was skipped"),
        (HAR, recording, "--length", 5): (2, "a model of frames, does not go with --length"),
        (HAR, "--prompt", "def "): (1, "continues no text"),
        (HAR, recording, "--variant", "fp8"): (1, 'has no variant "fp8"'),
        (HAR / "model.onnx", recording, "--variant", "int8"): (2, "leave --variant out"),
        (HAR, recording, "--state", frames_of_text): (1, "is the stream of another model"),
        (HAR, recording, "--state", recording): (1, "holds no saved stream"),
        ("nowhere", recording): (1, "nowhere does not exist"),
        (letters,): (2, "nothing to go on with"),
        (letters, "no.txt"): (2, "no file no.txt"),
        (letters, "no.txt", "--prompt", "a"): (2, "leave one of them out"),
        (letters, "--prompt", "xyz"): (1, "the vocabulary has no 'x'"),
        (letters, "--prompt", "a", "--pace", "fast"): (2, "does not go with --pace"),
        (letters, "--prompt", "a", "--temperature", -1): (2, "is not 0 or a positive number"),
    }
    for arguments, (code, message) in wrong.items():
        result = call(*arguments, code=code)
        assert message in result.stderr.splitlines()[-1], arguments
        assert result.stderr.splitlines()[-1].startswith("Error: ")
        assert "frames in" not in result.stderr


def drawn(output, answers, width=80):
    board = Board(output)
    for index, answer in enumerate(answers):
        board.tell(Answer(index, index / 12.5, np.float32(answer)))
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=False).print(board)
    return file.getvalue().splitlines()


def test_a_board_of_classes_fits_a_terminal():
    labels = ("rest", "a class whose name [/b] is far too long for a terminal", "run")
    lines = drawn(Output("logits", labels), [[0, 0, 9], [0, 5, 0], [0, 9, 0], [0, 9, 0]])
    assert max(map(len, lines)) <= 80
    assert lines[0].rstrip() == "frame 3, at 0:00:00"
    assert re.fullmatch(r"rest +0\.0 % +0 %|rest +< 0\.1 % +0 %", lines[2].strip())
    assert lines[3].startswith("a class whose name [/b] is fa…")
    assert lines[3].rstrip().endswith("100.0 %         75.0 %")
    many = drawn(Output("logits", tuple(map(str, range(100)))), [np.arange(100)])
    assert [line.split()[0] for line in many[2:]] == [str(99 - i) for i in range(12)]


def test_a_board_of_values_shows_where_they_go():
    lines = drawn(Output("value", ("load",), units="kW"), [[1], [2], [3]])
    assert lines[-1].split() == ["load", "▁▅█", "3.000", "kW"]


def test_a_board_is_drawn_as_often_as_an_eye_can_follow(monkeypatch):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24, highlight=False)
    ticks = iter(np.arange(0, 1000, 0.02))
    monkeypatch.setattr(running.time, "monotonic", lambda: float(next(ticks)))
    with running._board(Output("logits", ("rest", "walk")), console, idle=False) as tell:
        for index in range(10):
            tell(Answer(index, index / 10, np.float32([index, 5])))
    shown = re.findall(r"frame (\d)", file.getvalue())
    assert shown[-1] == "9"
    assert 3 <= len(set(shown)) < 10
