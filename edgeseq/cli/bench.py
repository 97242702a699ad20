"""`edgeseq bench`."""

from pathlib import Path

import click

from edgeseq.cli import options
from edgeseq.cli.progress import Bar


@click.command(short_help="Measure latency and memory, hot and paced.")
@options.bundle
@click.option(
    "--variant",
    "variants",
    multiple=True,
    help="Measure this variant (repeatable; the first is the reference). "
    "Default: all that run frame by frame.",
)
@options.provider
@click.option("--device", metavar="NAME", help="Apply a profile's session settings and budget.")
@click.option("--strict", is_flag=True, help="A promise that could not be checked fails, too.")
@click.option(
    "--rate",
    type=float,
    metavar="HZ",
    help="Frames per second of the paced run. Default: the contract's, at least 10.",
)
@click.option(
    "--seconds",
    type=float,
    default=5.0,
    show_default=True,
    help="Length of each variant's paced run; 0 leaves it out.",
)
@click.option(
    "--rounds",
    type=int,
    default=40,
    show_default=True,
    help="Interleaved rounds of 250 hot steps each.",
)
@click.option(
    "--fresh",
    type=int,
    default=5,
    show_default=True,
    help="Fresh processes for memory and cold start; 0 leaves both out.",
)
@click.option("--pin", type=int, metavar="CORE", help="Stay on this core (Linux).")
@options.as_json
def bench(
    bundle: Path,
    variants: tuple[str, ...],
    provider: str | None,
    device: str | None,
    strict: bool,
    rate: float | None,
    seconds: float,
    rounds: int,
    fresh: int,
    pin: int | None,
    as_json: bool,
) -> None:
    """Measure BUNDLE on this machine through the public `StreamSession.step()`.

    Variants run interleaved with real frames, the state fed back. With --device a promise that
    breaks is exit 3; on a machine that is not that device, time and memory are not checked.

    \b
    edgeseq bench bundle
    edgeseq bench bundle --variant int8 --device raspberry-pi-4 --json
    """
    from edgeseq.extras import require

    require("onnxruntime")
    from edgeseq.bench.latency import HotSettings
    from edgeseq.bench.pace import PaceSettings
    from edgeseq.bench.run import BenchSettings, bench
    from edgeseq.bundle import load_bundle
    from edgeseq.report.text import bench_tables

    loaded = load_bundle(bundle)
    rate = rate or max(10.0, loaded.variant().contract.frame.rate_hz)
    settings = BenchSettings(
        hot=HotSettings(rounds=rounds, pin=pin),
        pace=PaceSettings(rate_hz=rate, seconds=seconds, pin=pin) if seconds else None,
        fresh_processes=fresh,
    )
    with Bar() as bar:

        def show(what: str, done: int, total: int) -> None:
            bar.stage(what)
            bar.update(done, total)

        result = bench(
            loaded, variants=variants, provider=provider, device=device, settings=settings,
            progress=show,
        )  # fmt: skip
    options.show(result.to_json() if as_json else bench_tables(result))
    result.require_promises(strict=strict)
