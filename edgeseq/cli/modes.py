"""The modes of `edgeseq bench`: soak and sweep, and which options go with them."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from edgeseq.cli import kinds, options
from edgeseq.cli.progress import Bar
from edgeseq.errors import UsageError

KEPT = {"bundles", "variants", "provider", "pin", "out", "summary", "as_json"}
"""Parameters of `bench` that every mode takes."""
SOAK = KEPT | {"soak", "sessions", "rate", "strict"}
SWEEP = KEPT | {"sweep", "dry_run", "rate", "seconds", "rounds"}


def require_only(context: click.Context, mode: str, taken: set[str]) -> None:
    """Refuse options that were typed and that `mode` has no use for."""
    wrong = [option for name, option in _typed(context).items() if name not in taken]
    if wrong:
        raise UsageError(f"{mode} does not go with {', '.join(wrong)}; leave one of them out")


def require_mode(context: click.Context, mode: str, own: set[str]) -> None:
    """Refuse options that were typed without the `mode` that alone has a use for them."""
    wrong = [option for name, option in _typed(context).items() if name in own]
    if wrong:
        raise UsageError(f"{', '.join(wrong)} goes with {mode}; add it, or leave the option out")


def _typed(context: click.Context) -> dict[str, str]:
    """Return the options that were typed, by parameter."""
    typed = click.core.ParameterSource.COMMANDLINE
    return {
        parameter.name: parameter.opts[-1]
        for parameter in context.command.params
        if parameter.name and context.get_parameter_source(parameter.name) == typed
    }


def soak(
    bundles: tuple[Path, ...],
    extent: kinds.Extent,
    *,
    variants: tuple[str, ...],
    sessions: tuple[str, ...],
    provider: str | None,
    rate: float | None,
    pin: int | None,
    strict: bool,
    out: Path | None,
    summary: Path | None,
    as_json: bool,
) -> None:
    """Soak, show, keep; exit 3 where a slope is not zero, 130 where it was interrupted."""
    from edgeseq.bench.soak import soak as library
    from edgeseq.bench.soaking import SoakSettings
    from edgeseq.report.soak import soak_sheets

    settings = SoakSettings(steps=extent.steps, seconds=extent.seconds, rate_hz=rate, pin=pin)
    with Bar() as bar:
        bar.stage("soak")
        result = library(
            *bundles, settings=settings, variants=variants, sessions=sessions,
            provider=provider or "cpu", progress=_with_time_left(bar),
        )  # fmt: skip
    sheets = partial(soak_sheets, result)
    options.leave(
        result, sheets, out=out, summary=summary, title="edgeseq bench --soak", as_json=as_json
    )
    if result.interrupted:
        raise click.exceptions.Exit(130)
    result.require_promises(strict=strict)


def sweep(
    bundles: tuple[Path, ...],
    *,
    variants: tuple[str, ...],
    provider: str | None,
    rate: float | None,
    seconds: float | None,
    rounds: int,
    pin: int | None,
    dry_run: bool,
    out: Path | None,
    summary: Path | None,
    as_json: bool,
) -> None:
    """Sweep, show, keep; the best settings go into the manifest."""
    from edgeseq.bench.latency import HotSettings
    from edgeseq.bench.pace import PaceSettings
    from edgeseq.bench.sweep import sweep as library
    from edgeseq.bench.sweeping import SweepSettings
    from edgeseq.bundle import load_bundle
    from edgeseq.report.sweep import sweep_sheets

    if len(bundles) > 1 or len(variants) > 1:
        raise UsageError("--sweep is about one bundle and one --variant; sweep the others after it")
    bundle, variant = load_bundle(bundles[0]), next(iter(variants), None)
    rate = rate or max(10.0, bundle.variant(variant).contract.frame.rate_hz)
    seconds = 3.0 if seconds is None else seconds
    settings = SweepSettings(
        hot=HotSettings(rounds=rounds, pin=pin),
        pace=PaceSettings(rate_hz=rate, seconds=seconds, pin=pin) if seconds else None,
    )
    with Bar() as bar:

        def show(what: str, done: int, total: int) -> None:
            bar.stage(what)
            bar.update(done, total)

        result = library(
            bundle, variant, provider=provider or "cpu", settings=settings, write=not dry_run,
            progress=show,
        )  # fmt: skip
    sheets = partial(sweep_sheets, result)
    options.leave(
        result, sheets, out=out, summary=summary, title="edgeseq bench --sweep", as_json=as_json
    )


def _with_time_left(bar: Bar) -> Callable[[int, int], None]:
    from edgeseq.report.numbers import duration

    begin = time.monotonic()

    def update(done: int, total: int) -> None:
        left = (time.monotonic() - begin) / done * (total - done)
        bar.update(done, total, f"{duration(left)} left" if left else "")

    return update
