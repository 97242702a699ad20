"""The command that emulates other CPUs: what it calls wrong, and that it says what it needs."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, str(ROOT / "tests/benchmarks/everywhere.py")]


@pytest.fixture
def everywhere(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests" / "benchmarks")
    import everywhere

    return everywhere


def test_two_answers_are_wrong_where_one_is_promised_or_predicted(everywhere):
    same = everywhere.Row(
        "har", "fp32", "int8", 1, "an Arm", promised=True, predicted=False, pairs=0,
        largest=0.02, noise=0.001, decisions=0.0, fp32_noise=0.01, fp32_decisions=0.0,
    )  # fmt: skip
    noisy = replace(same, noise=2 * everywhere.SAME_NOISE)
    decides = replace(same, decisions=2 * everywhere.SAME_DECISIONS)
    opt_in = {"promised": False, "predicted": True}
    assert everywhere.wrong([same, replace(noisy, **opt_in)]) == []
    assert len(everywhere.wrong([noisy, decides])) == 2
    assert len(everywhere.wrong([replace(noisy, promised=False)])) == 1  # not foreseen
    assert len(everywhere.wrong([replace(noisy, predicted=True)])) == 1  # foreseen, yet promised
    assert everywhere.wrong([noisy])[0].startswith("har fp32 int8, 1 a call, on an Arm: noise 2.0e")
    assert not replace(same, noise=float("inf")).same


def test_every_recipe_of_integers_takes_part_and_one_warning(everywhere):
    found = dict(everywhere.recipes())
    assert {"int8-dynamic", "int8-per-tensor", everywhere.FULL_RANGE} <= found.keys()
    assert not {"fp16", "streaming-fp32"} & found.keys()
    warning = found[everywhere.FULL_RANGE].quantize
    assert (warning.reduce_range, warning.portable) == (False, False)


def test_without_an_emulator_it_says_in_one_line_what_to_install(tmp_path):
    done = subprocess.run(
        [*COMMAND, "--cache", str(tmp_path)],
        env={**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "qemu-user-static is not here and apt-get has no package of it. "
        "Install it: apt-get install qemu-user-static debootstrap\n"
    )


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("qemu-x86_64-static"), reason="qemu-user-static is not here")
def test_full_range_saturates_without_vnni_and_seven_bits_do_not(tmp_path):
    result, bundle = tmp_path / "result.json", ROOT / "tests" / "golden" / "har-lstm"
    done = subprocess.run(
        [*COMMAND, "--architecture", "x86_64", "--bundle", str(bundle), "--frames", "60",
         "--json", str(result)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    table = json.loads(result.read_text())
    noise = {
        (row["recipe"], row["cpu"]): row["fp32_noise"] for row in table["rows"] if row["call"] == 1
    }
    sse4, avx2 = "x86-64, SSE4 only", "x86-64, AVX2 without VNNI"
    assert noise["full range", avx2] > 10 * noise["full range", sse4]
    assert noise["int8-dynamic", avx2] == pytest.approx(noise["int8-dynamic", sse4], rel=1e-3)
