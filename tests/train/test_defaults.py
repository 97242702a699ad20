import pytest
from train.toy import FAMILIES as VALUE_FAMILIES
from train.toy import Foretell, Waves

from edgeseq.contract import Frame
from edgeseq.errors import UsageError
from edgeseq.families import FAMILIES
from edgeseq.models import SequenceModel, load_family
from edgeseq.models.decoder import DecoderSpec
from edgeseq.models.family import Family
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.train import default_settings, default_spec


def test_crops_are_a_little_longer_than_the_scored_window():
    assert default_settings(Waves(), "lstm").crop == 26
    assert default_settings(Waves(), "lstm").batch == 64
    assert default_settings(Foretell(), "lstm").crop == 128
    assert default_settings(Foretell(), "lstm").batch == 16


def test_a_task_says_what_suits_it():
    task = Waves(training={"crop": 40, "lr": 1e-3})
    assert default_settings(task, "lstm").crop == 40
    assert default_settings(task, "lstm").lr == 1e-3
    assert default_settings(task, "lstm", lr=2.0).lr == 2.0
    assert default_spec(task, "transformer", 20_000).window == 40


def test_changes_win_over_what_a_family_wants(monkeypatch):
    lively = Family(LSTMSpec, load_family("lstm").body, settings={"lr": 1.0, "batch": 7})
    monkeypatch.setattr("edgeseq.models.lstm.FAMILY", lively)
    settings = default_settings(Waves(), "lstm", lr=2.0, seed=3)
    assert (settings.lr, settings.batch, settings.seed) == (2.0, 7, 3)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embedding_of_tokens_counts(family):
    letters = tuple("abcdefghij")
    task = Waves(frame=Frame(("letter",), ("token",), 1.0, vocabulary=letters))
    spec = default_spec(task, family, 20_000)
    model = SequenceModel(spec, 1, len(task.output.labels), vocabulary=len(letters))
    assert 18_500 < sum(parameter.numel() for parameter in model.parameters()) <= 20_000


@pytest.mark.parametrize("family", VALUE_FAMILIES)
def test_a_spec_has_at_most_the_parameters_asked_for_and_nearly_all_of_them(family):
    for task in Waves(), Foretell():
        count = default_spec(task, family, 20_000).parameters(2, len(task.output.labels))
        assert 18_500 < count <= 20_000


def test_positions_count_if_they_are_chosen_and_the_family_has_any():
    spec = default_spec(Waves(), "transformer", 20_000, positions="learned", window=200)
    assert (spec.positions, spec.window) == ("learned", 26)
    assert 18_500 < spec.parameters(2, len(Waves().output.labels)) <= 20_000
    assert default_spec(Waves(), "lstm", 20_000, positions="learned") == default_spec(
        Waves(), "lstm", 20_000
    )


def test_attention_sees_no_further_than_a_training_crop():
    assert default_spec(Waves(), "transformer", 20_000).window == 26
    assert default_spec(Foretell(), "transformer", 20_000).window == 64
    assert isinstance(default_spec(Waves(), "transformer", 20_000), TransformerSpec)
    assert isinstance(default_spec(Waves(), "lstm", 20_000), LSTMSpec)


def test_what_continues_tokens_takes_nothing_else():
    message = "continues tokens, and these frames are values; choose another --model"
    with pytest.raises(UsageError, match=message):
        default_spec(Waves(), "decoder", 20_000)
    with pytest.raises(UsageError, match=message):
        SequenceModel(DecoderSpec(8, 8, heads=1), 3, 2)
