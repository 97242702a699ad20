"""Where every node of a model really ran, by ONNX Runtime's own profile.

A session on CUDA runs what CUDA has no kernel for on the CPU and says nothing. The profile tells
what each call ran, node by node, with the copies between host and device that this costs. It is
the one source here: the list that `session.record_ep_graph_assignment_info` records is older than
the last optimisations and knows neither copies nor types.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseq.bench.operators import is_node, name_of, profiled
from edgeseq.contract import SessionSettings
from edgeseq.errors import ModelError, ProviderError
from edgeseq.runtime.model import PROVIDERS

CALLS = 3
"""Calls that are profiled; all of them run the same nodes."""

NO_CUDA_KERNEL = ("DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "DynamicQuantizeLinear")
"""Operators of int8 variants that ONNX Runtime's docs/OperatorKernels.md does not list for CUDA."""

_CPU = PROVIDERS["cpu"]
_COPIES = {"MemcpyFromHost": "host to device", "MemcpyToHost": "device to host"}
_FLOATS = ("float", "double", "bfloat16")  # "float16" and "float8..." begin with "float"


@dataclass(frozen=True)
class Node:
    """One node of the graph as ONNX Runtime ran it."""

    name: str
    operator: str
    provider: str
    """`CPUExecutionProvider` or `CUDAExecutionProvider`."""
    is_compute: bool
    """Whether a tensor of floats goes in or out. What counts shapes and positions in integers \
ONNX Runtime puts on the CPU on purpose, where the shapes are: that is no fallback."""


@dataclass(frozen=True)
class Placement:
    """Where the nodes of one variant ran."""

    provider: str
    """`cpu` or `cuda`: what was asked for."""
    nodes: dict[str, dict[str, int]]
    """Nodes of one call by provider, then by operator; copies are not among them."""
    fallback: tuple[str, ...]
    """Compute nodes that ran on the CPU though another provider was asked for: `operator name`."""
    host_to_device: float
    """Copy nodes to the device in one call. The frame, which StreamSession binds on the host, \
comes on top, and so does the output on its way back."""
    device_to_host: float
    """Copy nodes to the host in one call."""
    calls: int
    """Calls that were profiled."""
    source: str
    """Where this is known from."""


def measure_placement(
    model_file: Path | str,
    provider: str,
    settings: SessionSettings | None = None,
    *,
    streams: int = 1,
    calls: int = CALLS,
) -> Placement:
    """Run the ONNX file a few times under ONNX Runtime's profiler, bound as an app binds it.

    Args:
        model_file: an ONNX file that carries its contract.
        provider: `cpu` or `cuda`.
        settings: session settings.
        streams: how many streams, where the contract does not fix that.
        calls: calls to profile.

    Raises:
        ModelError: the file cannot be loaded, or its profile says nothing of nodes.
        ProviderError: the provider is not there.
    """
    path, settings = Path(model_file), settings or SessionSettings()
    events = profiled(path, provider, settings, calls, streams=streams)
    return read_placement(events, provider, where=str(path))


def read_placement(
    events: Sequence[Mapping[str, Any]], provider: str, *, where: str = "profile"
) -> Placement:
    """Read the placement from the events of a profile; raise `ModelError` if it has no nodes."""
    ran = [event for event in events if is_node(event)]
    calls = sum(event.get("name") == "model_run" for event in events)
    if not ran or not calls:
        raise ModelError(
            f"{where}: ONNX Runtime's profile names no node that ran, so nothing is known of its "
            "placement. Upgrade it with: pip install -U onnxruntime"
        )
    copies = Counter(_COPIES.get(event["args"].get("op_name", "")) for event in ran)
    nodes = tuple(dict.fromkeys(_node(event) for event in ran if not _is_copy(event)))
    asked = PROVIDERS[provider]
    return Placement(
        provider=provider,
        nodes=_count(nodes),
        fallback=tuple(
            f"{node.operator} {node.name}"
            for node in nodes
            if node.is_compute and node.provider != asked
        ),
        host_to_device=round(copies["host to device"] / calls, 3),
        device_to_host=round(copies["device to host"] / calls, 3),
        calls=calls,
        source="ONNX Runtime's profile",
    )


def require_placed(
    placement: Placement, *, allow_fallback: bool = False, variant: str = "the model"
) -> None:
    """Raise `ProviderError` that names the compute nodes on the CPU, unless they are allowed."""
    if allow_fallback or not placement.fallback:
        return
    names = ", ".join(placement.fallback[:3])
    names += f" and {len(placement.fallback) - 3} more" if len(placement.fallback) > 3 else ""
    raise ProviderError(
        f"{variant} was to run on {placement.provider}, but "
        f"{len(placement.fallback)} of its compute nodes ran on the CPU ({names}): "
        f"{_why(placement)}. Measure the fp32 or fp16 variant with: --variant fp32, or this one "
        "as it is with: --allow-fallback"
    )


def _is_copy(event: Mapping[str, Any]) -> bool:
    return event["args"].get("op_name") in _COPIES


def _node(event: Mapping[str, Any]) -> Node:
    arguments = event["args"]
    return Node(
        name=name_of(event),
        operator=str(arguments.get("op_name", "unknown")),
        provider=str(arguments.get("provider", "unknown")),
        is_compute=_touches_floats(arguments),
    )


def _touches_floats(arguments: Mapping[str, Any]) -> bool:
    """Say whether a float goes in or out; where no types are recorded, it is taken to."""
    tensors = [*arguments.get("input_type_shape", ()), *arguments.get("output_type_shape", ())]
    types = [kind for tensor in tensors for kind in tensor]
    return not types or any(kind.startswith(_FLOATS) for kind in types)


def _count(nodes: Iterable[Node]) -> dict[str, dict[str, int]]:
    table: dict[str, Counter[str]] = {}
    for node in nodes:
        table.setdefault(node.provider, Counter())[node.operator] += 1
    return {provider: dict(sorted(counts.items())) for provider, counts in sorted(table.items())}


def _why(placement: Placement) -> str:
    operators = {text.partition(" ")[0] for text in placement.fallback}
    known = sorted(operators & set(NO_CUDA_KERNEL))
    if known:
        return f"ONNX Runtime has no CUDA kernel for {', '.join(known)}"
    return "ONNX Runtime has no CUDA kernel for these operators and types"
