"""What machine this is, from files that a test can write."""

import json
import platform
from dataclasses import asdict

import numpy as np
import onnxruntime
import pytest

from edgeseq.bench import machine
from edgeseq.bench.machine import FLAGS_THAT_MATTER, this_machine

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Core(TM) i7-1185G7
flags\t\t: fpu sse2 avx2 fma avx512f avx512_vnni hypervisor

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
PI = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU part\t: 0xd08
"""


@pytest.fixture
def system(monkeypatch):
    """Let the test say what the system's files hold, and what `uname -m` answers."""
    files = {}
    monkeypatch.setattr(machine, "_read", files.get)

    def set_up(architecture, **contents):
        monkeypatch.setattr(platform, "machine", lambda: architecture)
        files.update(contents)

    return set_up


def test_this_machine():
    found = this_machine()
    assert found.cores >= 1
    assert set(found.flags) <= set(FLAGS_THAT_MATTER)
    assert found.python == platform.python_version()
    assert found.numpy == np.__version__
    assert found.onnxruntime.endswith(onnxruntime.__version__)
    assert "CPUExecutionProvider" in found.providers
    assert json.loads(json.dumps(asdict(found)))["cpu"] == found.cpu


def test_an_intel_laptop(system):
    system("x86_64", **{"/proc/cpuinfo": X86, "/proc/meminfo": "MemTotal:  2097152 kB\nX: 1\n"})
    found = this_machine()
    assert found.cpu == "Intel(R) Core(TM) i7-1185G7"
    assert found.flags == ("avx2", "fma", "avx512f", "avx512_vnni")
    assert found.memory_mib == 2048
    assert found.virtualised is True
    assert found.board == ""
    assert found.governor is None


def test_a_raspberry_pi(system):
    system(
        "aarch64",
        **{
            "/proc/cpuinfo": PI,
            "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand",
        },
    )
    found = this_machine()
    assert found.architecture == "aarch64"
    assert found.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert found.flags == ("asimd",)
    assert found.governor == "ondemand"
    assert found.virtualised is None, "ARM does not tell"


@pytest.mark.parametrize(("spelled", "name"), [("AMD64", "x86_64"), ("arm64", "aarch64")])
def test_one_name_for_one_architecture(system, spelled, name):
    system(spelled)
    found = this_machine()
    assert found.architecture == name
    assert found.flags == ()
    assert found.memory_mib is None
    assert found.virtualised is None


def test_without_onnxruntime(monkeypatch):
    monkeypatch.setattr(machine, "available", lambda _name: False)
    found = this_machine()
    assert found.onnxruntime is None
    assert found.providers == ()


def test_both_onnxruntimes_are_named(monkeypatch):
    monkeypatch.setattr(machine, "_is_installed", lambda _name: True)
    assert this_machine().onnxruntime.startswith("onnxruntime-gpu + onnxruntime ")
