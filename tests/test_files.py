"""What is written is whole or not there, whatever happens in between."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeseq import files
from edgeseq.errors import EdgeseqError
from edgeseq.files import restore, sha256, staged_directory, write_bytes, write_json, write_text

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def bundle(tmp_path):
    """A directory that must survive."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "file").write_text("old")
    return tmp_path / "bundle"


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def full_disk(*_):
    raise FULL


def message(path):
    return (
        f"cannot write {path}: No space left on device. Nothing that was there is lost; "
        "make room or choose another place, then run the same command again"
    )


def test_files_are_written_whole_with_their_folders(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_json(path, {"µ": 1})
    assert path.read_text(encoding="utf-8") == '{\n  "µ": 1\n}\n'
    write_text(path, "new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["b.json"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert sha256(path) == "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(EdgeseqError) as error:
        write_bytes(path, b"new")
    assert str(error.value) == message(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeseqError, match=r"^cannot write .*: (Not a directory|File exists)\. "):
        write_bytes(tmp_path / "file" / "inside", b"")


def test_a_staged_directory_takes_the_place_of_the_old(bundle):
    with staged_directory(bundle) as staging:
        assert names(staging) == []
        (staging / "file").write_text("new")
        assert (bundle / "file").read_text() == "old"
    assert (bundle / "file").read_text() == "new"
    assert names(bundle.parent) == ["bundle"]


def test_a_staged_directory_may_be_the_first(tmp_path):
    with staged_directory(tmp_path / "a" / "bundle") as staging:
        (staging / "file").write_text("new")
    assert names(tmp_path / "a") == ["bundle"]


def test_a_failure_leaves_the_old_directory(bundle):
    with pytest.raises(KeyboardInterrupt), staged_directory(bundle):
        raise KeyboardInterrupt
    assert (bundle / "file").read_text() == "old"
    assert names(bundle.parent) == ["bundle"]


def test_a_full_disk_leaves_the_old_directory(bundle):
    with pytest.raises(EdgeseqError) as error, staged_directory(bundle):
        raise FULL
    assert str(error.value) == message(bundle)
    assert (bundle / "file").read_text() == "old"
    assert names(bundle.parent) == ["bundle"]


@pytest.mark.parametrize("nth", [1, 2])
def test_a_rename_that_fails_leaves_the_old_directory(bundle, monkeypatch, nth):
    rename, calls = Path.rename, []

    def failing(self, target):
        calls.append(target)
        if len(calls) == nth:
            raise FULL
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(EdgeseqError, match="No space left"), staged_directory(bundle) as staging:
        (staging / "file").write_text("new")
    assert (bundle / "file").read_text() == "old"
    assert names(bundle.parent) == ["bundle"]


KILLED = """
import os, signal, sys
from pathlib import Path
from edgeseq.files import staged_directory, write_bytes

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

bundle, point = Path(sys.argv[1]), sys.argv[2]
rename, count = Path.rename, [0]

def renamed(self, target):
    count[0] += 1
    if point == f"before rename {count[0]}":
        die()
    rename(self, target)
    if point == f"after rename {count[0]}":
        die()

Path.rename = renamed
with staged_directory(bundle) as staging:
    if point == "empty":
        die()
    (staging / "file").write_text("ne")
    if point == "half":
        die()
    if point == "inside write":
        os.fsync = die
    write_bytes(staging / "file", b"new")
    if point == "written":
        die()
"""
"""A process that is killed at a point of a staged write; no point: it finishes."""


@pytest.mark.parametrize(
    ("point", "content"),
    {
        "empty": "old",
        "half": "old",
        "inside write": "old",
        "written": "old",
        "before rename 1": "old",
        "after rename 1": "old",  # between the two renames of the swap
        "before rename 2": "old",
        "after rename 2": "new",
        "never": "new",
    }.items(),
)
def test_kill_9_leaves_the_old_directory_or_the_new(bundle, point, content):
    run = subprocess.run([sys.executable, "-c", KILLED, bundle, point], check=False)
    assert run.returncode == (0 if point == "never" else -signal.SIGKILL)
    assert bundle.exists() == (point not in ("after rename 1", "before rename 2"))
    restore(bundle)
    assert (bundle / "file").read_text() == content
    with staged_directory(bundle) as staging:  # the next run cleans up
        (staging / "file").write_text("next")
    assert (bundle / "file").read_text() == "next"
    assert names(bundle.parent) == ["bundle"]


def test_restore_does_nothing_where_nothing_happened(tmp_path):
    restore(tmp_path / "bundle")
    assert names(tmp_path) == []
