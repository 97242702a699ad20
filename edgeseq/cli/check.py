"""`edgeseq check`."""

from pathlib import Path

import click

from edgeseq.cli import options
from edgeseq.cli.progress import Bar


@click.command(short_help="Prove that a bundle streams right; exit 3 if not.")
@options.bundle
@click.option("--variant", "variants", multiple=True, help="Check only this variant (repeatable).")
@options.provider
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the random chunks.")
@options.device
@options.strict
@options.summary
@options.as_json
def check(
    bundle: Path,
    variants: tuple[str, ...],
    provider: str | None,
    seed: int,
    device: str | None,
    strict: bool,
    summary: Path | None,
    as_json: bool,
) -> None:
    """Prove, from BUNDLE alone, that whole sequence = frame by frame = any chunking.

    Also: streams batched = alone, reset = fresh, snapshot = never interrupted, int8 within its
    drift and the same on every CPU. Needs no PyTorch. Exit 3 when a promise breaks, saying which,
    where and by how much; with --device also when size, state or operators are not what the device
    allows, or int8 would saturate there.

    \b
    edgeseq check bundle
    edgeseq check bundle --device raspberry-pi-4
    """
    from edgeseq.extras import require

    require("onnxruntime")
    from edgeseq.bundle import load_bundle
    from edgeseq.check import check_bundle
    from edgeseq.devices import load_device
    from edgeseq.report.check import check_sheets, check_table

    with Bar() as bar:
        report = check_bundle(
            load_bundle(bundle), variants or None, provider=provider or "cpu", seed=seed,
            device=load_device(device) if device else None, progress=bar.stage,
        )  # fmt: skip
    options.summarise(summary, check_sheets(report), title="edgeseq check")
    options.show(report.to_json() if as_json else check_table(report))
    report.require_kept(strict=strict)
