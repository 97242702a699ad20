"""Device memory: read as NVIDIA's library gives it, ours only, parts that add up, or a reason."""

import ctypes
import json
import os
import sys
from pathlib import Path

import pytest

from edgeseq.bench import gpu, gpu_probe
from edgeseq.bench.fresh import Job
from edgeseq.bench.gpu import Gpu, account, gpu_facts, measure_device_memory
from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.nvml import Nvml, NvmlError
from edgeseq.contract import SessionSettings
from edgeseq.errors import EdgeseqError

MIB = 2**20
OTHERS = 30_000 * MIB
"""What other processes hold on the fake GPU: it must never be counted as ours."""


def a_job(source):
    return Job(Path(source), None, "cuda", SessionSettings(), (0.0,), steps=9)


class FakeLibrary:
    """`libnvidia-ml.so.1` in Python: the functions, with their C calling convention."""

    def __init__(self, ours=None, **answers):
        self.ours = ours or {}
        self.others = {4711: OTHERS, 4712: None}
        self.base = OTHERS + 500 * MIB
        self.answers = answers  # a return code, by function
        self.asked = []

    def __getattr__(self, name):
        if not name.startswith("nvml") or self.answers.get(name) == "missing":
            raise AttributeError(name)

        def function(*arguments):
            self.asked.append(name)
            code = self.answers.get(name, 0)
            return code or getattr(self, f"do_{name}")(*arguments) or 0

        return function

    def do_nvmlInit_v2(self):  # noqa: N802 - the library's own name
        pass

    do_nvmlShutdown = do_nvmlInit_v2  # noqa: N815

    def do_nvmlDeviceGetHandleByPciBusId_v2(self, bus, handle):  # noqa: N802
        assert bus == b"0000:17:00.0"
        handle._obj.value = 17

    def do_nvmlDeviceGetHandleByIndex_v2(self, index, handle):  # noqa: N802
        handle._obj.value = 100 + index.value

    def do_nvmlDeviceGetName(self, device, buffer, size):  # noqa: N802
        assert device.value in (17, 100)
        assert size.value >= 96, "NVML_DEVICE_NAME_V2_BUFFER_SIZE"
        buffer.value = b"NVIDIA Imaginary"

    def do_nvmlSystemGetDriverVersion(self, buffer, size):  # noqa: N802
        assert size.value >= 80, "NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE"
        buffer.value = b"999.1"

    def do_nvmlDeviceGetCudaComputeCapability(self, device, major, minor):  # noqa: N802
        major._obj.value, minor._obj.value = 9, 1

    def do_nvmlDeviceGetMemoryInfo(self, device, info):  # noqa: N802
        info._obj.total = 80_000 * MIB
        info._obj.used = self.base + sum(value or 0 for value in self.ours.values())

    def do_nvmlDeviceGetComputeRunningProcesses_v3(self, device, count, entries):  # noqa: N802
        listed = {**self.others, **self.ours}
        room, count._obj.value = count._obj.value, len(listed)
        if room < len(listed):
            return 7
        for entry, (pid, used) in zip(entries or (), listed.items(), strict=False):
            entry.pid, entry.used = pid, 2**64 - 1 if used is None else used
        return 0


class FakeDriver:
    """`libcuda.so.1`: CUDA's device 0 is not the first on the bus."""

    def __init__(self, code=0):
        self.code = code

    def cuInit(self, flags):  # noqa: N802
        return self.code

    def cuDeviceGet(self, device, ordinal):  # noqa: N802
        device._obj.value = ordinal.value
        return 0

    def cuDeviceGetPCIBusId(self, buffer, size, device):  # noqa: N802
        assert size.value >= 13
        buffer.value = b"0000:17:00.0"
        return 0


def open_fake(library, driver=None):
    def load(name):
        found = {"libnvidia-ml.so.1": library, "libcuda.so.1": driver}[name]
        if found is None:
            raise OSError(f"{name}: cannot open shared object file")
        return found

    return Nvml(load)


def test_facts():
    library = FakeLibrary()
    gpu, reason = gpu_facts(lambda: open_fake(library, FakeDriver()))
    assert gpu == Gpu("NVIDIA Imaginary", "9.1", 80_000, "999.1")
    assert reason == ""
    assert library.asked[-1] == "nvmlShutdown"


@pytest.mark.parametrize(("driver", "wanted"), [(FakeDriver(), 17), (FakeDriver(100), 100)])
def test_the_gpu_is_the_one_that_cuda_uses(driver, wanted):
    assert open_fake(FakeLibrary(), driver)._device.value == wanted
    assert open_fake(FakeLibrary())._device.value == 100, "without CUDA's library: the first"


def test_without_the_library_there_is_a_reason():
    facts = gpu_facts(lambda: open_fake(None))
    assert facts == (None, "libnvidia-ml.so.1, which NVIDIA's driver brings, is not here")
    memory = measure_device_memory(a_job("x.onnx"), nvml=lambda: open_fake(None))
    assert memory == facts


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"nvmlInit_v2": 9}, "nvmlInit_v2 of libnvidia-ml.so.1 answers 9 (nvmlReturn_t)"),
        (
            {"nvmlDeviceGetMemoryInfo": 3},
            "nvmlDeviceGetMemoryInfo of libnvidia-ml.so.1 answers 3 (nvmlReturn_t)",
        ),
        (
            {"nvmlDeviceGetName": "missing"},
            "the driver's libnvidia-ml.so.1 is too old: it has no nvmlDeviceGetName",
        ),
    ],
)
def test_a_library_that_refuses_is_a_reason(answers, reason):
    assert gpu_facts(lambda: open_fake(FakeLibrary(**answers))) == (None, reason)


def test_processes_are_listed_with_what_each_holds():
    library = FakeLibrary({1: 5 * MIB})
    assert open_fake(library).processes() == {4711: OTHERS, 4712: None, 1: 5 * MIB}
    library.others, library.ours = {}, {}
    assert open_fake(library).processes() == {}
    many = dict.fromkeys(range(1, 200), MIB)
    assert open_fake(FakeLibrary(many)).processes() == {4711: OTHERS, 4712: None, **many}


@pytest.mark.parametrize("code", [3, 4])
def test_a_list_that_is_not_for_us_is_empty(code):
    library = FakeLibrary(nvmlDeviceGetComputeRunningProcesses_v3=code)
    assert open_fake(library).processes() == {}
    library.answers["nvmlDeviceGetComputeRunningProcesses_v3"] = 999
    with pytest.raises(NvmlError, match="answers 999"):
        open_fake(library).processes()


def test_a_meter_counts_its_own_process_only():
    library = FakeLibrary()
    meter = gpu_probe.Meter(open_fake(library), 42)
    assert meter.read() == {"process": None, "device": library.base}
    library.ours = {42: 300 * MIB}
    assert meter.read() == {"process": 300 * MIB, "device": library.base + 300 * MIB}


def test_a_namesake_of_the_host_is_not_us():
    """In a container our id 4711 can be somebody else's on the host."""
    meter = gpu_probe.Meter(open_fake(FakeLibrary()), 4711)
    assert meter.read()["process"] is None


def test_the_peak_is_what_any_look_saw():
    library = FakeLibrary()
    meter = gpu_probe.Meter(open_fake(library), 42)
    with gpu_probe.Peak(meter) as peak:
        library.ours = {42: 700 * MIB}
        for _ in range(1000):
            if peak.reading["process"] == 700 * MIB:
                break
            peak._done.wait(0.005)
        library.ours = {42: 300 * MIB}
    assert peak.reading == {"process": 700 * MIB, "device": library.base + 700 * MIB}
    assert not peak._thread.is_alive()


class Growing:
    """A meter's library whose process holds more at every look, and is shown or hidden."""

    def __init__(self, hidden):
        self.hidden, self.looks = hidden, 0

    def processes(self):
        own = {os.getpid(): 100 * MIB + self.looks} if self.looks and not self.hidden else {}
        self.looks += 1
        return {4711: OTHERS, **own}

    def memory(self):
        return 80_000 * MIB, OTHERS + self.looks

    def close(self):
        self.closed = True


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("streams", [1, 4])
def test_the_program_runs_the_model_and_reads_at_each_moment(tmp_path, hidden, streams):
    (tmp_path / "identity.onnx").write_bytes(identity_onnx())
    library = Growing(hidden)
    report = gpu_probe.main(
        {
            "source": str(tmp_path / "identity.onnx"),
            "variant": None,
            "provider": "cpu",
            "session": {"threads": 1},
            "frame": [0.5],
            "streams": streams,
            "steps": 3,
        },
        library,
    )
    assert json.loads(json.dumps(report)) == report
    device = [report[moment]["device"] for moment in ("before", "loaded", "after", "peak")]
    assert device == sorted(set(device)), "read in this order, all of them apart"
    assert (report["after"]["process"] is None) == hidden
    assert library.closed


def readings(process=None, device=(0, 0, 0), *, outside=0, left=0):
    """Return a report in MiB: what was held when loaded, after the steps and at the peak."""
    moments = ("loaded", "after", "peak")
    shown = process or (None, None, None)
    report = {
        moment: {
            "process": None if own is None else own * MIB,
            "device": OTHERS + (outside + all_) * MIB,
        }
        for moment, own, all_ in zip(moments, shown, device, strict=True)
    }
    before = {"process": None, "device": OTHERS + outside * MIB}
    outer = {"outside": OTHERS + outside * MIB, "left": OTHERS + (outside + left) * MIB}
    return {**report, "before": before, **outer}


def test_parts_add_up_to_the_peak():
    model = [readings((420, 461, 470)), readings((421, 460, 999)), readings((419, 459, 468))]
    empty = [readings((400, 410, 410))] * 3
    memory, reason = account(model, empty, streams=64, steps=9)
    assert reason == ""
    assert (memory.context_mib, memory.weights_mib) == (410, 20)
    assert (memory.arena_mib, memory.unexplained_mib, memory.peak_mib) == (30, 10, 470)
    parts = (memory.context_mib, memory.weights_mib, memory.arena_mib, memory.unexplained_mib)
    assert sum(parts) == memory.peak_mib
    assert (memory.method, memory.streams, memory.steps, memory.repeats) == ("process", 64, 9, 3)


def test_a_hidden_process_is_the_quiet_devices_difference():
    model = [readings(device=(420, 460, 470), outside=31), readings(device=(420, 460, 470))]
    empty = [readings(device=(400, 410, 410))] * 2
    memory, _ = account(model, empty, streams=1, steps=1)
    assert (memory.method, memory.context_mib, memory.peak_mib) == ("device", 410, 470)


@pytest.mark.parametrize("left", [-200, 200])
def test_memory_that_others_moved_is_not_ours(left):
    model = [readings(device=(420, 460, 470), left=left)]
    memory, reason = account(model, [readings(device=(1, 1, 1))], streams=1, steps=1)
    assert memory is None
    assert "other processes moved the device's memory by 200 MiB" in reason


def test_one_hidden_reading_makes_all_of_them_differences():
    model = [readings((420, 460, None), (1420, 1460, 1470))]
    memory, _ = account(model, [readings((400, 410, 410), (1, 2, 3))], streams=1, steps=1)
    assert memory.method == "device"
    assert memory.peak_mib == 1470


def test_model_and_empty_session_run_in_turns(tmp_path, monkeypatch):
    asked = []

    def probe(_program, job, streams):
        asked.append((job.source.name == "identity.onnx", streams))
        held = (400, 410, 410) if asked[-1][0] else (420, 460, 470)
        report = readings(held)
        return {moment: report[moment] for moment in ("before", "loaded", "after", "peak")}

    monkeypatch.setattr(gpu, "run_fresh", probe)
    library = FakeLibrary()
    memory, reason = measure_device_memory(
        a_job(tmp_path / "m.onnx"), streams=8, repeats=2, nvml=lambda: open_fake(library)
    )
    assert reason == ""
    assert asked == [(False, 8), (True, 8)] * 2
    assert (memory.weights_mib, memory.peak_mib, memory.streams) == (20, 470, 8)


def test_a_process_that_fails_says_why(tmp_path):
    """Here the real program runs, and finds no file or no library."""
    with pytest.raises(EdgeseqError) as error:
        measure_device_memory(
            a_job(tmp_path / "absent.onnx"), nvml=lambda: open_fake(FakeLibrary())
        )
    text = str(error.value)
    assert text.startswith(f"a fresh process could not run {tmp_path / 'absent.onnx'} on cuda: ")
    assert "\n" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="the driver's layout there is another")
def test_structures_are_laid_out_as_in_nvml_h():
    from edgeseq.bench import nvml

    assert ctypes.sizeof(nvml._Memory) == 24
    assert ctypes.sizeof(nvml._Process) == 24
    assert nvml._Process.used.offset == 8
