"""A missing optional dependency is one sentence that names the extra, and the right one."""

import sys
import tomllib
from pathlib import Path

import pytest

from edgeseq.errors import MissingExtraError
from edgeseq.extras import _EXTRA_OF, available, require


def test_module_is_imported():
    assert require("json") is sys.modules["json"]
    assert require("importlib.metadata").version("edgeseq")


@pytest.mark.parametrize("module", [*_EXTRA_OF, "sklearn.ensemble", "onnx.numpy_helper"])
def test_missing_names_its_extra(module, monkeypatch):
    root = module.partition(".")[0]
    monkeypatch.setitem(sys.modules, root, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    if module == root:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        require(module)
    extra = _EXTRA_OF[root]
    assert caught.value.extra == extra
    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        f"this needs {root}, which is not installed. "
        f'Install it with: pip install "edgeseq[{extra}]"'
    )


def test_each_module_is_in_the_extra_that_is_named():
    file = Path(__file__).parents[1] / "pyproject.toml"
    extras = tomllib.loads(file.read_text())["project"]["optional-dependencies"]
    package = {"sklearn": "scikit-learn"}
    for module, extra in _EXTRA_OF.items():
        names = [requirement.partition(">=")[0] for requirement in extras[extra]]
        assert package.get(module, module) in names


def test_a_broken_module_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_one.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        require("broken_one")


def test_available_looks_without_importing():
    assert available("wave")
    assert "wave" not in sys.modules
    assert not available("nothing_of_this_name")
