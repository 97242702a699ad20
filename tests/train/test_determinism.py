import pytest
import torch

from edgeseq.errors import ProviderError
from edgeseq.train.determinism import device_of, reproducible, seed_torch

CPU = torch.device("cpu")


def test_global_state_is_left_as_it_was():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    threads = torch.get_num_threads()
    with reproducible(CPU, threads + 1):
        seed_torch(5, 6)
        torch.rand(10)
        assert torch.get_num_threads() == threads + 1
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.rand(3), expected)


def test_it_is_restored_after_an_error_too():
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt), reproducible(CPU, threads + 1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_seeds_of_neighbouring_steps_differ():
    def draw(*words):
        seed_torch(*words)
        return torch.rand(1).item()

    with reproducible(CPU, 1):
        assert draw(0, 1) == draw(0, 1)
        assert len({draw(0, 1), draw(1, 0), draw(0, 2), draw(0)}) == 4


def test_an_accelerator_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(ProviderError, match=r"is a build without CUDA. Use --accelerator cpu"):
        device_of("cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(ProviderError, match="finds no usable NVIDIA GPU"):
        device_of("cuda")
    assert device_of("cpu") == CPU
