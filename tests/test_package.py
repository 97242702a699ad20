"""What users get: sdist, wheel, and a clean environment without torch, away from the checkout."""

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "har-lstm"

pytestmark = pytest.mark.slow  # installs from a package index


def run(*command, cwd, code=0):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def environment(path, *packages):
    """Make a clean virtual environment with `packages`; return its `bin`."""
    venv.create(path, with_pip=True)
    binaries = path / ("Scripts" if sys.platform == "win32" else "bin")
    constraints = ("--constraint", ROOT / "constraints.txt")
    run(binaries / "python", "-m", "pip", "install", "-q", *constraints, *packages, cwd=path)
    return binaries


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    builder = environment(folder / "venv", "hatchling")
    run(builder / "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist):
    """The wheel that is made of the sdist, as an index would."""
    run(
        sdist.parent / "venv" / "bin" / "python", "-m", "pip", "wheel", "-q", "--no-deps",
        "--no-build-isolation", "-w", sdist.parent, sdist, cwd=sdist.parent,
    )  # fmt: skip
    return next(sdist.parent.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return environment(tmp_path_factory.mktemp("clean") / "venv", f"{wheel}[cpu]")


def tracked(*folders):
    """Return the files of the checkout that git would commit."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders)
    files = run(*command, cwd=ROOT).stdout.splitlines()
    return {file for file in files if (ROOT / file).exists()}


def test_wheel_holds_what_is_imported_and_shipped_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    shipped = {f"edgeseq/_shipped/{file}" for file in tracked("devices", "export")}
    assert names == tracked("edgeseq") | shipped
    assert "edgeseq/_shipped/devices/raspberry-pi-4.toml" in names
    assert "edgeseq/_shipped/export/recipes/int8-dynamic.toml" in names
    assert "edgeseq/py.typed" in names
    kinds = {Path(name).suffix for name in names}
    assert kinds <= {".py", ".typed", ".toml", ".md", ".json", ".css", ".js", ".html", ".svg"}
    assert not any(re.search(r"tests?/|__pycache__|\.pyc$|(^|/)\.", name) for name in names)


def test_wheel_is_small(wheel):
    assert wheel.stat().st_size < 400_000


def test_wheel_says_who_and_needs_what(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = {name.partition(".dist-info/")[2]: name for name in archive.namelist()}
        metadata = archive.read(info["METADATA"]).decode()
        assert "edgeseq = edgeseq.cli:main" in archive.read(info["entry_points.txt"]).decode()
    assert "licenses/LICENSE" in info
    assert "License-Expression: Apache-2.0" in metadata
    always = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert sorted(always) == ["click", "numpy", "platformdirs", "rich"]


def test_sdist_can_be_tested(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = tracked("edgeseq", "export", "devices", "tests", "Makefile", "constraints.txt")
    assert needed <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"} <= names
    assert not any("__pycache__" in name or name.startswith(".venv") for name in names)


def test_commands_work_away_from_the_checkout(installed):
    assert "quantize" in run(installed / "edgeseq", "--help", cwd="/").stdout
    assert "raspberry-pi-4" in run(installed / "edgeseq", "devices", cwd="/").stdout
    tasks = run(installed / "edgeseq", "tasks", cwd="/").stdout
    assert "har" in tasks
    assert "glucose" in tasks
    where = "import edgeseq; print(edgeseq.__file__)"
    assert str(installed.parent) in run(installed / "python", "-c", where, cwd="/").stdout


def test_recipes_are_found(installed):
    code = "from edgeseq.recipes import list_recipes; print(*list_recipes())"
    names = run(installed / "python", "-c", code, cwd="/").stdout.split()
    assert {"int8-dynamic", "streaming-fp32"} <= set(names)


def test_there_is_no_torch_and_missing_extras_are_named(installed, tmp_path):
    run(installed / "python", "-c", "import torch", cwd="/", code=1)
    for arguments, module, extra in (
        (("train", "har", "-o", tmp_path / "run"), "torch", "train"),
        (("quantize", GOLDEN), "onnx", "tools"),
    ):
        done = run(installed / "edgeseq", *arguments, cwd="/", code=1)
        assert done.stderr == (
            f"Error: this needs {module}, which is not installed. "
            f'Install it with: pip install "edgeseq[{extra}]"\n'
        )


def test_golden_bundle_streams_and_passes_its_check(installed):
    run(installed / "edgeseq", "check", GOLDEN, cwd="/")
    code = (
        "import sys; from edgeseq import StreamSession; s = StreamSession(sys.argv[1]); "
        "import numpy; print(s.step(numpy.zeros(s.contract.frame.size, 'float32')).shape)"
    )
    assert run(installed / "python", "-c", code, GOLDEN, cwd="/").stdout == "(7,)\n"


def test_without_any_extra_it_says_which(wheel, tmp_path):
    binaries = environment(tmp_path / "venv", wheel)
    assert "check" in run(binaries / "edgeseq", "--help", cwd="/").stdout
    code = "from edgeseq import StreamSession; StreamSession('model.onnx')"
    (tmp_path / "model.onnx").write_bytes(b"")
    done = run(binaries / "python", "-c", code, cwd=tmp_path, code=1)
    assert done.stderr.endswith('Install it with: pip install "edgeseq[cpu]"\n')
