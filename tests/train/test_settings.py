import pytest

from edgeseq.errors import ConfigError
from edgeseq.train import FitSettings


def test_every_mistake_is_named_at_once():
    with pytest.raises(ConfigError) as error:
        FitSettings(steps=0, warmup=1.0, lr=float("nan"), accelerator="tpu")
    assert error.value.mistakes == (
        "steps: 0 is not a number from 1 up",
        "lr: nan is not a positive number",
        "warmup: 1.0 is not a share from 0 up to, but not including, 1",
        "accelerator: 'tpu' is not one of 'cpu', 'cuda'",
    )
    assert error.value.exit_code == 2
