"""Streams that never end: 10^8 frames through each bundle, and whether the last are as the first.

    python tests/benchmarks/endless.py BUNDLE…                 # minutes a bundle, one core each
    python tests/benchmarks/endless.py BUNDLE… --frames 1e6    # a first look

The same real frames come lap after lap, a whole number of turns of the model's positions a lap. A
lap whose final state is that of an earlier lap, bit for bit, repeats for ever, because a graph is a
function of frames and state alone: then 10^8 frames are only a demonstration. They are run all the
same, in calls of up to 64 frames, and every lap's outputs are held to the reference lap's.

Then the stream is set far ahead: the counters to where 10^12 frames would have led them. And a
storm passes: a lap of frames a thousand times too large (of tokens: in another order), as from a
broken sensor; it is counted how many real frames the model needs to answer as if there had been
none.
"""

import argparse
import dataclasses
import hashlib
import json
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq import files
from edgeseq.bench.machine import this_machine
from edgeseq.bench.soaked import taken
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.runtime import StreamModel, StreamSession

RESULT = Path(__file__).parent / "results" / "endless.json"
FRAMES, FAR = 100_000_000, 10**12
SETTLING = 8
"""Laps after which one becomes the reference: what the reset state left has faded by then."""
LAP = 1024
STORM = 1e3
FORGOTTEN = 1e-5
"""Share of the outputs' RMS below which a difference counts as forgotten: the gate's limit."""
PATIENCE = 16

State = Mapping[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Endless:
    """What became of one variant's stream."""

    bundle: str
    family: str
    task: str
    parameters: int
    variant: str
    frames: int
    lap: int
    repeats_from: int | None
    """A frame from which all states and outputs repeat bit for bit; none: not seen."""
    repeats_every: int | None
    """Laps after which they repeat."""
    difference: float
    """Largest difference of any later lap to the reference lap, over the outputs' RMS."""
    largest_state: float
    """Largest number in any state after the last frame."""
    largest_state_early: float
    """The same after the reference lap."""
    state_bytes: int
    grown_kib: float | None
    """Memory that the process took between the reference lap and the end."""
    far_ahead: float
    """Largest difference to the reference lap with counters at 10^12 frames, over the RMS."""
    forgets_after: int | None
    """Frames after the storm until it no longer shows; none: not within `PATIENCE` laps."""


def main() -> None:
    """Run every variant of every bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    parser.add_argument("--variants", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--frames", type=float, default=FRAMES)
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    table = _table(arguments.json)
    for path in arguments.bundles:
        bundle = load_bundle(path)
        for variant in arguments.variants:
            row = dataclasses.asdict(followed(bundle, variant, int(arguments.frames)))
            same = [row[key] for key in ("family", "task", "variant")]
            table["rows"] = [
                *(r for r in table["rows"] if [r["family"], r["task"], r["variant"]] != same),
                row,
            ]
            files.write_json(arguments.json, table)
            print(json.dumps(row), flush=True)


def _table(path: Path) -> dict[str, Any]:
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    return {
        "command": "python tests/benchmarks/endless.py BUNDLE…",
        "created": time.strftime("%Y-%m-%d"),
        "machine": dataclasses.asdict(this_machine()),
        "versions": {"NumPy": np.__version__, "platform": platform.machine()},
        "rows": [],
    }


def followed(bundle: Bundle, variant: str, frames: int) -> Endless:
    """Stream `frames` frames through a variant, and then from a state that is far ahead."""
    model = StreamModel.load(bundle.file(variant))
    reference = np.ascontiguousarray(bundle.reference["frames"], np.float32)
    lap = _laps(model, reference)
    session = StreamSession(model)
    for _ in range(SETTLING):
        before, outputs = session.state, session.run(lap)
    scale = float(np.sqrt(np.mean(np.square(outputs, dtype=np.float64))))
    early, memory = _largest(session.state), taken()
    worst, repeats = 0.0, None
    anchor, last = SETTLING, _digest(session.state)
    laps = -(-frames // len(lap))
    for count in range(SETTLING + 1, laps + 1):
        worst = max(worst, float(np.abs(session.run(lap) - outputs).max()))
        if repeats is not None:
            continue
        found = _digest(session.state)
        if found == last:
            repeats = (anchor * len(lap), count - anchor)
        elif count == 2 * anchor:  # Brent 1980: any cycle is found, and nothing piles up
            anchor, last = count, found
    origin, end = bundle.manifest.origin, taken()
    return Endless(
        bundle=bundle.manifest.name,
        family=origin.family,
        task=Path(origin.task).stem,
        parameters=origin.parameters,
        variant=variant,
        frames=laps * len(lap),
        lap=len(lap),
        repeats_from=repeats[0] if repeats else None,
        repeats_every=repeats[1] if repeats else None,
        difference=worst / scale,
        largest_state=_largest(session.state),
        largest_state_early=early,
        state_bytes=model.contract.state_bytes,
        grown_kib=None if memory is None or end is None else (end - memory) / 1024,
        far_ahead=_far_ahead(model, lap, before, outputs) / scale,
        forgets_after=_forgets(model, lap, outputs, FORGOTTEN * scale),
    )


def _laps(model: StreamModel, reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return real frames `(L, F)` after which every counter is where it was before."""
    turn = len(_orbit(model, reference)[1])
    return np.resize(reference, (turn * -(-LAP // turn), reference.shape[1]))


def _orbit(model: StreamModel, frames: NDArray[np.float32]) -> tuple[list[State], list[State]]:
    """Return the counters at each frame before they begin to repeat, and at each of their turn."""
    with StreamSession(model) as session:
        seen: dict[tuple[Any, ...], int] = {}
        every: list[State] = []
        for frame in np.resize(frames, (100_000, frames.shape[1])):
            counters = {k: v for k, v in session.state.items() if v.dtype.kind == "i"}
            key = tuple(value.tobytes() for value in counters.values())
            if key in seen:
                return every[: seen[key]], every[seen[key] :]
            seen[key] = len(every)
            every.append(counters)
            session.step(frame)
    raise SystemExit("its counters did not come round within 100,000 frames: they grow")


def _far_ahead(
    model: StreamModel, lap: NDArray[np.float32], before: State, outputs: NDArray[np.float32]
) -> float:
    """Return the largest error of a lap whose counters are where 10^12 frames lead them.

    A whole number of laps makes 10^12 frames and a few; so the state before the reference lap with
    these counters in it has to give the reference lap's outputs.
    """
    start, turn = _orbit(model, lap)
    far = FAR // len(lap) * len(lap)
    counters = turn[(far - len(start)) % len(turn)] if far >= len(start) else start[far]
    with StreamSession(model) as session:
        session.state = {**before, **counters}
        return float(np.abs(session.run(lap) - outputs).max())


def _forgets(
    model: StreamModel, lap: NDArray[np.float32], outputs: NDArray[np.float32], limit: float
) -> int | None:
    """Return the frames after a storm until the outputs are those of the reference lap."""
    tokens = model.contract.frame.vocabulary
    with StreamSession(model) as session:
        session.run(np.ascontiguousarray(lap[::-1]) if tokens else lap * np.float32(STORM))
        errors = [np.abs(session.run(lap) - outputs).max(axis=1) for _ in range(PATIENCE)]
    late = np.flatnonzero(~(np.concatenate(errors) <= limit))
    last = int(late[-1]) + 1 if len(late) else 0
    return last if last < PATIENCE * len(lap) else None


def _digest(state: State) -> bytes:
    return hashlib.blake2b(b"".join(_bytes(state)), digest_size=16).digest()


def _bytes(state: State) -> Iterator[bytes]:
    return (np.ascontiguousarray(state[name]).tobytes() for name in sorted(state))


def _largest(state: State) -> float:
    reals = [float(np.abs(v).max()) for v in state.values() if v.dtype.kind == "f"]
    return max(reals, default=0.0)


if __name__ == "__main__":
    main()
