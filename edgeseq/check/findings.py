"""What a check found: one finding a promise and variant, and all of them together."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from edgeseq.budget import Verdict, require_promises
from edgeseq.errors import PromiseError
from edgeseq.measured import Parity

Status = Literal["kept", "broken", "not checked"]


@dataclass(frozen=True)
class Finding:
    """What became of one promise of one variant."""

    promise: str
    status: Status
    where: str = ""
    """Frame, stream or tensor of the largest deviation."""
    measured: float | None = None
    limit: float | None = None
    """What `measured` must not exceed."""
    note: str = ""
    """What was compared with what, what is wrong, or why nothing was checked."""
    parity: Parity | None = None
    """All that was measured, with the drift curve."""

    @property
    def sentence(self) -> str:
        """Say in words where and by how much."""
        numbers = "" if self.measured is None else f"{self.measured:.2g}"
        if self.limit is not None:
            numbers += f" (limit {self.limit:.2g})"
        return ", ".join(part for part in (self.where, numbers, self.note) if part)


@dataclass(frozen=True)
class CheckReport:
    """Every finding about a bundle's variants, in the order in which a person would look."""

    bundle: str
    provider: str
    onnxruntime: str
    seed: int
    """What drew the random chunks and resets."""
    frames: int
    """Frames in the reference."""
    variants: dict[str, tuple[Finding, ...]]
    device: str | None = None
    """Profile whose budget was applied, as far as it needs no measurement."""
    budget: tuple[Verdict, ...] = ()
    """What became of that device's promises."""

    @property
    def broken(self) -> list[tuple[str, Finding]]:
        """Return every broken promise with its variant."""
        return [
            (name, finding)
            for name, findings in self.variants.items()
            for finding in findings
            if finding.status == "broken"
        ]

    @property
    def ok(self) -> bool:
        """Say whether no promise is broken."""
        return not self.broken and not any(item.verdict == "fail" for item in self.budget)

    def require_kept(self, *, strict: bool = False) -> None:
        """Raise `PromiseError` naming the first broken promise, or those the device lost.

        With `strict` a promise of the device that needs a measurement counts as broken.
        """
        if not self.broken:
            where = self.device or self.bundle
            hint = f"See its budget with: edgeseq devices {where}"
            require_promises(self.budget, strict=strict, where=where, next_step=hint)
            return
        variant, finding = self.broken[0]
        more = f" and {len(self.broken) - 1} more" if len(self.broken) > 1 else ""
        raise PromiseError(
            f'{self.bundle}: {variant} breaks "{finding.promise}"{more}: {finding.sentence}. '
            "Do not ship it; export again"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; what is not a finite number is null."""
        table: dict[str, Any] = _json(dataclasses.asdict(self) | {"ok": self.ok})
        return table


def kept_within(
    promise: str,
    measured: float,
    limit: float,
    *,
    where: str = "",
    note: str = "",
    parity: Parity | None = None,
) -> Finding:
    """Return `kept` if `measured` is at most `limit`, else `broken`; NaN breaks."""
    status: Status = "kept" if measured <= limit else "broken"
    return Finding(promise, status, where, measured, limit, note, parity)


def kept_if(promise: str, mistakes: list[str], note: str = "") -> Finding:
    """Return `kept` where there are no mistakes, else `broken` with all of them."""
    if mistakes:
        return Finding(promise, "broken", note="; ".join(mistakes))
    return Finding(promise, "kept", note=note)


def not_checked(promise: str, reason: str) -> Finding:
    """Return a finding that nothing was found out, and why."""
    return Finding(promise, "not checked", note=reason)


def _json(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
