import pytest
from train.toy import Foretell, Waves

from edgeseq.errors import ConfigError
from edgeseq.train import FitSettings, default_settings
from edgeseq.train.settings import FAMILY_DEFAULTS


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


def test_crops_are_a_little_longer_than_the_scored_window():
    assert default_settings(Waves(), "lstm").crop == 26
    assert default_settings(Foretell(), "lstm").crop == 128


def test_changes_win_over_what_a_family_wants(monkeypatch):
    monkeypatch.setitem(FAMILY_DEFAULTS, "lstm", {"lr": 1.0, "batch": 7})
    settings = default_settings(Waves(), "lstm", lr=2.0, seed=3)
    assert (settings.lr, settings.batch, settings.seed) == (2.0, 7, 3)
