"""On an NVIDIA GPU: the CUDA provider runs, agrees with the CPU, and can be measured.

Run with `pytest -m cuda tests/bench/test_cuda.py` where onnxruntime-gpu is installed.
"""

from pathlib import Path

import numpy as np
import pytest

from edgeseq.bench.latency import HotSettings
from edgeseq.bench.memory import Job, probe
from edgeseq.bench.run import BenchSettings, bench
from edgeseq.contract import SessionSettings
from edgeseq.runtime import StreamSession

pytestmark = pytest.mark.cuda

QUICK = BenchSettings(hot=HotSettings(rounds=4, block=50), fresh_processes=0)


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
        assert np.abs(ours - theirs).max() <= 1e-3 * scale  # TF32 and other orders of summation
        for name, state in cpu.state.items():
            np.testing.assert_allclose(gpu.state[name], state, rtol=1e-3, atol=1e-3)


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
    assert (result.provider, result.device, result.is_device) == ("cuda", "cuda", True)
    assert result.variants[0].hot.count == 200
    assert result.variants[0].hot.p50_us > 0
    assert {item.promise: item.verdict for item in result.budget}["step_p99_ms"] != "not checked"


def test_a_fresh_process_runs_on_the_gpu(model):
    with StreamSession(model, variant="fp32") as session:
        frame = (0.0,) * session.contract.frame.size
    report = probe(Job(model, "fp32", "cuda", SessionSettings(arena=True), frame, 10))
    assert report["after"]["peak"] > 100 * 2**20, "a CUDA context alone takes more"
