"""Which character comes next in Python source it has never seen: the standard library's own.

Read where the running Python keeps it, so nothing is fetched. Python changes its library from
release to release: scores compare on one release only.
"""

import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from edgeseq.contract import Frame, Output
from edgeseq.errors import DataError
from edgeseq.tasks.base import Progress, Recording, Split
from edgeseq.tasks.next_token import NextToken, next_tokens
from edgeseq.tokens import UNKNOWN_CHARACTER, encode

VOCABULARY = ("\n", *map(chr, range(ord(" "), ord("~") + 1)), UNKNOWN_CHARACTER)
"""Line end, printable ASCII, all others: fixed, so that no bundle depends on what was read."""

# Packages (with all that lies in them) and modules that every Python from 3.11 on has. Nothing is
# on two sides, and a package is never divided. What a Python lacks is left out.
TRAIN = (
    *("asyncio", "collections", "concurrent", "http", "logging", "urllib"),
    *("argparse.py", "ast.py", "base64.py", "calendar.py", "codecs.py", "configparser.py"),
    *("contextlib.py", "csv.py", "dataclasses.py", "difflib.py", "enum.py", "fractions.py"),
    *("functools.py", "gzip.py", "inspect.py", "os.py", "pickle.py", "pprint.py", "random.py"),
    *("shutil.py", "socket.py", "subprocess.py", "tempfile.py", "threading.py", "tokenize.py"),
    *("traceback.py", "typing.py", "warnings.py", "weakref.py"),
)
VALIDATION = ("cmd.py", "shlex.py")
TEST = ("json", "heapq.py", "textwrap.py")

READING_HZ = 25.0
"""Characters a second that a quick reader takes in: the pace of text that is shown as it comes."""
WARMUP, STRETCH = 64, 512

TRAINING = {
    "crop": 128,
    "batch": 32,
    "label_smoothing": 0.0,
    "skip": 0.0,
    "augment": False,
    "refit": 0.0,
    "evaluate_every": 100,
}


def load(progress: Progress | None = None) -> NextToken:
    """Declare the task; the files are read when they are first needed."""
    return NextToken(
        name="text",
        summary="Python source, 2.6 million characters; the next character",
        source="the standard library of the running Python, PSF-2.0",
        frame=Frame(
            channels=("character",),
            units=("token",),
            sample_rate_hz=READING_HZ,
            vocabulary=VOCABULARY,
        ),
        output=Output(
            kind="logits",
            labels=VOCABULARY,
            decision="draw by the softmax of the logits, or take the argmax, as the next character",
        ),
        folds=1,
        load=lambda: read_library(Path(sysconfig.get_path("stdlib"))),
        divide=lambda recordings, _: divide(recordings),
        warmup=WARMUP,
        span=WARMUP + STRETCH,
        training=TRAINING,
    )


def divide(recordings: Sequence[Recording]) -> Split:
    """Split by package or module."""
    return Split(
        *(
            tuple(item for item in recordings if item.subject in side)
            for side in (TRAIN, VALIDATION, TEST)
        )
    )


@cache
def read_library(folder: Path) -> tuple[Recording, ...]:
    """Read the files of every side, one recording each; too short ones are left out."""
    every = (
        _recording(file, folder, name)
        for name in (*TRAIN, *VALIDATION, *TEST)
        for file in _sources(folder / name)
    )
    found = tuple(item for item in every if len(item.frames) > WARMUP + 1)
    split = divide(found)
    if not (split.train and split.validation and split.test):
        raise DataError(
            f"{folder} lacks modules that text is made of: this Python was installed without its "
            "library's source. Run edgeseq by another one, such as python.org's"
        )
    return found


def _sources(path: Path) -> list[Path]:
    """Return a module's file or a package's, in one order everywhere; none where there is none."""
    files = path.rglob("*.py") if path.is_dir() else [path] * path.is_file()
    return sorted(files, key=lambda file: file.relative_to(path).as_posix())


def _recording(file: Path, folder: Path, name: str) -> Recording:
    text = file.read_text(encoding="utf-8", errors="replace")
    tokens = np.array(encode(text, VOCABULARY), np.int64)
    return Recording(
        frames=tokens.astype(np.float32)[:, None],
        target=next_tokens(tokens),
        subject=name,
        name=file.relative_to(folder).as_posix(),
    )
