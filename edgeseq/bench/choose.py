"""Which session settings are best: the rules, as pure functions of what was measured.

From the settings at hand each one is flipped alone and timed against them, interleaved. A flip is

- taken where its whole 95 % interval is below 1 - 1 %: less is luck, and a tie keeps what is;
- if it costs memory or CPU (the arena, more threads, spinning) taken only below 1 - 5 %;
- of these, threads and spinning never taken where the paced run takes over 10 % more CPU seconds
  an hour, or where nobody measured them: the latency of a step is not worth a device's battery;
- never taken on fewer than 10 fresh sessions: the interval of so few is too narrow;
- never taken where the outputs leave the variant's tolerance (those are not even timed).

Of several winners for one field the fastest is taken; winners of several fields are taken at
once, and the next pass, around the new settings, shows whether they go together. After at most 3
passes it is over. If the first settings of all then beat the chosen ones (whole interval below
1), they stay: three passes that chased noise must not make anything worse.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from edgeseq.bench.stats import Ratio
from edgeseq.contract import SessionSettings

GAIN = 0.01
"""What a flip must be faster by."""
COSTLY_GAIN = 0.05
"""What a flip that costs memory or CPU must be faster by."""
MORE_CPU = 0.10
"""How much more CPU an hour a faster step may take at the app's rate."""
FEWEST_SESSIONS = 10
"""Times that both must have been opened afresh."""
PASSES = 3
CURRENT = "current"
"""Name of the settings that are flipped."""


@dataclass(frozen=True)
class Flip:
    """One setting changed alone."""

    field: str
    settings: SessionSettings
    """With the change."""

    @property
    def name(self) -> str:
        """The change as `--session` takes it: `arena=true`."""
        value = getattr(self.settings, self.field)
        return f"{self.field}={str(value).lower()}"

    def costs_cpu(self, current: SessionSettings) -> bool:
        """Say whether it may keep more cores busy."""
        if self.field == "threads":  # 0: as many as there are cores
            return current.threads != 0 and not 0 < self.settings.threads <= current.threads
        return self.field == "spinning" and self.settings.spinning

    def costs(self, current: SessionSettings) -> bool:
        """Say whether it takes memory or CPU that the current settings do not."""
        return self.costs_cpu(current) or (self.field == "arena" and self.settings.arena)


@dataclass(frozen=True)
class Decision:
    """What becomes of the flips of a pass."""

    settings: SessionSettings
    """With all that was taken."""
    taken: tuple[str, ...]
    """Names of flips."""
    why: dict[str, str]
    """Of each flip, in a few words."""


def flips(
    settings: SessionSettings, *, cores: int, graph_levels: tuple[str, ...]
) -> tuple[Flip, ...]:
    """Return each other value of each setting, changed alone.

    Args:
        settings: what is flipped.
        cores: of the machine: 1, 2 and all of them are tried as threads.
        graph_levels: those at which the variant remains what it is.
    """
    found = [Flip("threads", _threads(settings, n)) for n in sorted({1, min(2, cores), cores})]
    if settings.threads != 1:  # a pool of one has nobody who waits
        found.append(_flip(settings, "spinning", not settings.spinning))
    found += [
        _flip(settings, name, not getattr(settings, name))
        for name in ("arena", "memory_pattern", "prepacking")
    ]
    found += [_flip(settings, "graph_level", level) for level in graph_levels]
    return tuple(flip for flip in found if flip.settings != settings)


def decide(
    settings: SessionSettings,
    tried: tuple[Flip, ...],
    ratios: Mapping[str, Ratio],
    cpu: Mapping[str, float],
) -> Decision:
    """Apply the rules above to the flips of one pass.

    Args:
        settings: the current ones.
        tried: flips of them.
        ratios: of each flip against the current settings; one that is missing was not timed.
        cpu: CPU seconds an hour, paced, of each flip that was measured, and of `current`.
    """
    why: dict[str, str] = {}
    best: dict[str, Flip] = {}
    for flip in tried:
        if flip.name not in ratios:
            continue
        ratio = ratios[flip.name]
        won, why[flip.name] = _wins(flip, settings, ratio, cpu.get(flip.name), cpu.get(CURRENT))
        rival = best.get(flip.field)
        if won and (rival is None or ratio.ratio < ratios[rival.name].ratio):
            best[flip.field] = flip
    changes = {field: getattr(flip.settings, field) for field, flip in best.items()}
    chosen = dataclasses.replace(settings, **changes)
    if chosen.threads == 1:
        chosen = dataclasses.replace(chosen, spinning=False)
    return Decision(chosen, tuple(flip.name for flip in best.values()), why)


def goes_back(before: Ratio | None) -> bool:
    """Say whether the first settings, timed against the chosen ones, are the faster ones."""
    return before is not None and before.high < 1 and before.sessions >= FEWEST_SESSIONS


def _wins(
    flip: Flip, current: SessionSettings, ratio: Ratio, cpu: float | None, current_cpu: float | None
) -> tuple[bool, str]:
    gain = COSTLY_GAIN if flip.costs(current) else GAIN
    if ratio.low > 1:
        return False, "slower"
    if ratio.high >= 1 - GAIN:
        return False, "no clear gain"
    if ratio.sessions < FEWEST_SESSIONS:
        return False, f"faster in {ratio.sessions} sessions; {FEWEST_SESSIONS} are needed"
    if ratio.high >= 1 - gain:
        return False, f"faster, but not by the {gain:.0%} that it must pay"
    if flip.costs_cpu(current):
        if cpu is None or current_cpu is None:
            return False, "faster, but its CPU was not measured"
        if cpu > current_cpu * (1 + MORE_CPU):
            return False, f"faster, but {cpu / current_cpu - 1:.0%} more CPU at the app's rate"
    return True, "faster"


def _threads(settings: SessionSettings, threads: int) -> SessionSettings:
    """Return settings with a pool of `threads`; one thread alone cannot spin for others."""
    spinning = settings.spinning and threads != 1
    return dataclasses.replace(settings, threads=threads, spinning=spinning)


def _flip(settings: SessionSettings, field: str, value: object) -> Flip:
    changes: dict[str, object] = {field: value}
    return Flip(field, dataclasses.replace(settings, **changes))  # type: ignore[arg-type]
