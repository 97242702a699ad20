"""The one command for a machine with a GPU: without one it is one line, and its parts all run."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
from benchmarks import cuda

from edgeseq.bench import measure
from edgeseq.bench.results import BenchResult
from edgeseq.bench.run import bench
from edgeseq.bundle import INTEGERS
from edgeseq.errors import PromiseError, ProviderError
from edgeseq.report.bench import bench_sheets
from edgeseq.report.sheet import as_markdown

ROOT = Path(__file__).parents[2]

no_gpu = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is here"
)


@no_gpu
def test_without_a_gpu_it_is_one_line_and_exit_1(tmp_path):
    command = [sys.executable, ROOT / "tests/benchmarks/cuda.py", "--results", tmp_path]
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Error: asked for CUDAExecutionProvider, but this ONNX Runtime")
    assert 'pip install "edgeseq[cuda]"' in done.stderr
    assert list(tmp_path.iterdir()) == [], "and no file with made-up figures"


@pytest.fixture(
    scope="module",
    params=[cuda.BUNDLES[0], *(pytest.param(b, marks=pytest.mark.slow) for b in cuda.BUNDLES[1:])],
)
def bundle(request, tmp_path_factory):
    source = ROOT / "tests/golden" / request.param
    return cuda.with_fp16(source, tmp_path_factory.mktemp("fp16"))


def test_it_measures_all_of_it_on_another_provider(bundle, tmp_path):
    """The same code as on a GPU; what only a GPU can tell is none, with the reason."""
    result = cuda.measure(bundle, cuda.QUICK, provider="cpu")
    names = [variant.name for variant in result.variants]
    assert set(names) == {
        name for name, item in bundle.manifest.variants.items() if item.precision not in INTEGERS
    }
    assert names[0] == "fp32"
    assert (result.device, result.is_device) == ("cuda", False)
    result.save(tmp_path / "x.json")
    assert BenchResult.load(tmp_path / "x.json") == result
    assert [(row.name, row.streams) for row in result.throughput.rows] == [
        (name, streams) for name in names for streams in (1, 16)
    ]
    for variant in result.variants:
        assert variant.on_gpu is None
        assert result.not_measured[f"variants.{variant.name}.on_gpu"] == "it ran on the CPU"
        assert list(variant.placement.nodes) == ["CPUExecutionProvider"]


def on_cuda(monkeypatch, *operators):
    """Let every model look as if it ran on a GPU, its `operators` on the CPU."""
    real = measure.measure_placement

    def placed(path, _provider, settings):
        found = real(path, "cpu", settings)
        nodes = [name for kinds in found.nodes.values() for name in kinds if name in operators]
        return replace(found, provider="cuda", fallback=tuple(f"{name} x" for name in nodes))

    monkeypatch.setattr(measure, "measure_placement", placed)


def test_a_compute_node_on_the_cpu_stops_the_run_before_it_is_timed(bundle, monkeypatch):
    on_cuda(monkeypatch, "MatMul", "LSTM")
    monkeypatch.setattr(measure, "measure_hot", None)
    with pytest.raises(ProviderError, match=r"fp32 was to run on cuda.* x.*--allow-fallback"):
        bench(bundle, variants=("fp32",), settings=cuda.QUICK)


def test_with_allow_fallback_it_is_reported(bundle, monkeypatch):
    on_cuda(monkeypatch, "MatMul", "LSTM")
    brief = replace(cuda.QUICK, chunk_rounds=0, gap_repeats=0, fresh_processes=0, streams=None)
    result = bench(bundle, variants=("fp32",), settings=brief, allow_fallback=True)
    assert result.variants[0].placement.fallback
    said = as_markdown(bench_sheets(result), title="x")
    assert "compute nodes ran on the CPU: " in said


def test_int8_is_left_out_unless_fallback_is_allowed(bundle, monkeypatch):
    asked = []
    monkeypatch.setattr(cuda, "check_bundle", lambda _bundle, names, **_: Kept(asked, names))
    monkeypatch.setattr(cuda, "bench", lambda *_arguments, **_options: None)
    for allowed in (False, True):
        cuda.measure(bundle, cuda.QUICK, allow_fallback=allowed)
    int8 = {name for name in bundle.manifest.variants if "int8" in name}
    assert set(asked[0]).isdisjoint(int8)
    assert set(asked[1]) == set(bundle.manifest.variants)


class Kept:
    """A report in which every promise is kept."""

    def __init__(self, asked, names):
        asked.append(tuple(names))

    def require_kept(self):
        pass


@pytest.mark.parametrize("broken", [False, True])
def test_the_files_that_it_leaves(tmp_path, monkeypatch, capsys, broken):
    class Result:
        def save(self, path):
            path.write_text("{}")

    def measured(*_arguments, **_options):
        if broken:
            raise PromiseError("fp16 breaks values: 0.5")
        return Result()

    monkeypatch.setattr(cuda.StreamModel, "load", lambda *_arguments, **_options: None)
    monkeypatch.setattr(cuda, "with_fp16", lambda _source, _folder: None)
    monkeypatch.setattr(cuda, "measure", measured)
    assert cuda.main(["--results", str(tmp_path)]) == (3 if broken else 0)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == (0 if broken else 2)
    assert all(name.startswith("cuda-") for name in names)
    assert ("values: 0.5" in capsys.readouterr().err) == broken
