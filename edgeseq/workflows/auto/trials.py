"""What is tried, and in which order: shipped recipes, each weight alone, then the walk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgeseq.quantize.mix import BITS, mix, quantization
from edgeseq.quantize.search import (
    FP32,
    Assignment,
    Landscape,
    alone,
    choose_ladder,
    climb,
    one_at_a_time,
    uniform,
)
from edgeseq.recipes import Recipe, Scheme, list_recipes, load_recipe
from edgeseq.report.auto import Candidate, Sensitivity
from edgeseq.workflows.auto.lab import Lab
from edgeseq.workflows.auto.limits import Limits

Progress = Callable[[str], None]

SUMMARY = "found by edgeseq quantize --auto"


def recipes_for_cpu(*, cpu_dependent: bool) -> list[Recipe]:
    """Return the shipped recipes that quantize for a CPU, fp16 being for GPUs.

    With `cpu_dependent` also those whose result depends on the CPU.
    """
    loaded = [load_recipe(name) for name in list_recipes()]
    return [
        recipe
        for recipe in loaded
        if (how := recipe.quantize) and how.method != "half" and (how.portable or cpu_dependent)
    ]


@dataclass
class Trials:
    """Tries everything once; what came of it is in its lists."""

    lab: Lab
    limits: Limits
    say: Progress
    recipes: dict[str, Recipe] = field(default_factory=dict)
    """Of every candidate but fp32, by name."""
    candidates: list[Candidate] = field(default_factory=list)
    sensitivities: list[Sensitivity] = field(default_factory=list)
    ladder: tuple[Scheme, ...] = (FP32,)

    def run(self, recipes: Sequence[Recipe]) -> None:
        """Try `recipes`, each weight alone in their schemes, and the walk between these."""
        self.say("fp32")
        every = uniform(list(self.lab.elements), FP32)
        self.candidates.append(Candidate(FP32, "export", every, self.lab.reference()))
        for number, recipe in enumerate(recipes, 1):
            self.say(f"{recipe.name} (recipe {number} of {len(recipes)})")
            self._try(recipe, "recipe")
        bases = self._bases()
        noise = self._listen(bases)
        whole = {
            scheme: self._of(recipe.name).noise or 0.0
            for scheme, recipe in bases.items()
            if all((weight, scheme) in noise for weight in self.lab.elements)
        }
        self.ladder = choose_ladder(BITS, whole)
        if len(self.ladder) > 1:
            climb(Landscape(self.lab.elements, self.ladder, BITS, noise), self._step(bases))

    def _try(self, recipe: Recipe, made_by: Literal["recipe", "walk"]) -> Candidate:
        how, finding = quantization(recipe), self.lab.judge(recipe)
        schemes = {weight: how.scheme(weight) for weight in self.lab.elements}
        broken = self.limits.broken(recipe, finding)
        self.recipes[recipe.name] = recipe
        self.candidates.append(Candidate(recipe.name, made_by, schemes, finding, broken))
        return self.candidates[-1]

    def _bases(self) -> dict[Scheme, Recipe]:
        """Return the least noisy recipe of each scheme that stands for all weights in it."""
        bases: dict[Scheme, Recipe] = {}
        heard = [one for one in self.candidates if one.noise is not None]
        for one in sorted(heard, key=lambda one: (one.noise, one.name)):
            schemes = set(one.schemes.values())
            if len(schemes) == 1:
                bases.setdefault(schemes.pop(), self.recipes[one.name])
        return bases

    def _listen(self, bases: Mapping[Scheme, Recipe]) -> dict[tuple[str, Scheme], float]:
        """Quantize each weight alone in each scheme; return the noises of what could be made."""
        pairs = list(one_at_a_time(list(self.lab.elements), list(bases)))
        for number, (weight, scheme) in enumerate(pairs, 1):
            self.say(f"{weight} alone in {scheme} ({number} of {len(pairs)})")
            assignment = alone(list(self.lab.elements), weight, scheme)
            finding = self.lab.listen(self._mix(assignment, bases, f"{weight}-alone"))
            parts = weight, scheme, self.lab.elements[weight], finding.parity, finding.refused
            self.sensitivities.append(Sensitivity(*parts))
        return {
            (one.weight, one.scheme): one.noise
            for one in self.sensitivities
            if one.noise is not None
        }

    def _step(self, bases: Mapping[Scheme, Recipe]) -> Callable[[Assignment], Candidate]:
        """Return what judges a step of the walk; its first one may be a recipe that was tried."""

        def judge(assignment: Assignment) -> Candidate:
            schemes = set(assignment.values())
            if len(schemes) == 1:
                return self._of(bases[schemes.pop()].name)
            number = sum(one.made_by == "walk" for one in self.candidates) + 1
            self.say(f"step {number} of the walk")
            return self._try(self._mix(assignment, bases, f"mixed-{number}"), "walk")

        return judge

    def _mix(self, assignment: Assignment, bases: Mapping[Scheme, Recipe], name: str) -> Recipe:
        return mix(assignment, bases, self.lab.elements, name=name, summary=SUMMARY)

    def _of(self, name: str) -> Candidate:
        return next(one for one in self.candidates if one.name == name)
