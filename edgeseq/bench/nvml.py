"""NVIDIA's management library through ctypes: which GPU CUDA uses, and who holds its memory.

The library comes with the driver. Its header and manual name all that is called here:
https://docs.nvidia.com/deploy/nvml-api
"""

import ctypes
from collections.abc import Callable
from typing import Any

LIBRARY, DRIVER = "libnvidia-ml.so.1", "libcuda.so.1"
_NOT_AVAILABLE = 2**64 - 1
_INSUFFICIENT_SIZE = 7
_NOT_FOR_US = (3, 4)
"""NVML_ERROR_NOT_SUPPORTED and NVML_ERROR_NO_PERMISSION: nothing is listed."""
_PROCESSES = "nvmlDeviceGetComputeRunningProcesses_v3"
_SPARE = 16
"""Places for processes that begin between the two calls that list them."""


class NvmlError(Exception):
    """The library is not there, or refuses; the text says what."""


class Nvml:
    """The GPU that CUDA calls device 0, as the management library sees it."""

    def __init__(self, load: Callable[[str], Any] = ctypes.CDLL) -> None:
        """Open the library through `load`; raise `NvmlError` where it cannot be used."""
        try:
            self._library = load(LIBRARY)
        except OSError as error:
            raise NvmlError(f"{LIBRARY}, which NVIDIA's driver brings, is not here") from error
        self._call("nvmlInit_v2")
        self._device = self._find(_pci_bus(load))

    def name(self) -> str:
        """Return the GPU's name."""
        return self._text("nvmlDeviceGetName", self._device)

    def driver(self) -> str:
        """Return the driver's version."""
        return self._text("nvmlSystemGetDriverVersion")

    def compute_capability(self) -> str:
        """Return the generation of the GPU's cores, as CUDA numbers it: `9.0`."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call(
            "nvmlDeviceGetCudaComputeCapability",
            self._device,
            ctypes.byref(major),
            ctypes.byref(minor),
        )
        return f"{major.value}.{minor.value}"

    def memory(self) -> tuple[int, int]:
        """Return the bytes of all of the GPU's memory, and those that are used by anyone."""
        info = _Memory()
        self._call("nvmlDeviceGetMemoryInfo", self._device, ctypes.byref(info))
        return int(info.total), int(info.used)

    def processes(self) -> dict[int, int | None]:
        """Return the bytes that each process with a CUDA context holds, by process id.

        None where the driver does not tell. In a container the ids may be those of the host, or
        the list may be empty.
        """
        count = ctypes.c_uint(0)
        code = self._function(_PROCESSES)(self._device, ctypes.byref(count), None)
        if code in _NOT_FOR_US:
            return {}
        if code not in (0, _INSUFFICIENT_SIZE):
            raise _refusal(_PROCESSES, code)
        count = ctypes.c_uint(count.value + _SPARE)
        entries = (_Process * count.value)()
        self._call(_PROCESSES, self._device, ctypes.byref(count), entries)
        return {
            int(entry.pid): None if entry.used == _NOT_AVAILABLE else int(entry.used)
            for entry in entries[: count.value]
        }

    def close(self) -> None:
        """Let go of the library."""
        self._function("nvmlShutdown")()

    def _find(self, bus: bytes | None) -> ctypes.c_void_p:
        """Return the GPU on a PCI bus; where CUDA does not tell, the first one there is."""
        device = ctypes.c_void_p()
        if bus is None:
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(device))
        else:
            self._call("nvmlDeviceGetHandleByPciBusId_v2", bus, ctypes.byref(device))
        return device

    def _text(self, function: str, *arguments: Any) -> str:  # noqa: ANN401 - C types
        buffer = ctypes.create_string_buffer(128)
        self._call(function, *arguments, buffer, ctypes.c_uint(len(buffer)))
        return buffer.value.decode(errors="replace")

    def _call(self, function: str, *arguments: Any) -> None:  # noqa: ANN401 - C types
        code = self._function(function)(*arguments)
        if code:
            raise _refusal(function, code)

    def _function(self, name: str) -> Any:  # noqa: ANN401 - a C function
        try:
            return getattr(self._library, name)
        except AttributeError:
            raise NvmlError(f"the driver's {LIBRARY} is too old: it has no {name}") from None


class _Memory(ctypes.Structure):
    """`nvmlMemory_t`."""

    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


class _Process(ctypes.Structure):
    """`nvmlProcessInfo_t`, as the function's third version fills it."""

    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


def _refusal(function: str, code: int) -> NvmlError:
    return NvmlError(f"{function} of {LIBRARY} answers {code} (nvmlReturn_t)")


def _pci_bus(load: Callable[[str], Any]) -> bytes | None:
    """Return the PCI bus of CUDA's device 0; none where the driver's own library is not there.

    The two libraries number GPUs differently, and only CUDA's heeds CUDA_VISIBLE_DEVICES.
    """
    try:
        cuda = load(DRIVER)
    except OSError:
        return None
    device, bus = ctypes.c_int(), ctypes.create_string_buffer(32)
    failed = (
        cuda.cuInit(ctypes.c_uint(0))
        or cuda.cuDeviceGet(ctypes.byref(device), ctypes.c_int(0))
        or cuda.cuDeviceGetPCIBusId(bus, ctypes.c_int(len(bus)), device)
    )
    return None if failed else bus.value
