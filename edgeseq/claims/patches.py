"""Claim `patches`: "attention over patches beats convolution on images".

At this scale: digits of 28 x 28 pixels, as many parameters each, a ViT over patches, a causal CNN
over rows, and an LSTM that reads row by row.
"""

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import BETTER, Claim, better, part
from edgeseq.claims.figures import Bars, Figure
from edgeseq.claims.panels import NAMES, bar
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part

TASK = "images"
FAMILIES = ("vit", "cnn", "lstm")


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return all three."""
    return tuple(cell for family in FAMILIES for cell in plan.trained(TASK, family))


def judge(plan: Plan) -> tuple[Part, ...]:
    """Compare the ViT with either of the others."""
    return tuple(
        part(
            f"Attention over patches is better than {what}.",
            BETTER,
            plan.gain(plan.trained(TASK, "vit"), plan.trained(TASK, rival)),
            better,
        )
        for rival, what in (("cnn", "convolution"), ("lstm", "an LSTM over rows"))
    )


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show the three accuracies."""
    levels = [(family, plan.level(plan.trained(TASK, family), "%")) for family in FAMILIES]
    bars = tuple(bar(NAMES[family], found) for family, found in levels if found)
    caption = "Accuracy on images that were never seen; lines are 95 % intervals."
    return (Bars("Images", "accuracy, %", bars, caption),)


CLAIM = Claim(
    name="patches",
    sentence="Attention over patches beats convolution on images.",
    protocol="A ViT over patches, a CNN and an LSTM over rows with the same number of parameters, "
    "trained and tuned alike on images of handwritten digits.",
    metrics=("accuracy on test images, paired by seed",),
    rules=(BETTER, BETTER),
    grid=grid,
    judge=judge,
    figures=figures,
)
