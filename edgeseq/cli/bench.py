"""`edgeseq bench`."""

from functools import partial
from pathlib import Path

import click

from edgeseq.cli import kinds, modes, options
from edgeseq.cli.progress import Bar
from edgeseq.errors import UsageError


@click.command(short_help="Measure latency and memory, hot and paced; compare side by side.")
@click.argument(
    "bundles", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUNDLE..."
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    help="Measure this variant (repeatable). Default: all that run frame by frame; of several "
    "bundles each one's preferred.",
)
@click.option(
    "--session",
    "sessions",
    multiple=True,
    metavar="CHANGE",
    help="Measure with these session settings (repeatable): threads=2,spinning=true, or "
    "onnxruntime for its defaults. Default: the bundle's.",
)
@options.provider
@options.device
@options.strict
@click.option(
    "--margin",
    type=kinds.PERCENT,
    metavar="PERCENT",
    help="Fail where a variant is slower than the first by more than this; with --baseline, than "
    "itself there.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="OLD.json",
    help="Fail where a variant got worse than in this result by more than --margin (default 5).",
)
@click.option(
    "--rate",
    type=float,
    metavar="HZ",
    help="Frames per second of the paced run. Default: the contract's, at least 10.",
)
@click.option(
    "--seconds",
    type=kinds.SECONDS,
    metavar="TIME",
    help="Length of each variant's paced run: 5, 10m, 1h; 0 leaves it out. Default: 5, with "
    "--device long enough to know a 99th percentile.",
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
@click.option(
    "--deadline",
    type=float,
    metavar="MS",
    help="How old a frame may be when answered, for the advice on chunks. Default: 4 periods.",
)
@click.option(
    "--streams",
    type=kinds.NUMBERS,
    metavar="N,N,...",
    help="Also advance so many streams in one call, such as 1,64,1024; with cuda beside the CPU.",
)
@click.option(
    "--allow-fallback",
    is_flag=True,
    help="Measure a model on cuda even if some of its nodes run on the CPU.",
)
@click.option(
    "--soak",
    type=kinds.EXTENT,
    metavar="EXTENT",
    help="Instead: run for 1e6 steps or 1h, hot or at --rate; exit 3 where latency, memory or "
    "outputs change with the steps.",
)
@click.option(
    "--sweep",
    is_flag=True,
    help="Instead: try each session setting; the best goes into the manifest, the price of each "
    "default is shown.",
)
@click.option("--dry-run", is_flag=True, help="With --sweep: leave the manifest as it is.")
@click.option("--pin", type=int, metavar="CORE", help="Stay on this core (Linux).")
@options.result
@options.summary
@options.as_json
@click.pass_context
def bench(
    context: click.Context,
    bundles: tuple[Path, ...],
    variants: tuple[str, ...],
    sessions: tuple[str, ...],
    provider: str | None,
    device: str | None,
    strict: bool,
    margin: float | None,
    baseline: Path | None,
    rate: float | None,
    seconds: float | None,
    rounds: int,
    fresh: int,
    deadline: float | None,
    streams: tuple[int, ...] | None,
    allow_fallback: bool,
    soak: kinds.Extent | None,
    sweep: bool,
    dry_run: bool,
    pin: int | None,
    out: Path | None,
    summary: Path | None,
    as_json: bool,
) -> None:
    """Measure BUNDLEs on this machine through the public `StreamSession.step()`.

    All variants, bundles and session settings run interleaved in one run, on real frames, the
    state fed back; the first is what the others are compared with. Exit 3 when a promise breaks:
    of --device (on another machine time and memory are not checked), --margin or --baseline.

    \b
    edgeseq bench bundle
    edgeseq bench bundle --variant int8 --device raspberry-pi-4 -o result.json
    edgeseq bench bundle --session onnxruntime --session threads=1
    edgeseq bench before after --margin 5
    edgeseq bench bundle --soak 1h -o soak.json
    edgeseq bench bundle --sweep
    """
    from edgeseq.extras import require

    require("onnxruntime")
    if soak:
        modes.require_only(context, "--soak", modes.SOAK)
        modes.soak(
            bundles, soak, variants=variants, sessions=sessions, provider=provider, rate=rate,
            pin=pin, strict=strict, out=out, summary=summary, as_json=as_json,
        )  # fmt: skip
        return
    if sweep:
        modes.require_only(context, "--sweep", modes.SWEEP)
        modes.sweep(
            bundles, variants=variants, provider=provider, rate=rate, seconds=seconds,
            rounds=rounds, pin=pin, dry_run=dry_run, out=out, summary=summary, as_json=as_json,
        )  # fmt: skip
        return
    if dry_run:
        raise UsageError("--dry-run goes with --sweep")
    from edgeseq.bench.latency import HotSettings
    from edgeseq.bench.measure import FLOOR_PROCESSES, BenchSettings
    from edgeseq.bench.pace import PaceSettings, enough_frames, segments
    from edgeseq.bench.run import bench
    from edgeseq.bench.throughput import ThroughputSettings
    from edgeseq.bundle import load_bundle
    from edgeseq.report.bench import bench_sheets

    loaded = [load_bundle(bundle) for bundle in bundles]
    rate = rate or max(10.0, loaded[0].variant().contract.frame.rate_hz)
    if seconds is None:
        seconds = enough_frames(rate) if device else 5.0
    settings = BenchSettings(
        hot=HotSettings(rounds=rounds, pin=pin),
        pace=PaceSettings(rate, seconds, segments(seconds), pin=pin) if seconds else None,
        fresh_processes=fresh,
        floor_processes=FLOOR_PROCESSES if out or baseline else 0,
        streams=ThroughputSettings(streams=streams) if streams else None,
    )
    with Bar() as bar:

        def show(what: str, done: int, total: int) -> None:
            bar.stage(what)
            bar.update(done, total)

        result = bench(
            *loaded, variants=variants, sessions=sessions, provider=provider, device=device,
            margin=margin, baseline=baseline, allow_fallback=allow_fallback, settings=settings,
            progress=show,
        )  # fmt: skip
    sheets = partial(bench_sheets, result, deadline_ms=deadline)
    options.leave(result, sheets, out=out, summary=summary, title="edgeseq bench", as_json=as_json)
    options.end_if_interrupted(result.interrupted)
    result.require_promises(strict=strict)
