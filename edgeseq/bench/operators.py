"""Where the time of a call goes, operator by operator, by ONNX Runtime's own profile."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgeseq.bench.candidate import Array
from edgeseq.contract import Contract, SessionSettings
from edgeseq.errors import ModelError
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.runtime.model import open_session

Events = Sequence[Mapping[str, Any]]
_CALL = "model_run"
_TIME = "_kernel_time"


@dataclass(frozen=True)
class Operators:
    """What share of a call's time each operator takes, while ONNX Runtime watches itself.

    On CUDA what is watched is how long it takes to launch them.
    """

    shares: dict[str, float]
    """By operator, the largest first; 0 to 1."""
    call: float
    """The rest: to begin a call, to go from node to node, and to watch, which is most of it where
    a call takes some ten microseconds: the profile counts whole ones."""
    kernels_us: float
    """What the operators take in one call; what an unwatched call takes longer is overhead."""
    call_us: float
    """A call in the profile, median; unwatched it is shorter."""
    calls: int
    nodes: int
    """Nodes that one call runs."""


def measure_operators(
    model_file: Path | str,
    frames: Array,
    *,
    provider: str = "cpu",
    settings: SessionSettings | None = None,
    calls: int = 50,
) -> Operators:
    """Profile calls on `frames` `(N, T, F)`, bound as an app binds them; the first is left out.

    Raises:
        ModelError: the file cannot be loaded, or its profile says nothing of nodes.
        ProviderError: the provider is not there.
    """
    settings = settings or SessionSettings()
    events = profiled(Path(model_file), provider, settings, calls + 1, frames=frames)
    return read_operators(events, where=str(model_file))


def profiled(
    path: Path,
    provider: str,
    settings: SessionSettings,
    calls: int,
    *,
    frames: Array | None = None,
    streams: int = 1,
) -> Events:
    """Return the events of a profile of `calls` calls on `frames` `(N, T, F)`.

    None: as few zeros as the graph takes, of as many `streams` unless it fixes their number.
    """
    with TemporaryDirectory(prefix="edgeseq-") as folder:
        session = open_session(path, provider, settings, profile=Path(folder, "profile"))
        metadata = session.get_modelmeta().custom_metadata_map
        contract = Contract.from_metadata(metadata, where=str(path))
        model = StreamModel(session, contract, provider, settings, str(path))
        if frames is None:
            shape = contract.streams or streams, max(1, contract.chunk_min), contract.frame.size
            frames = np.zeros(shape, np.float32)
        _run(model, frames, calls)
        events: Events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return events


def read_operators(events: Events, *, where: str = "profile") -> Operators:
    """Add up the events of a profile, but for the first call; `ModelError` if it has no nodes."""
    calls = sorted(
        (event for event in events if event.get("name") == _CALL), key=lambda event: event["ts"]
    )[1:]
    first = calls[0]["ts"] if calls else 0
    ran = [event for event in events if is_node(event) and event["ts"] >= first]
    total = sum(event["dur"] for event in calls)
    if not ran or not total:
        raise ModelError(
            f"{where}: ONNX Runtime's profile names no node that ran, so nothing is known of its "
            "operators. Upgrade it with: pip install -U onnxruntime"
        )
    spent: Counter[str] = Counter()
    for event in ran:
        spent[str(event["args"].get("op_name", "unknown"))] += event["dur"]
    shares = {name: round(time / total, 4) for name, time in spent.most_common()}
    return Operators(
        shares=shares,
        call=round(max(0.0, 1 - sum(spent.values()) / total), 4),
        kernels_us=round(sum(spent.values()) / len(calls), 1),
        call_us=round(float(np.median([event["dur"] for event in calls])), 1),
        calls=len(calls),
        nodes=round(len(ran) / len(calls)),
    )


def is_node(event: Mapping[str, Any]) -> bool:
    """Say whether `event` is a node that ran: others are the session's, or a CUDA kernel's own."""
    return event.get("cat") == "Node" and str(event.get("name", "")).endswith(_TIME)


def name_of(event: Mapping[str, Any]) -> str:
    """Return the name of the node that ran."""
    return str(event["name"]).removesuffix(_TIME)


def _run(model: StreamModel, frames: Array, calls: int) -> None:
    streams = len(frames)
    given = np.ascontiguousarray(frames if streams > 1 else frames[0], np.float32)
    with StreamSession(model, streams=streams) as session:
        for _ in range(calls):
            session.run(given)
