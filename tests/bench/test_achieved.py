"""Work against a count by hand, shares against a clock that is told what to say."""

import numpy as np
import pytest
from export.small import FRAME, graph_of, model_of

from edgeseq.bench.achieved import Work, graph_work, measure_achieved, time_in_turns
from edgeseq.bench.operators import measure_operators, read_operators
from edgeseq.bench.products import Product
from edgeseq.errors import ModelError
from edgeseq.graph.build import read_contract


def work_of(name, **options):
    graph = graph_of(name, **options)
    return graph_work(graph, read_contract(graph, name))


def weights_of(name):
    """Return the weights of a model and of its normalisation."""
    parameters = sum(parameter.numel() for parameter in model_of(name).parameters())
    return parameters + 2 * FRAME.size


def test_an_lstm_counted_by_hand():
    """2 layers of 6 units, 4 values in, 3 out; 2 streams of 3 frames."""
    found = work_of("lstm", form="sequence", streams=2, frames=3)
    macs = 4 * 6 * (4 + 6) + 4 * 6 * (6 + 6) + 6 * 3
    assert found.flops == 2 * 6 * macs
    results = 6 * (6 + 6 + 3)
    assert found.bytes == 4 * (weights_of("lstm") + 6 * 4 + results)
    assert found.intensity == found.flops / found.bytes


def test_a_state_is_read_and_comes_back_as_results():
    """A step returns h and c of both layers, a sequence of one frame what h is."""
    whole = work_of("lstm", form="sequence", streams=2, frames=1)
    step = work_of("lstm", streams=2, frames=1)
    assert step.flops == whole.flops
    state, more = 2 * 2 * 2 * 6 * 4, 2 * 2 * 6 * 4
    assert step.bytes - whole.bytes == state + more


def test_a_whole_sequence_multiplies_all_pairs_and_a_ring_its_slots():
    """Width 16, window 8: all pairs of 20 frames, or 8 slots for each; masks save nothing."""
    width, layers, frames, window = 16, 2, 20, 8
    each = 4 * width + layers * (4 * width**2 + 2 * width * 20) + width * 3
    pairs = 2 * width * layers
    whole = work_of("transformer", form="sequence", streams=1, frames=frames)
    assert whole.flops == 2 * frames * (each + pairs * frames)
    step = work_of("transformer", streams=1, frames=1, newest=True)
    assert step.flops == 2 * (each + pairs * window)


def test_open_sizes_have_no_count():
    assert work_of("lstm") is None


def test_share_and_rates_follow_the_clock():
    now, calls = [0], []

    def lasting(name, nanoseconds):
        def run():
            calls.append(name)
            now[0] += nanoseconds

        return run

    product = Product("test", "float32", 100, lasting("product", 20_000))  # 2e6 in 20 µs
    found = measure_achieved(
        lasting("call", 1000), Work(10_000, 2500), product, rounds=3, block_s=1e-5,
        clock=lambda: now[0],
    )  # fmt: skip
    assert (found.gflops.median, found.peak_gflops.median, found.share.median) == (10.0, 100.0, 0.1)
    assert (found.seconds.median, found.work.intensity, found.rounds) == (1e-6, 4.0, 3)
    assert calls.count("call") == 2 + 3 * (1 + 10)  # ten fill a block of 10 µs
    assert calls.count("product") == 2 + 3 * (1 + 1)


@pytest.mark.parametrize(("rounds", "made"), [(2, 2), (9, 3)])
def test_no_more_rounds_than_there_is_time_for_but_three(rounds, made):
    now = [0]

    def run():
        now[0] += 10**9

    times = time_in_turns({"slow": run}, rounds=rounds, most_s=0.5, clock=lambda: now[0])
    assert times == {"slow": [1.0] * made}


def event(name, start, took, operator=None):
    extra = {"cat": "Node", "args": {"op_name": operator}} if operator else {"cat": "Session"}
    return {"name": name, "ts": start, "dur": took, **extra}


def test_shares_of_a_profile_leave_out_the_first_call():
    events = [
        event("model_run", 0, 900), event("a_kernel_time", 10, 800, "LSTM"),
        event("a_kernel_time", 1010, 60, "LSTM"), event("b_kernel_time", 1080, 10, "Add"),
        event("model_run", 1000, 100),
        event("model_run", 2000, 300), event("a_kernel_time", 2010, 200, "LSTM"),
        event("b_kernel_time", 2220, 50, "Add"), event("b_fence_before", 2219, 7),
    ]  # fmt: skip
    found = read_operators(events)
    assert found.shares == {"LSTM": 0.65, "Add": 0.15}
    assert (found.call, found.calls, found.nodes, found.call_us) == (0.2, 2, 2, 200.0)
    assert found.kernels_us == 160.0
    with pytest.raises(ModelError, match="names no node that ran"):
        read_operators(events[:1])


def test_a_call_is_profiled(tmp_path):
    file = tmp_path / "lstm.onnx"
    file.write_bytes(graph_of("lstm", form="sequence").SerializeToString())
    found = measure_operators(file, np.zeros((2, 5, FRAME.size), np.float32), calls=3)
    assert found.calls == 3
    assert {"LSTM", "MatMul"} <= found.shares.keys()
    assert sum(found.shares.values()) + found.call == pytest.approx(1, abs=0.01)
