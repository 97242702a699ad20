"""What may be relied on: names, version, and the versions that were tested together."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import edgeseq

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = [
    line
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def test_all_is_sorted_and_true():
    assert edgeseq.__all__ == sorted(edgeseq.__all__) == ["StreamSession", "__version__"]
    for name in edgeseq.__all__:
        assert getattr(edgeseq, name) is not None


def test_stream_session_is_the_runtimes():
    from edgeseq.runtime import StreamSession

    assert edgeseq.StreamSession is StreamSession


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'edgeseq' has no attribute 'Session'"):
        edgeseq.Session  # noqa: B018 - the lookup is what is tested


def test_import_is_light():
    """NumPy, let alone ONNX Runtime, comes with the first StreamSession."""
    code = (
        "import sys, edgeseq; edgeseq.__version__\n"
        "loaded = {'numpy', 'onnxruntime', 'torch', 'click', 'rich'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "from edgeseq import StreamSession\n"
        "assert 'numpy' in sys.modules\n"
        "assert not {'onnxruntime', 'torch', 'onnx'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_version_everywhere():
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert edgeseq.__version__ == PROJECT["version"] == headings[0]


def requirements():
    """Return each dependency's name and oldest version."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [
        (re.match(r"[A-Za-z0-9_.-]+", text)[0], re.search(r">=([\d.]+)", text)[1])
        for group in groups
        for text in group
        # shares its folder with onnxruntime, so it cannot be installed and tested beside it
        if not text.startswith("onnxruntime-gpu")
    ]


def pinned():
    return dict(line.split("==") for line in CONSTRAINTS)


def test_every_line_of_constraints_pins():
    for line in CONSTRAINTS:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line
    names = [line.partition("==")[0].lower() for line in CONSTRAINTS]
    assert names == sorted(set(names))
    assert pinned()["torch"] == "2.13.0"


@pytest.mark.parametrize(("name", "oldest"), requirements())
def test_every_dependency_is_pinned(name, oldest):
    version = pinned()[name]
    as_numbers = [tuple(map(int, text.split("."))) for text in (version, oldest)]
    assert as_numbers[0] >= as_numbers[1]


def test_supported_python_is_one_thing():
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert PROJECT["requires-python"] == ">=3.11"
    assert ruff["target-version"] == "py311"
