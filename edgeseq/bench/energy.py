"""Energy of the whole machine, where its processor counts it; nowhere else is it guessed."""

from dataclasses import dataclass, field
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
"""Linux' counters of Intel's and AMD's RAPL; reading them needs root since 2020."""


@dataclass
class EnergyMeter:
    """Joules since it was made, over all processor packages; none where nothing is counted."""

    root: Path = POWERCAP
    _zones: dict[Path, int] = field(init=False)
    _joules: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Find the counters that this process may read."""
        # `intel-rapl:0` is a package (AMD's, too, bears that name); `intel-rapl:0:0` a part of it.
        found = {zone: _count(zone) for zone in sorted(self.root.glob("intel-rapl:?"))}
        self._zones = {zone: count for zone, count in found.items() if count is not None}

    def __call__(self) -> float | None:
        """Return the joules so far; call it more often than a counter wraps (about a minute)."""
        if not self._zones:
            return None
        for zone, before in self._zones.items():
            now = _count(zone)
            if now is None:
                return None
            wrapped = _read(zone / "max_energy_range_uj") or 0 if now < before else 0
            self._joules += (now - before + wrapped) / 1e6
            self._zones[zone] = now
        return self._joules


def _count(zone: Path) -> int | None:
    return _read(zone / "energy_uj")


def _read(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
