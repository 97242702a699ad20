"""An inspection of an ONNX file as text."""

from collections.abc import Iterable, Mapping

from edgeseq.contract import Contract
from edgeseq.graph.inspect import Inspection, Sizes
from edgeseq.graph.portable import Dependence
from edgeseq.graph.reasons import in_words
from edgeseq.graph.states import StatePair, Value
from edgeseq.measured import Census

LARGEST = 8
"""Constants that are listed."""


def inspection_text(inspection: Inspection) -> str:
    """Return what `edgeseq inspect` prints."""
    states = inspection.states
    sections = {
        "": _head(inspection),
        "inputs": _values(inspection.inputs, {pair.input: pair for pair in states}),
        "outputs": _values(inspection.outputs, {pair.output: pair for pair in states}),
        "state": _states(inspection),
        "operators": [_counts(inspection.operators)],
        "int8": _int8(inspection),
        "on other CPUs": _other_cpus(inspection),
        "bytes": [_sizes(inspection.sizes)],
        "bytes by operator": _bytes(inspection),
    }
    return "\n\n".join(
        "\n".join([title, *("  " + line for line in lines)] if title else lines)
        for title, lines in sections.items()
        if lines
    )


def _head(inspection: Inspection) -> list[str]:
    opsets = ", ".join(f"{domain} {version}" for domain, version in inspection.opsets.items())
    contract = inspection.contract
    return [
        f"{inspection.file}  {_size(inspection.bytes)}",
        f"made by {inspection.producer or 'unknown'} · opset {opsets} · IR {inspection.ir_version}",
        f"contract: {contract.form} graph, recipe {contract.recipe}, from ONNX Runtime "
        f"{contract.min_onnxruntime}"
        if contract
        else f"contract: none ({inspection.contract_missing})",
        *([_delay(contract)] if contract else []),
    ]


def _delay(contract: Contract) -> str:
    """Say how late an answer is."""
    frames = contract.output.delay
    if not frames:
        return "delay: none, an answer describes its own frame"
    seconds = frames / contract.frame.rate_hz
    return f"delay: {frames} frames ({seconds:.3g} s), an answer describes the frame that far back"


def _values(values: Iterable[Value], pairs: Mapping[str, StatePair]) -> list[str]:
    return [
        f"{value.name}  {value.dtype} {_shape(value.shape)}"
        + ("  (state)" if value.name in pairs else "")
        for value in values
    ]


def _shape(shape: tuple[str, ...] | None) -> str:
    return "of unknown rank" if shape is None else f"[{', '.join(shape)}]"


def _states(inspection: Inspection) -> list[str]:
    lines = [f"{pair.output} → {pair.input}" for pair in inspection.states]
    if any(pair.guessed for pair in inspection.states):
        lines.append("guessed from names, shapes and types: the file does not say")
    contract = inspection.contract
    if contract and contract.grows:
        lines.append(f"it grows by {contract.state_bytes:,} bytes a frame and stream, without end")
    if contract and contract.period:
        lines.append(f"absolute positions repeat every {contract.period} frames, as in training")
    return lines or ["none found"]


def _int8(inspection: Inspection) -> list[str]:
    lines = [f"{inspection.stored_int8:.0%} of {inspection.weights:,} weights are stored in int8"]
    census = inspection.optimised
    if census is None:
        return [*lines, f"what runs in int8 is unknown: {inspection.optimised_missing}"]
    lines.append(f"{census.int8_weights:.0%} run in int8 in ONNX Runtime {census.onnxruntime}")
    contract = inspection.contract
    lines.append(_macs(census, grows=bool(contract and contract.grows)))
    if inspection.stored_int8 or census.int8_weights:
        lines += [f"in floats: {sentence}" for sentence in in_words(census.reasons)]
    return lines


def _macs(census: Census, *, grows: bool) -> str:
    if census.int8_macs is None:
        return "how many multiply-accumulates a frame costs is not known"
    return (
        f"{census.int8_macs:.0%} of a frame's {census.macs:,} multiply-accumulates run in int8; "
        + ("attention counts after one frame" if grows else "attention counts with a full ring")
    )


def _sizes(sizes: Sizes) -> str:
    return (
        f"weights {_size(sizes.weights)}, other constants {_size(sizes.constants)}, contract and "
        f"other metadata {_size(sizes.metadata)}, nodes and names {_size(sizes.graph)}"
    )


def _other_cpus(inspection: Inspection) -> list[str]:
    found = inspection.depends_on_cpu
    if found is None:
        return [f"unknown: {inspection.depends_on_cpu_missing}"]
    if not found:
        return ["the same answer, but for the rounding of floats"]
    by_why = {item.why: [other for other in found if other.why == item.why] for item in found}
    lines = [f"{why}: {', '.join(map(_pairs, items))}" for why, items in by_why.items()]
    return ["another answer:", *("  " + line for line in lines)]


def _pairs(item: Dependence) -> str:
    counted = f", {item.pairs:,} pair{'s' * (item.pairs > 1)}" if item.pairs else ""
    return f"{item.node} ({item.operator}{counted})"


def _bytes(inspection: Inspection) -> list[str]:
    lines = [
        f"{_size(size)}  {operator}" for operator, size in inspection.bytes_by_operator.items()
    ]
    largest = [
        f"{_size(item.bytes)}  {item.name} {item.dtype} {list(item.shape)}"
        for item in inspection.initializers[:LARGEST]
    ]
    return [*lines, "the largest constants:", *("  " + line for line in largest)] if lines else []


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{operator} {count}" for operator, count in counts.items())


def _size(size: int) -> str:
    return f"{size:,} B" if size < 10_000 else f"{size / 1000:,.1f} kB"
