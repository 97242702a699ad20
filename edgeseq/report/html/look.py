"""What a model and a variant are called and how they look: the same in every table and figure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgeseq.measured import Accuracy, Parity
from edgeseq.report.demo import DemoResult, ModelReport, VariantReport
from edgeseq.report.numbers import short

NAMES = {"lstm": "LSTM", "gru": "GRU", "transformer": "Transformer"}
ARTICLES = {"lstm": "an"}


@dataclass(frozen=True)
class Look:
    """One variant with the name and the class it is shown under."""

    model: ModelReport
    variant: VariantReport
    name: str
    """`LSTM int8`"""
    class_: str
    """`c0` for the first model, `c1` for the second; `int8` is drawn hollow or dashed."""

    @property
    def shipped(self) -> bool:
        """Whether the bundle prefers it."""
        return self.variant.name == self.model.preferred


def family_name(family: str) -> str:
    """Return a family as people write it."""
    return NAMES.get(family, family)


def a_family(family: str) -> str:
    """Return a family with its article."""
    return f"{ARTICLES.get(family, 'a')} {family_name(family)}"


def looks(result: DemoResult) -> Iterator[Look]:
    """Yield every variant of every model, in order."""
    for number, model in enumerate(result.models):
        for variant in model.variants:
            name = f"{family_name(model.family)} {variant.name}"
            yield Look(model, variant, name, class_of(number, variant))


def class_of(number: int, variant: VariantReport) -> str:
    """Return the class of a variant of the model with this number."""
    return f"c{number}" + (" int8" if variant.precision == "int8" else "")


def shipped(result: DemoResult) -> list[Look]:
    """Return each model's preferred variant."""
    return [look for look in looks(result) if look.shipped]


def fastest(result: DemoResult) -> list[Look]:
    """Return each model's fastest variant."""
    return [look for look in looks(result) if look.variant.name == look.model.fastest]


def growth(parity: Parity) -> float | None:
    """Return how much larger the RMS error is in the second half of the stream.

    Halves, because parts of a stream differ in how hard they are to round.
    """
    middle = len(parity.drift) // 2
    first, second = (
        math.sqrt(sum(error**2 for error in half))
        for half in (parity.drift[:middle], parity.drift[len(parity.drift) - middle :])
    )
    return second / first if first else None


def scored(accuracy: Accuracy) -> str:
    """Return a score with its metric: `88.3 % window accuracy`, `MAE mg/dL 10.2`."""
    if accuracy.metric.endswith(" %"):
        return f"{accuracy.value:.1f} % {accuracy.metric.removesuffix(' %')}"
    return f"{accuracy.metric} {short(accuracy.value)}"


def metric_of(result: DemoResult) -> str:
    """Return the name of the task's metric, with its unit."""
    for look in looks(result):
        if look.variant.accuracy:
            return look.variant.accuracy.metric
    return "accuracy"
