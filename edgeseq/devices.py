"""Device profiles: what is known of a target, how to run on it, and what is promised there."""

import difflib
from dataclasses import dataclass, field
from typing import Literal, Protocol

from edgeseq.contract import SessionSettings
from edgeseq.errors import ConfigError, UsageError
from edgeseq.shipped import shipped
from edgeseq.specs import load_toml


@dataclass(frozen=True)
class Fact:
    """One thing that is known about the device, and who says so."""

    text: str
    """The fact, in one sentence."""
    source: str
    """Where it can be looked up: an address, or a file of this repository."""


@dataclass(frozen=True)
class Match:
    """How to recognise that a machine is this device; every rule that is given must hold."""

    architecture: str = ""
    """Instruction set as `uname -m` names it: `x86_64`, `aarch64`."""
    board: str = ""
    """Part of the board's name in `/proc/device-tree/model`."""
    any_flags: tuple[str, ...] = ()
    """CPU flags of which at least one must be there."""
    no_flags: tuple[str, ...] = ()
    """CPU flags of which none may be there."""
    provider: str = ""
    """ONNX Runtime execution provider that must be available."""

    @property
    def rules(self) -> int:
        """Number of rules that are given; a profile without any is never detected."""
        given = (self.architecture, self.board, self.any_flags, self.no_flags, self.provider)
        return sum(map(bool, given))


@dataclass(frozen=True)
class QuantizeHints:
    """What quantization has to respect on the device."""

    reduce_range: bool = False
    """Use 7-bit weights: u8 x s8 products saturate in 16 bits on x86 without VNNI."""


@dataclass(frozen=True)
class Budget:
    """Limits that `bench --device` enforces by exit code; our promise, not the maker's fact."""

    step_p99_ms: float | None = None
    """99th percentile of one step's latency in milliseconds."""
    peak_rss_mib: float | None = None
    """Peak resident memory of a fresh process that runs the model, runtime included, in MiB."""
    model_kib: float | None = None
    """Size of the ONNX file in KiB."""
    state_kib: float | None = None
    """State of one stream in KiB."""
    forbidden_operators: tuple[str, ...] = ()
    """Operators with no kernel on the device, which must not occur in the model."""


@dataclass(frozen=True)
class DeviceProfile:
    """One file `devices/NAME.toml`; NAME is the name used everywhere."""

    name: str
    """Same as the file's name."""
    summary: str
    """One line for lists."""
    status: Literal["measured", "emulated", "estimated"]
    """How far it was tried: `measured` on the device (a file in `devices/results/` shows it), \
`emulated` for correctness only, `estimated` from the facts."""
    facts: tuple[Fact, ...]
    """What is known, each with its source."""
    provider: Literal["cpu", "cuda", "wasm"] = "cpu"
    """Execution provider; `wasm` is onnxruntime-web, which `bench` cannot run itself."""
    match: Match = field(default_factory=Match)
    """How `devices --detect` recognises it."""
    session: SessionSettings = field(default_factory=SessionSettings)
    """Session settings to run with."""
    quantize: QuantizeHints = field(default_factory=QuantizeHints)
    """What quantization has to respect."""
    budget: Budget = field(default_factory=Budget)
    """What is promised there."""

    def __post_init__(self) -> None:
        """Refuse a profile whose facts nobody can look up."""
        mistakes = [
            f"facts[{index}].{key}: is empty"
            for index, fact in enumerate(self.facts)
            for key in ("text", "source")
            if not getattr(fact, key).strip()
        ]
        if not self.facts:
            mistakes.append("facts: a profile needs at least one fact with its source")
        if mistakes:
            raise ConfigError(self.name, mistakes)


class MachineFacts(Protocol):
    """What `detect` needs to know of a machine; `edgeseq.bench.machine.Machine` has it."""

    @property
    def architecture(self) -> str:
        """Instruction set as `uname -m` names it."""

    @property
    def board(self) -> str:
        """Board name from the device tree, or empty."""

    @property
    def flags(self) -> tuple[str, ...]:
        """CPU flags."""

    @property
    def providers(self) -> tuple[str, ...]:
        """ONNX Runtime execution providers."""


def list_devices() -> tuple[str, ...]:
    """Return the names of all shipped profiles, sorted."""
    files = shipped("devices").iterdir()
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))
    )


def load_device(name: str) -> DeviceProfile:
    """Load the profile `name`; an unknown name is a `UsageError` that suggests the nearest."""
    names = list_devices()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        raise UsageError(f'there is no device "{name}".{hint} See them all with: edgeseq devices')
    file = shipped("devices") / f"{name}.toml"
    profile = load_toml(file, DeviceProfile)
    if profile.name != name:
        raise ConfigError(str(file), [f'name: "{profile.name}" differs from the file\'s name'])
    return profile


def is_device(profile: DeviceProfile, machine: MachineFacts) -> bool:
    """Say whether `machine` is the device, by the profile's match rules."""
    rules = profile.match
    return bool(rules.rules) and (
        rules.architecture in ("", machine.architecture)
        and rules.board in machine.board
        and (not rules.any_flags or not set(rules.any_flags).isdisjoint(machine.flags))
        and set(rules.no_flags).isdisjoint(machine.flags)
        and rules.provider in ("", *machine.providers)
    )


def detect(machine: MachineFacts) -> tuple[str, ...]:
    """Return the names of the profiles that `machine` is, the most specific first."""
    found = [profile for profile in map(load_device, list_devices()) if is_device(profile, machine)]
    found.sort(key=lambda profile: (-profile.match.rules, profile.name))
    return tuple(profile.name for profile in found)
