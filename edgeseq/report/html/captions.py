"""What stands under a figure: what these very numbers show, never what they ought to show."""

from edgeseq.report.demo import DemoResult
from edgeseq.report.html.look import fastest, growth, looks, metric_of
from edgeseq.report.numbers import NOT_MEASURED, percent

RISING = 2.0
"""An error that is so many times larger in the second half of a stream is called rising."""


def accuracy(result: DemoResult) -> str:
    """Name the baselines, also those off the scale."""
    said = [f"{name} {score.value:.1f}" for name, score in result.task.baselines.items()]
    beside = ", ".join(said) or NOT_MEASURED
    return f"{metric_of(result)} on the test subjects. Hollow: int8. Baselines: {beside}."


def distribution(result: DemoResult) -> str:
    """Say how much longer a paced step takes than a hot one."""
    factors = [
        f"{look.variant.paced.step.p50_us / look.variant.hot.p50_us:.1f} times ({look.name})"
        for look in fastest(result)
        if look.variant.paced and look.variant.hot
    ]
    if not factors:
        return NOT_MEASURED
    rate = result.pace_settings.rate_hz if result.pace_settings else 0
    return (
        f"Fastest variants. At {rate:g} Hz a median step takes {' and '.join(factors)} as "
        "long as in a hot loop: between two frames the caches go cold."
    )


def position(result: DemoResult) -> str:
    """Say how each curve grows."""
    grown = [f"{curve.name} {curve.growth:.2f} times" for curve in result.positions]
    if not grown:
        return NOT_MEASURED
    last = result.positions[0].positions[-1]
    return f"From the first frame to frame {last}: {', '.join(grown)}. All in fp32, hot, in turns."


def memory(_: DemoResult) -> str:
    """Say where the rest of the peak goes."""
    return "Pale: int8. Python, NumPy and ONNX Runtime take the rest of a process's peak."


def cpu(_: DemoResult) -> str:
    """Say what is the model's."""
    return "Whole process, pacing loop included: what lies right of the line is the model's."


def drift(result: DemoResult) -> str:
    """Say whether errors add up, and how many decisions changed."""
    streams = [
        (look, look.variant.parity)
        for look in looks(result)
        if look.variant.parity and look.variant.parity.drift
    ]
    rising = [look.name for look, parity in streams if (growth(parity) or 0) > RISING]
    errors = f"Errors rise: {', '.join(rising)}." if rising else "Errors do not add up."
    changed = [f"{look.name} {percent(parity.changed_decisions)}" for look, parity in streams]
    return f"{errors} Decisions changed: {', '.join(changed) or NOT_MEASURED}."
