"""Reproducible computing that leaves PyTorch's global state as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from edgeseq.errors import ProviderError


@contextmanager
def reproducible(device: torch.device, threads: int) -> Iterator[None]:
    """Fix the number of threads, ask for deterministic kernels; restore both and all generators.

    On CUDA some kernels have no deterministic form: there it is asked for only where there is.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(device.type == "cpu")
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1], warn_only=warn_only)


def seed_torch(*words: int) -> None:
    """Seed PyTorch's global generators with a hash of `words`."""
    torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))


def device_of(accelerator: str) -> torch.device:
    """Return the device, or raise `ProviderError` where this machine or this PyTorch lacks it."""
    if accelerator == "cuda" and not torch.cuda.is_available():
        why = "finds no usable NVIDIA GPU" if torch.version.cuda else "is a build without CUDA"
        raise ProviderError(
            f"asked to train on cuda, but PyTorch {torch.__version__} {why}. "
            "Use --accelerator cpu, or install a CUDA build of PyTorch"
        )
    return torch.device(accelerator)
