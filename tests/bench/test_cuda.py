"""On an NVIDIA GPU: the CUDA provider runs, agrees with the CPU, and can be measured.

Run with `pytest -m cuda tests/bench/test_cuda.py` where onnxruntime-gpu is installed.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from benchmarks import cuda

from edgeseq.bench.copies import DeviceStep, measure_copies
from edgeseq.bench.gpu import gpu_facts, measure_device_memory
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.memory import Job, probe
from edgeseq.bench.placement import measure_placement, require_placed
from edgeseq.bench.results import BenchResult
from edgeseq.bench.run import BenchSettings, bench
from edgeseq.bench.throughput import Batch, ThroughputSettings, measure_throughput
from edgeseq.bundle import INTEGERS
from edgeseq.check import check_bundle
from edgeseq.check.parity import compare, decision_rule
from edgeseq.contract import SessionSettings
from edgeseq.devices import load_device
from edgeseq.errors import ProviderError
from edgeseq.runtime import StreamModel, StreamSession

pytestmark = pytest.mark.cuda

QUICK = BenchSettings(hot=HotSettings(rounds=4, block=100), fresh_processes=0)


def golden() -> list[Path]:
    """Return the trained bundles that are committed."""
    return sorted(path.parent for path in Path(__file__).parents[1].rglob("*/manifest.json"))


@pytest.fixture(params=golden() or [None], ids=lambda path: path.name if path else "identity")
def model(request, bundle):
    return request.param or bundle.path


def test_the_session_runs_on_the_gpu(model):
    with StreamSession(model, variant="fp32", provider="cuda") as session:
        assert session.model.provider == "cuda"
        assert session.model.session.get_providers()[0] == "CUDAExecutionProvider"
        session.step(np.zeros(session.contract.frame.size, np.float32))


def test_cpu_and_gpu_agree(model):
    with (
        StreamSession(model, variant="fp32", provider="cuda") as gpu,
        StreamSession(model, variant="fp32", provider="cpu") as cpu,
    ):
        rng = np.random.default_rng(0)
        frames = rng.standard_normal((256, cpu.contract.frame.size)).astype(np.float32)
        ours = np.stack([gpu.step(frame) for frame in frames])
        theirs = np.stack([cpu.step(frame) for frame in frames])
        scale = np.sqrt(np.mean(np.square(theirs)))
        assert np.abs(ours - theirs).max() <= 1e-4 * scale  # another order of summation, no TF32
        for name, state in cpu.state.items():
            np.testing.assert_allclose(gpu.state[name], state, rtol=1e-4, atol=1e-4)


def test_reset_and_restore_on_the_gpu(model):
    with StreamSession(model, variant="fp32", provider="cuda") as session:
        frame = np.ones(session.contract.frame.size, np.float32)
        first = session.step(frame)
        kept = session.state
        second = session.step(frame)
        session.state = kept
        np.testing.assert_allclose(session.step(frame), second, rtol=1e-5, atol=1e-6)
        session.reset()
        np.testing.assert_allclose(session.step(frame), first, rtol=1e-5, atol=1e-6)


def test_it_can_be_measured(model):
    result = bench(model, variants=("fp32",), device="cuda", settings=QUICK)
    (variant,) = result.variants
    assert (variant.provider, result.device, result.is_device) == ("cuda", "cuda", True)
    assert variant.hot.count == 400
    assert variant.hot.p50_us > 0
    assert variant.placement.fallback == ()
    assert variant.on_gpu.copies[0].device_us > 0
    assert result.gpu is not None
    assert {item.promise: item.verdict for item in result.budget}["step_p99_ms"] != "not checked"


def test_a_fresh_process_runs_on_the_gpu(model):
    with StreamSession(model, variant="fp32") as session:
        frame = (0.0,) * session.contract.frame.size
    report = probe(Job(model, "fp32", "cuda", SessionSettings(arena=True), frame, 10))
    assert report["after"]["peak"] > 100 * 2**20, "a CUDA context alone takes more"


SETTINGS = load_device("cuda").session
CUDA = "CUDAExecutionProvider"


@pytest.fixture(scope="module", params=cuda.BUNDLES)
def halved(request, tmp_path_factory):
    """A golden bundle with fp16 variants."""
    source = Path(__file__).parents[1] / "golden" / request.param
    return cuda.with_fp16(source, tmp_path_factory.mktemp("fp16"))


def floats(bundle):
    """Return the variants that compute in floats."""
    variants = bundle.manifest.variants.items()
    return [name for name, variant in variants if variant.precision not in INTEGERS]


def frames_of(bundle):
    return np.ascontiguousarray(bundle.reference["frames"], np.float32)


def load(bundle, name, provider="cuda"):
    return StreamModel.load(bundle.path, variant=name, provider=provider, settings=SETTINGS)


@pytest.mark.parametrize("streams", [1, 64])
def test_no_compute_node_of_fp32_and_fp16_falls_back(halved, streams):
    for name in floats(halved):
        placement = measure_placement(halved.file(name), "cuda", SETTINGS, streams=streams)
        require_placed(placement, variant=name)
        assert placement.fallback == ()
        assert sum(placement.nodes[CUDA].values()) > sum(
            placement.nodes.get("CPUExecutionProvider", {}).values()
        ), name


def test_an_lstms_graph_is_on_the_gpu_whole(halved):
    if halved.manifest.origin.family != "lstm":
        pytest.skip("a Transformer counts positions")
    placement = measure_placement(halved.file("fp32"), "cuda", SETTINGS)
    assert set(placement.nodes) == {CUDA}
    assert (placement.host_to_device, placement.device_to_host) == (0, 0)


def test_int8_lstm_is_refused_and_with_allow_fallback_reported(halved):
    if "int8" not in halved.manifest.variants:
        pytest.skip("this bundle has no int8")
    placement = measure_placement(halved.file("int8"), "cuda", SETTINGS)
    assert any(node.startswith("DynamicQuantizeLSTM") for node in placement.fallback)
    assert placement.nodes["CPUExecutionProvider"]["DynamicQuantizeLSTM"] == 2
    assert placement.device_to_host >= 1
    with pytest.raises(ProviderError, match="no CUDA kernel for DynamicQuantizeLSTM"):
        require_placed(placement, variant="int8")
    require_placed(placement, allow_fallback=True, variant="int8")


def test_fp16_agrees_with_fp32(halved):
    frames = frames_of(halved)
    for name in floats(halved):
        if "fp16" not in name:
            continue
        exact = "step" if name.startswith("step") else "fp32"
        outputs = {}
        for variant in (name, exact):
            with StreamSession(load(halved, variant)) as session:
                outputs[variant] = np.stack([session.step(frame) for frame in frames])
        rule = decision_rule(
            halved.variant(name).contract.frame, halved.variant(name).contract.output
        )
        parity = compare(outputs[exact], outputs[name], rule)
        limit = halved.variant(name).tolerance
        assert 0 < parity.relative_error < limit.relative_error
        assert parity.noise < limit.noise
        assert parity.changed_decisions <= limit.changed_decisions


def test_check_passes_on_the_gpu(halved):
    report = check_bundle(halved, floats(halved), provider="cuda")
    assert report.ok, report.broken


def test_the_gpu_is_known():
    gpu, reason = gpu_facts()
    assert gpu is not None, reason
    assert gpu.name
    assert gpu.memory_mib > 1000
    assert float(gpu.compute_capability) >= 5


def test_device_memory_in_parts(halved):
    frame = tuple(map(float, frames_of(halved)[0]))
    job = Job(halved.file("fp32"), None, "cuda", SETTINGS, frame, steps=50)
    found = {}
    for streams in (1, 1024):
        memory, reason = measure_device_memory(job, streams=streams)
        assert memory is not None, reason
        assert memory.context_mib > 50, "a CUDA context alone takes more"
        parts = (memory.weights_mib, memory.arena_mib, memory.unexplained_mib)
        assert all(part >= 0 for part in parts)
        assert memory.context_mib + sum(parts) == pytest.approx(memory.peak_mib, abs=0.01)
        found[streams] = memory
    assert found[1024].peak_mib >= found[1].peak_mib
    assert found[1024].context_mib == pytest.approx(found[1].context_mib, rel=0.1)


def test_throughput_grows_with_the_streams(halved):
    frames = frames_of(halved)
    batches = [
        Batch("fp32", load(halved, "fp32", provider), frames) for provider in ("cuda", "cpu")
    ]
    settings = ThroughputSettings(streams=(1, 32, 1024), rounds=4, block=25)
    result = measure_throughput(batches, settings)
    assert not result.not_measured
    assert [(row.provider, row.streams) for row in result.rows] == [
        (provider, streams) for provider in ("cuda", "cpu") for streams in (1, 32, 1024)
    ]
    on_gpu = [row.streams_per_second for row in result.rows if row.provider == "cuda"]
    assert all(few < many for few, many in itertools.pairwise(on_gpu))
    assert result.served[0].streams_in_time >= 32


@pytest.mark.parametrize("streams", [1, 16])
def test_a_step_that_stays_on_the_device_is_the_same_step(halved, streams):
    frames = frames_of(halved)[: 50 * streams].reshape(50, streams, -1)
    for name in floats(halved):
        model = load(halved, name)
        device = DeviceStep(model, streams)
        with StreamSession(model, streams=streams) as host:
            for row in frames:
                device.place(row)
                device.step()
                expected = host.step(row[0] if streams == 1 else row).reshape(streams, -1)
                np.testing.assert_allclose(device.output(), expected, rtol=1e-4, atol=1e-4)


def test_copies_can_be_measured(halved):
    cost = measure_copies(load(halved, "fp32"), frames_of(halved), streams=16, rounds=4, block=20)
    assert cost.provider == "cuda"
    assert cost.host_us > 0 < cost.device_us


def test_the_one_command(tmp_path):
    assert cuda.main(["--quick", "--results", str(tmp_path)]) == 0
    files = sorted(tmp_path.glob("cuda-*.json"))
    assert len(files) == len(cuda.BUNDLES)
    for file in files:
        result = BenchResult.load(file)
        assert result.gpu.name
        assert {row.provider for row in result.throughput.rows} == {"cuda", "cpu"}
        assert all(variant.on_gpu.memory for variant in result.variants)
