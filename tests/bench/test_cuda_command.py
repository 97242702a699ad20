"""The one command for a machine with a GPU: without one it is one line, and its parts all run."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
from benchmarks import cuda

from edgeseq.bench.results import BenchResult
from edgeseq.errors import ProviderError

ROOT = Path(__file__).parents[2]

no_gpu = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is here"
)


@no_gpu
def test_without_a_gpu_it_is_one_line_and_exit_1(tmp_path):
    command = [sys.executable, ROOT / "tests/benchmarks/cuda.py", "--results", tmp_path]
    done = subprocess.run(
        [*map(str, command), "--rest", str(tmp_path / "rest.json")],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Error: asked for CUDAExecutionProvider, but this ONNX Runtime")
    assert 'pip install "edgeseq[cuda]"' in done.stderr
    assert list(tmp_path.iterdir()) == [], "and no file with made-up figures"


@pytest.fixture(scope="module", params=cuda.BUNDLES)
def bundle(request, tmp_path_factory):
    source = ROOT / "tests/golden" / request.param
    return cuda.with_fp16(source, tmp_path_factory.mktemp("fp16"))


def test_it_measures_all_of_it_on_another_provider(bundle, tmp_path):
    """The same code as on a GPU; what only a GPU can tell is none, with the reason."""
    result, rest = cuda.measure(bundle, cuda.QUICK, provider="cpu")
    names = [variant.name for variant in result.variants]
    assert set(names) == set(bundle.manifest.variants)
    assert names[0] == "fp32"
    assert (result.provider, result.device, result.is_device) == ("cpu", "cuda", False)
    result.save(tmp_path / "x.json")
    assert BenchResult.load(tmp_path / "x.json") == result
    rest = json.loads(json.dumps(rest))
    assert rest["check"] == {"ok": True, "broken": []}
    assert set(rest["placement"]) == set(rest["device_memory"]) == set(names)
    rows = rest["throughput"]["rows"]
    assert [(row["name"], row["streams"]) for row in rows[: 2 * len(names)]] == [
        (name, streams) for name in names for streams in (1, 16)
    ]
    assert len(rows) == 2 * 2 * len(names), "the CPU beside the GPU"
    assert rest["copies"]["fp16"][0]["host_us"] > 0
    (memory,) = rest["device_memory"]["fp32"]
    assert (memory["memory"] is None) == bool(memory["not_measured"])


def test_int8_on_the_cpu_is_reported_and_not_measured(bundle, monkeypatch):
    """As CUDA has it: int8 nodes on the CPU, all others placed."""
    real = cuda.measure_placement

    def placed(path, provider, settings):
        found = real(path, "cpu", settings)
        int8 = ("DynamicQuantizeLSTM LSTM_3_quant",) if "int8" in path.name else ()
        return replace(found, provider="cuda", fallback=int8)

    monkeypatch.setattr(cuda, "measure_placement", placed)
    int8 = {name for name in bundle.manifest.variants if "int8" in name}
    found, names = cuda.placements(bundle, "cuda", allow_fallback=False)
    assert set(found) == set(bundle.manifest.variants)
    assert set(names) == set(found) - int8
    assert {name for name, item in found.items() if item.fallback} == int8
    assert set(cuda.placements(bundle, "cuda", allow_fallback=True)[1]) == set(found)


def test_a_float_variant_on_the_cpu_stops_it(bundle, monkeypatch):
    real = cuda.measure_placement

    def placed(path, provider, settings):
        return replace(real(path, "cpu", settings), provider="cuda", fallback=("LSTM LSTM_3",))

    monkeypatch.setattr(cuda, "measure_placement", placed)
    with pytest.raises(ProviderError, match=r"fp32 was to run on cuda.*LSTM LSTM_3.*--allow-fall"):
        cuda.placements(bundle, "cuda", allow_fallback=False)


@pytest.mark.parametrize("broken", [[], ["fp16: values: 0.5 is more than 0.02"]])
def test_the_files_that_it_leaves(tmp_path, monkeypatch, capsys, broken):
    class Result:
        def save(self, path):
            path.write_text("{}")

    rest = {"check": {"ok": not broken, "broken": broken}}
    monkeypatch.setattr(cuda.StreamModel, "load", lambda *_arguments, **_options: None)
    monkeypatch.setattr(cuda, "with_fp16", lambda _source, _folder: None)
    monkeypatch.setattr(cuda, "measure", lambda *_arguments, **_options: (Result(), rest))
    code = cuda.main(["--results", str(tmp_path), "--rest", str(tmp_path / "rest.json")])
    assert code == (3 if broken else 0)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name[:5] for name in names] == ["cuda-", "cuda-", "rest."]
    assert names[1].endswith("-har-lstm.json")
    table = json.loads((tmp_path / "rest.json").read_text())
    assert set(table["bundles"]) == set(cuda.BUNDLES)
    assert set(table) == {"created", "machine", "gpu", "bundles"}
    assert ("values: 0.5" in capsys.readouterr().err) == bool(broken)
