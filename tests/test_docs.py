"""Pages cannot rot: generated blocks are in step, README code runs, every verb is in README.

python tests/test_docs.py     # make docs: refresh the generated blocks
"""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from generated import README_BLOCKS

from edgeseq.cli import main
from edgeseq.report.reference import refresh

ROOT = Path(__file__).parents[1]
PAGES = (
    ROOT / "README.md",
    ROOT / "export" / "README.md",
    ROOT / "devices" / "README.md",
    ROOT / "devices" / "results" / "README.md",
)
README = PAGES[0].read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_page_is_in_step(page):
    text = page.read_text()
    assert text == refresh(text, README_BLOCKS), "run: make docs"


@pytest.mark.parametrize("name", main.commands)
def test_every_verb_is_shown_in_use(name):
    assert re.search(rf"^    edgeseq {name} |`edgeseq {name}`", README, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_every_block_is_found(page):
    """A marker that is not understood would never be refreshed, and never be missed."""
    text, seen = page.read_text(), []
    found = {name: lambda name=name: seen.append(name) or "" for name in README_BLOCKS}
    refresh(text, found)
    assert len(seen) == text.count("<!-- generated:") == text.count("<!-- end of generated -->")


def test_commands_in_readme_parse():
    """Every `edgeseq ...` line names options that exist."""
    lines = re.findall(r"^    edgeseq (.+)$", README, re.MULTILINE)
    assert len(lines) >= 6
    for line in lines:
        verb, *words = line.split("#")[0].split()
        known = {option for parameter in main.commands[verb].params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, line


def test_app_code_runs(monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    bundle = ROOT / "tests" / "golden" / "har-lstm"
    code = code.replace('"bundle"', repr(str(bundle)))
    names = {"sensor": np.load(bundle / "reference.npz")["frames"][:3]}
    exec(compile(code, "README.md", "exec"), names)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert set(names["saved"]) == {"h0", "c0", "h1", "c1"}


def test_own_data_example_is_a_task(tmp_path):
    from edgeseq.tasks import load_task

    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    table = tomllib.loads(text)
    rng = np.random.default_rng(0)
    (tmp_path / "recordings").mkdir()
    for person in range(6):
        values = rng.normal(size=(900, 3))
        labels = np.repeat(table["classes"], 300)
        rows = [
            ",".join([*map("{:.3f}".format, row), label])
            for row, label in zip(values, labels, strict=True)
        ]
        header = ",".join([*table["inputs"], table["label"]])
        (tmp_path / "recordings" / f"person{person}.csv").write_text("\n".join([header, *rows]))
    (tmp_path / "my-data.toml").write_text(text)
    task = load_task(str(tmp_path / "my-data.toml"))
    assert task.frame.size == 12
    assert task.output.labels == ("idle", "walking", "fall")
    assert len({recording.subject for recording in task.recordings()}) == 6


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(refresh(page.read_text(), README_BLOCKS))
