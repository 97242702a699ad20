from types import SimpleNamespace

import onnx
import pytest

from edgeseq.contract import SessionSettings
from edgeseq.errors import BundleError, ModelError, ProviderError
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.runtime.model import _load_cuda, open_session


def test_a_bundle_and_its_bare_file_are_the_same_model(lstm_bundle):
    frames = lstm_bundle.reference["frames"][:20]
    with (
        StreamSession(lstm_bundle.path) as whole,
        StreamSession(lstm_bundle.file("fp32")) as bare,
    ):
        assert (whole.run(frames) == bare.run(frames)).all()
        assert whole.contract == bare.contract


def test_settings_reach_onnxruntime(lstm_bundle):
    settings = SessionSettings(threads=2, spinning=True, arena=True, prepacking=False)
    options = StreamModel.load(lstm_bundle.path, settings=settings).session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.enable_cpu_mem_arena
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    assert options.get_session_config_entry("session.disable_prepacking") == "1"


def test_a_missing_file_says_what_to_type():
    with pytest.raises(ModelError) as error:
        StreamModel.load("nowhere.onnx")
    assert str(error.value) == ("nowhere.onnx does not exist. Export a model with: edgeseq export")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_one_line(share, lstm_bundle, tmp_path):
    data = lstm_bundle.file().read_bytes()
    (tmp_path / "cut.onnx").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError) as error:
        StreamModel.load(tmp_path / "cut.onnx")
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith("ONNX Runtime ") or "carries no edgeseq contract" in text
    assert "cut.onnx" in text


def test_a_foreign_file_says_that_it_has_no_contract(lstm_bundle, tmp_path):
    model = onnx.load(lstm_bundle.file())
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(ModelError) as error:
        StreamModel.load(tmp_path / "foreign.onnx")
    assert str(error.value) == (
        f"{tmp_path / 'foreign.onnx'} carries no edgeseq contract, so its state cannot be known. "
        "Look at it with: edgeseq inspect FILE.onnx"
    )


def test_another_provider_never_runs_in_its_place(lstm_bundle):
    with pytest.raises(ProviderError, match=r'^no provider "npu"; there are: cpu, cuda$'):
        StreamModel.load(lstm_bundle.path, provider="npu")


def test_cuda_that_is_not_there_says_how_to_get_it(lstm_bundle):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA is here")
    with pytest.raises(ProviderError) as error:
        StreamModel.load(lstm_bundle.path, provider="cuda")
    assert 'pip install "edgeseq[cuda]"' in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_variant_names_those_there_are(lstm_bundle):
    with pytest.raises(BundleError) as error:
        StreamSession(lstm_bundle.path, variant="int8")
    assert str(error.value) == (
        f'{lstm_bundle.path} has no variant "int8"; it has: fp32, step. Make it with: '
        "edgeseq quantize BUNDLE"
    )


@pytest.fixture
def cuda_build(monkeypatch):
    """An ONNX Runtime that has CUDA, up to the session; what it is asked for."""
    import onnxruntime

    asked, real = {}, onnxruntime.InferenceSession

    def session(path, options, **arguments):
        asked.update(arguments, path=path)
        if arguments["providers"][0] != "CUDAExecutionProvider":
            return real(path, options, **arguments)
        if "error" in asked:
            raise RuntimeError(asked["error"])
        return SimpleNamespace(get_providers=lambda: arguments["providers"])

    cuda = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: cuda)
    return asked


def test_cuda_is_told_to_compute_fp32_in_fp32(lstm_bundle, cuda_build):
    """TF32 is ONNX Runtime's default: a parity of 1e-5 would be a matter of the GPU's age."""
    open_session(lstm_bundle.file(), "cuda", SessionSettings())
    assert cuda_build["providers"] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert cuda_build["provider_options"][0]["use_tf32"] == "0"
    assert cuda_build["provider_options"][1] == {}
    assert cuda_build["enable_fallback"] == 0
    open_session(lstm_bundle.file(), "cpu", SessionSettings())
    assert cuda_build["providers"] == ["CPUExecutionProvider"]
    assert cuda_build["provider_options"] == [{}]


def test_cuda_that_cannot_start_is_not_the_files_fault(lstm_bundle, cuda_build, tmp_path):
    cuda_build["error"] = "EP failed\nCUDA failure 35: CUDA driver version is insufficient"
    with pytest.raises(ProviderError) as error:
        open_session(lstm_bundle.file(), "cuda", SessionSettings())
    text = str(error.value)
    assert text.startswith("CUDAExecutionProvider cannot start: CUDA failure 35: CUDA driver")
    assert "nvidia-smi" in text
    assert "\n" not in text
    (tmp_path / "cut.onnx").write_bytes(lstm_bundle.file().read_bytes()[:100])
    with pytest.raises(ModelError, match=r"cannot load .*cut.onnx"):
        open_session(tmp_path / "cut.onnx", "cuda", SessionSettings())


def test_nothing_is_printed_while_cuda_is_loaded(capsys):
    import onnxruntime

    class Loud:
        @staticmethod
        def preload_dlls():
            print("Failed to load libcudart.so.13")

    _load_cuda(Loud)
    _load_cuda(onnxruntime)
    _load_cuda(object())
    assert capsys.readouterr().out == ""
