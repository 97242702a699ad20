"""Promises about a file before it runs: its contract, and the inputs and outputs it declares."""

from collections.abc import Iterable
from typing import Any

from edgeseq.check.findings import Finding, kept_if
from edgeseq.check.subject import Subject

Shape = tuple[int | str, ...]

_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}


def contract(subject: Subject) -> Finding:
    """Manifest and file say the same."""
    manifest, file = subject.variant.contract.to_json(), subject.contract.to_json()
    mistakes = [
        f"{key}: manifest says {_short(manifest[key])}, the file {_short(file[key])}"
        for key in file
        if manifest[key] != file[key]
    ]
    return kept_if("contract", mistakes, "manifest = metadata of the file")


def names(subject: Subject) -> Finding:
    """The graph has the inputs and outputs that the contract names, and no others."""
    mistakes = []
    for what, wanted, found in _sides(subject):
        declared = {value.name for value in found}
        mistakes += [f"no {what} {name}" for name in sorted(wanted.keys() - declared)]
        mistakes += [f"{what} {name} is unknown" for name in sorted(declared - wanted.keys())]
    return kept_if("names", mistakes)


def shapes(subject: Subject) -> Finding:
    """Sizes are those of the contract; what it leaves open is open in the graph."""
    mistakes = [
        f"{value.name} is {_text(value.shape)}, the contract says {_text(wanted[value.name][0])}"
        for _, wanted, found in _sides(subject)
        for value in found
        if not _fits(value.shape, wanted[value.name][0])
    ]
    return kept_if("shapes", mistakes)


def dtypes(subject: Subject) -> Finding:
    """Element types are those of the contract."""
    mistakes = [
        f"{value.name} is {value.type}, the contract says {wanted[value.name][1]}"
        for _, wanted, found in _sides(subject)
        for value in found
        if value.type != _TYPES[wanted[value.name][1]]
    ]
    return kept_if("dtypes", mistakes)


def _sides(subject: Subject) -> Iterable[tuple[str, dict[str, tuple[Shape, str]], Any]]:
    """Yield what it is, `{name: (shape, dtype)}` of the contract, and what the graph declares."""
    contract, session = subject.contract, subject.model.session
    streams: int | str = contract.streams or "N"
    fixed = contract.chunk_min == contract.chunk_max
    frames: int | str = contract.chunk_min if fixed else "T"

    def side(states: dict[str, Shape], name: str, size: int) -> dict[str, tuple[Shape, str]]:
        types = {s.input: s.dtype for s in contract.states}
        types |= {s.output: s.dtype for s in contract.states}
        found: dict[str, tuple[Shape, str]] = {k: (v, types[k]) for k, v in states.items()}
        return {name: ((streams, frames, size), "float32"), **found}

    known: dict[str, int | str] = {"N": streams, "P": "P"}
    sized = [(s, tuple(known[d] if d in known else int(d) for d in s.shape))
             for s in contract.states]  # fmt: skip
    inputs = side({s.input: shape for s, shape in sized}, contract.frame.name, contract.frame.size)
    outputs = side(
        {s.output: shape for s, shape in sized}, contract.output.name, len(contract.output.labels)
    )
    yield "input", inputs, session.get_inputs()
    yield "output", outputs, session.get_outputs()


def _fits(found: list[Any], wanted: Shape) -> bool:
    """Numbers must be equal; a symbol must not have become a number."""
    return len(found) == len(wanted) and all(
        a == b if isinstance(b, int) else not isinstance(a, int)
        for a, b in zip(found, wanted, strict=True)
    )


def _text(shape: Iterable[Any]) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ")"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
