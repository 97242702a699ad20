import json
from dataclasses import replace

import pytest
import torch
from train.toy import FAMILIES

from edgeseq.errors import CheckpointError
from edgeseq.models import SequenceModel
from edgeseq.models.cnn import CNNSpec
from edgeseq.models.decoder import DecoderSpec
from edgeseq.models.encoder import EncoderSpec
from edgeseq.models.encoder_decoder import EncoderDecoderSpec
from edgeseq.models.gru import GRUSpec
from edgeseq.models.hybrid import HybridSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.models.vit import ViTSpec
from edgeseq.tasks.base import Score
from edgeseq.train import Checkpoint, FitSettings, load_checkpoint
from edgeseq.train.checkpoint import Look

SPECS = {
    "lstm": LSTMSpec(4),
    "gru": GRUSpec(4),
    "hybrid": HybridSpec(8, 5, heads=2, window=6),
    "transformer": TransformerSpec(8, 5, heads=2, window=6),
    "encoder": EncoderSpec(8, 5, heads=2, window=6, lookahead=1),
    "vit": ViTSpec(8, 5, heads=2, window=6),
    "cnn": CNNSpec(4, window=6),
    "encoder-decoder": EncoderDecoderSpec(8, 5, source=4, heads=2, window=6),
}


def checkpoint(family="lstm"):
    torch.manual_seed(0)
    model = SequenceModel(SPECS[family], 3, 2, residual_of=1).eval()
    model.input_mean.fill_(7)
    return Checkpoint(
        model=model,
        task="toy",
        settings=FitSettings(seed=4, fold=1, lr=0.5),
        scores={"test": Score("accuracy %", 75.0, True, 4, {"x": 75.0}, ((3, 1), (0, 0)))},
        history=(Look(10, 0.5, 70.0), Look(20, 0.25, 75.0)),
        best_step=20,
        seconds=1.5,
        versions={"torch": "x"},
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_saved_is_what_is_loaded(family, tmp_path):
    saved = checkpoint(family)
    saved.save(tmp_path)
    loaded = load_checkpoint(tmp_path)
    assert (loaded.family, loaded.spec) == (family, SPECS[family])
    assert (loaded.task, loaded.seed, loaded.fold) == ("toy", 4, 1)
    for name in ("settings", "scores", "history", "best_step", "seconds", "versions"):
        assert getattr(loaded, name) == getattr(saved, name)
    for name, value in saved.model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[name])
    assert loaded.model.residual_of == 1
    assert not loaded.model.training
    frames = torch.randn(2, 9, 3)
    assert torch.equal(saved.model(frames), loaded.model(frames))


def test_a_decoders_only_table_is_kept_once(tmp_path):
    spec = DecoderSpec(8, 5, heads=2, window=6)
    saved = replace(checkpoint(), model=SequenceModel(spec, 1, 9, vocabulary=9).eval())
    saved.save(tmp_path)
    loaded = load_checkpoint(tmp_path)
    assert loaded.spec == spec
    assert loaded.parameters == spec.parameters(9, 9)
    tensors = loaded.model.state_dict()
    assert [name for name, value in tensors.items() if value.ndim > 1 and 9 in value.shape] == [
        "body.head.weight"
    ]
    frames = torch.randint(0, 9, (2, 20, 1)).float()
    assert torch.equal(saved.model(frames), loaded.model(frames))


def test_the_files_are_safetensors_and_json_and_nothing_else(tmp_path):
    checkpoint().save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "weights.safetensors"]
    table = json.loads((tmp_path / "run.json").read_text())
    assert table["schema"] == 1
    assert table["family"] == "lstm"
    assert table["parameters"] == 4 * 4 * (3 + 4 + 2) + 4 * 4 * (4 + 4 + 2) + 5 * 2
    assert table["scores"]["test"]["value"] == 75.0


def test_no_run_says_how_to_make_one(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no training run. Make one: edgeseq train"):
        load_checkpoint(tmp_path)


def test_an_unfinished_run_says_how_to_go_on(tmp_path):
    (tmp_path / "resume.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"not finished. Continue it: .* --resume"):
        load_checkpoint(tmp_path)


def edit(tmp_path, **changes):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2 is unknown; this edgeseq reads schema 1"),
        ({"family": "rnn"}, "unknown family 'rnn'; known: lstm, gru, hybrid, transformer"),
        ({"spec": {"hiden": 4}}, "did you mean"),
        ({"spec": {"hidden": 5}}, "size mismatch"),
        ({"weights_sha256": "0"}, "is not the file that run.json names"),
        ({"scores": 3}, "is damaged"),
        ({"settings": {"steps": 0}}, "steps: 0 is not a number from 1 up"),
    ],
)
def test_a_run_json_that_is_wrong_is_one_line_that_says_where(tmp_path, changes, message):
    checkpoint().save(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint(tmp_path)
    assert "\n" not in str(error.value)
    assert "run.json" in str(error.value)


@pytest.mark.parametrize("name", ["run.json", "weights.safetensors"])
def test_a_truncated_file_is_an_error_with_its_name(tmp_path, name):
    checkpoint().save(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match=f"cannot read .*{name}") as error:
        load_checkpoint(tmp_path)
    assert "\n" not in str(error.value)


def test_missing_weights_are_an_error(tmp_path):
    checkpoint().save(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"cannot read .*weights\.safetensors"):
        load_checkpoint(tmp_path)


def test_run_json_that_is_no_table_is_an_error(tmp_path):
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(CheckpointError, match="schema None is unknown"):
        load_checkpoint(tmp_path)
