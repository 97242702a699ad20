"""Loading an ONNX file for streaming: weights once, contract and provider verified."""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseq.bundle import load_bundle
from edgeseq.contract import Contract, SessionSettings
from edgeseq.errors import ModelError, ProviderError
from edgeseq.extras import require

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

PROVIDER_OPTIONS = {
    "cpu": {},
    "cuda": {
        "device_id": "0",  # where StreamSession puts the states
        # TF32 is the default and keeps 10 bits of a factor: that is fp32 in name only.
        "use_tf32": "0",
        # The default doubles each block: more than a small model asks for, and held for ever.
        "arena_extend_strategy": "kSameAsRequested",
    },
}
"""What each provider is told; https://onnxruntime.ai/docs/execution-providers has the keys."""


@dataclass(frozen=True)
class StreamModel:
    """Loaded weights and their contract; any number of streams, in any threads, may share it."""

    session: Any
    """`onnxruntime.InferenceSession`; its `run` is thread-safe."""
    contract: Contract
    provider: str
    settings: SessionSettings
    source: str

    @classmethod
    def load(
        cls,
        source: Path | str,
        *,
        variant: str | None = None,
        provider: str = "cpu",
        settings: SessionSettings | None = None,
    ) -> "StreamModel":
        """Load a bundle's `variant` (none: the preferred one), or a bare `.onnx` file.

        Args:
            source: a bundle, or an ONNX file that carries its contract.
            variant: name of the bundle's variant.
            provider: `cpu` or `cuda`; another one never runs in its place.
            settings: session settings; none: those that the bundle says are best.

        Raises:
            BundleError: the bundle cannot be trusted.
            ModelError: the file cannot be loaded or carries no contract.
            ProviderError: the provider is not there.
        """
        source = Path(source)
        if source.suffix == ".onnx":
            if not source.is_file():
                raise ModelError(f"{source} does not exist. Export a model with: edgeseq export")
            path = source
        else:
            bundle = load_bundle(source)
            path, chosen = bundle.file(variant), bundle.variant(variant)
            settings = settings or chosen.session
            _require_release(chosen.contract.min_onnxruntime, path)
        settings = settings or SessionSettings()
        session = open_session(path, provider, settings)
        metadata = session.get_modelmeta().custom_metadata_map
        contract = Contract.from_metadata(metadata, where=str(path))
        return cls(session, contract, provider, settings, str(path))


def session_options(settings: SessionSettings) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    """Return `onnxruntime.SessionOptions` for `settings`."""
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = settings.arena
    options.enable_mem_pattern = settings.memory_pattern
    options.log_severity_level = 3  # warnings are about shapes we leave symbolic on purpose
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = {
        "disabled": levels.ORT_DISABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "all": levels.ORT_ENABLE_ALL,
    }[settings.graph_level]
    entry = options.add_session_config_entry
    entry("session.intra_op.allow_spinning", str(int(settings.spinning)))
    entry("session.inter_op.allow_spinning", str(int(settings.spinning)))
    if not settings.prepacking:
        entry("session.disable_prepacking", "1")
    return options


def open_session(
    path: Path, provider: str, settings: SessionSettings, *, profile: Path | None = None
) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    """Return an `onnxruntime.InferenceSession` that runs on `provider`, or raise.

    The session runs on `provider`; single nodes that it has no kernel for run on the CPU, which
    `edgeseq.bench.placement` finds out.

    Args:
        path: the ONNX file.
        provider: `cpu` or `cuda`.
        settings: session settings.
        profile: how the name of ONNX Runtime's profile begins; none: no profile.
    """
    ort = require("onnxruntime")
    wanted = _provider(provider, ort.get_available_providers())
    options = session_options(settings)
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    if provider == "cuda":
        _load_cuda(ort)
    providers = list(dict.fromkeys((wanted, PROVIDERS["cpu"])))
    try:
        session = ort.InferenceSession(
            str(path),
            options,
            providers=providers,
            provider_options=[PROVIDER_OPTIONS[provider], {}][: len(providers)],
            enable_fallback=0,  # else it prints, and runs on the CPU
        )
    except Exception as error:  # onnxruntime raises classes of its own per status code
        reason = str(error).strip().splitlines()[-1].rstrip(".")
        if provider != "cpu":
            open_session(path, "cpu", settings)  # raises where it is the file that is bad
            raise ProviderError(f"{wanted} cannot start: {reason}. {_CUDA}") from None
        raise ModelError(
            f"ONNX Runtime {ort.__version__} cannot load {path}: {reason}. "
            "If the file is cut or damaged, export again"
        ) from None
    running = session.get_providers()[0]
    if running != wanted:
        raise ProviderError(f"asked for {wanted}, but ONNX Runtime would run {running}. {_CUDA}")
    return session


def _load_cuda(ort: Any) -> None:  # noqa: ANN401 - onnxruntime is untyped
    """Load the CUDA libraries that pip installs: the linker does not look for them there."""
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            ort.preload_dlls()


def _require_release(oldest: str, path: Path) -> None:
    """Say so in plain words where this ONNX Runtime is too old: its own are about IR versions."""
    found: str = require("onnxruntime").__version__
    if _numbers(found) < _numbers(oldest):
        raise ModelError(
            f"{path} needs ONNX Runtime {oldest} or newer; this is {found}. "
            "Upgrade it with: pip install -U onnxruntime, or take the bundle's fp32 variant"
        )


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:3])


_CUDA = (
    'Install it with: pip uninstall -y onnxruntime; pip install "edgeseq[cuda]" '
    "(onnxruntime and onnxruntime-gpu overwrite each other), and check the driver with nvidia-smi"
)


def _provider(name: str, available: list[str]) -> str:
    if name not in PROVIDERS:
        raise ProviderError(f'no provider "{name}"; there are: {", ".join(PROVIDERS)}')
    if PROVIDERS[name] not in available:
        raise ProviderError(
            f"asked for {PROVIDERS[name]}, but this ONNX Runtime has only "
            f"{', '.join(available)}. {_CUDA if name == 'cuda' else ''}".strip()
        )
    return PROVIDERS[name]
