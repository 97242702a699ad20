"""What a GPU adds to a result: its memory part by part, and what copies to and from it cost."""

from dataclasses import dataclass

from edgeseq.bench.copies import CopyCost, measure_copies
from edgeseq.bench.gpu import DeviceMemory, measure_device_memory
from edgeseq.bench.subjects import Target

STEPS = 200
"""Steps of each process: whatever grows at first has grown."""
MANY = 1024
"""Streams of the second reading: what grows with them is state and intermediate values."""


@dataclass(frozen=True)
class OnGpu:
    """One variant on the GPU."""

    memory: tuple[DeviceMemory, ...]
    """For one stream and for many; empty where NVIDIA's library does not tell."""
    memory_not_measured: str
    """Why, or empty."""
    copies: tuple[CopyCost, ...]
    """For as many streams."""


def measure_on_gpu(target: Target, *, repeats: int) -> OnGpu:
    """Measure a variant that runs on the GPU; `repeats` fresh processes for its memory."""
    fixed = target.contract.streams
    counts = (fixed,) if fixed else (1, MANY)
    found, reason = [], ""
    for streams in counts if repeats else ():
        memory, reason = measure_device_memory(target.job(STEPS), streams=streams, repeats=repeats)
        if memory:
            found.append(memory)
    model = target.load()
    copies = [measure_copies(model, target.candidate.frames, streams=n) for n in counts]
    return OnGpu(tuple(found), reason if repeats else "no fresh processes were asked for",
                 tuple(copies))  # fmt: skip
