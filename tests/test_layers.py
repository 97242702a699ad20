"""The torch-free side works where there is no torch: every module of it is imported so."""

import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

IMPORT_ALL = """
import importlib, pkgutil, sys
blocked, parts = sys.argv[1].split(","), sys.argv[2].split(",")
for name in blocked:
    sys.modules[name] = None
imported = []
for part in parts:
    module = importlib.import_module(part)
    imported.append(part)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), part + "."):
        importlib.import_module(found.name)
        imported.append(found.name)
leaked = {"torch", "edgeseq.models", "edgeseq.train", "edgeseq.export"} & set(sys.modules)
assert leaked <= set(blocked), leaked
print(len(imported))
"""


def torch_free():
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(c for c in tables["contracts"] if "torch" in c.get("forbidden_modules", ()))
    parts = [f"edgeseq.{name}" for name in ("errors", "extras", "files", "shipped", "specs", "cli")]
    return [*contract["source_modules"], *parts]


@pytest.mark.parametrize(
    "blocked",
    [["torch"], ["torch", "onnx", "sklearn", "safetensors"], ["torch", "onnx", "onnxruntime"]],
    ids="+".join,
)
def test_imports_without(blocked):
    parts = [part for part in torch_free() if find_spec(part)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, ",".join(blocked), ",".join(parts)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_blocking_blocks():
    """The check above can fail: the torch side does not import so."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, "torch", "edgeseq.models"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "edgeseq/models" in done.stderr
