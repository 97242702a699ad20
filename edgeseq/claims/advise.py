"""Which family, size and precision to take: ranked by what was measured, or "I don't know".

The rule, declared here: of what was measured on the task (or on every task of its kind) at about
that share of the data, and fits every budget, whoever is not worse than the best by more than what
matters (`MARGIN`; the whole 95 % interval of paired differences says so), the cheapest. Cheap is
CPU time of a stream; where that is not known of all of them the step, then the file, then the
number of parameters. A decision that depends on frames further back than the task's own windows
reach is judged by `recall` and `adding` at that distance, too.
"""

from dataclasses import dataclass

from edgeseq.claims.because import disagrees, nothing_fits, reasons, would_change
from edgeseq.claims.essay import Essay, essay
from edgeseq.claims.evidence import Evidence
from edgeseq.claims.ranking import Ranked, pool_of, rank
from edgeseq.claims.scope import Question, scope


@dataclass(frozen=True)
class Advice:
    """An answer, with why; where `unknown` says something there is none."""

    question: Question
    essay: Essay | None
    """What the essay's rule says; none: the question does not say enough for it."""
    unknown: tuple[str, ...] = ()
    """What was not measured, and the command that would find out."""
    tasks: tuple[tuple[str, float], ...] = ()
    """Tasks with the share of their data that was measured."""
    ranked: tuple[Ranked, ...] = ()
    """The choice first, then who is as good by cost, then the others by score."""
    reasons: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()
    disagrees: str = ""
    """Where the measurements disagree with the essay, in numbers; empty: they do not."""

    @property
    def choice(self) -> Ranked | None:
        """What to take."""
        return self.ranked[0] if self.ranked else None

    @property
    def runner_up(self) -> Ranked | None:
        """What to take otherwise."""
        return self.ranked[1] if len(self.ranked) > 1 else None


def advise(question: Question, evidence: Evidence) -> Advice:
    """Answer `question` from what was measured."""
    rule = _essay(question)
    grounds, unknown = scope(question, evidence)
    if unknown:
        return Advice(question, rule, unknown)
    pool = pool_of(grounds, evidence)
    ranked = rank(question, grounds, evidence, pool)
    if not ranked:
        return Advice(question, rule, (nothing_fits(question, pool),))
    asked = [ground for ground in grounds if not ground.distance]
    return Advice(
        question,
        rule,
        (),
        tuple((ground.task, ground.share) for ground in asked),
        ranked,
        reasons(question, grounds, evidence, ranked),
        would_change(question, grounds, evidence, ranked),
        disagrees(rule, ranked),
    )


def _essay(question: Question) -> Essay | None:
    if question.streaming is None or question.length is None or question.data is None:
        return None
    return essay(
        streaming=question.streaming, length=question.length, data=question.data,
        device=question.device, kib=question.max_kib, us=question.max_us,
        cpu=question.max_cpu_s_per_hour,
    )  # fmt: skip
