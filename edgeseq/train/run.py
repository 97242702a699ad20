"""One training run in memory: model, optimizer, and what was seen so far."""

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edgeseq.errors import EdgeseqError
from edgeseq.models import SequenceModel, Spec
from edgeseq.tasks.base import Recording, Task
from edgeseq.train.checkpoint import Checkpoint, Look, Tuned
from edgeseq.train.crops import Crops
from edgeseq.train.determinism import seed_torch
from edgeseq.train.normalise import build_model
from edgeseq.train.predict import predictor
from edgeseq.train.schedule import one_cycle
from edgeseq.train.settings import FitSettings
from edgeseq.train.state import RunState
from edgeseq.train.step import Learner

Progress = Callable[[int, int, float, float | None], None]
"""Called after every step with step, steps, training loss and best validation score so far."""

SETTLED = 0.8
"""After this share of the steps looks compete: the learning rate is below 1/7 of its peak."""

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Start:
    """What a fine-tuning goes on from.

    It trains on the people of the validation split, too, who have been trained on before. So
    nobody is left to choose weights by: it is of fixed length and keeps its last.
    """

    model: SequenceModel
    """Its weights and constants; it is not changed."""
    twin: Callable[[SequenceModel], SequenceModel]
    """Returns what is trained and judged: another forward on the parameters of what it is given."""
    batches: int
    """Drawn before; the next is another one."""
    tuned: Tuned
    """For the record."""


class Run:
    """Takes steps, looks at the validation split, and can be stored between two looks."""

    def __init__(
        self,
        task: Task,
        spec: Spec,
        settings: FitSettings,
        device: torch.device,
        start: Start | None = None,
    ) -> None:
        self.task, self.settings, self.device, self.start = task, settings, device, start
        self.split = task.split(settings.fold)
        seed_torch(settings.seed)
        model = copy.deepcopy(start.model) if start else build_model(task, spec, self.split.train)
        self.model = model.to(device)
        self.forward = start.twin(self.model) if start else self.model
        self.learner = self._learner()
        everyone = (*self.split.train, *self.split.validation)
        self.crops = self._crops(everyone if start else self.split.train)
        self.step, self.waited, self.seconds = 0, 0, 0.0
        self.history: list[Look] = []
        self.best: Look | None = None
        self.best_weights: dict[str, Tensor] = {}

    def _learner(self) -> Learner:
        task = self.task
        return Learner(self.model, self.settings, task.frame, task.output, self.forward)

    def _crops(self, recordings: Sequence[Recording]) -> Crops:
        settings = self.settings
        return Crops(
            self.task,
            recordings,
            length=settings.crop,
            batch=settings.batch,
            seed=settings.seed,
            augment=settings.augment,
        )

    def train(self, after_look: Callable[[], None], progress: Progress | None = None) -> None:
        """Step until the end or until patience is out, looking at the validation split."""
        settings, losses = self.settings, list[float]()
        started = time.perf_counter() - self.seconds
        self.forward.train()
        while self.step < settings.steps and self.waited < settings.patience:
            rate = one_cycle(self.step, settings.steps, warmup=settings.warmup)
            losses.append(self._learn(self.step, rate))
            self.step += 1
            last = losses[-1]
            if self.step % settings.evaluate_every == 0 or self.step == settings.steps:
                self._look(sum(losses) / len(losses))
                losses.clear()
                self.seconds = time.perf_counter() - started
                after_look()
            self._tell(progress, self.step, last)

    def refit(self, progress: Progress | None = None) -> None:
        """Go on from the best weights for one shorter cycle, with the validation people too."""
        settings, started = self.settings, time.perf_counter()
        self.learner = self._learner()
        self.crops = self._crops((*self.split.train, *self.split.validation))
        self.model.train()
        for step in range(settings.refit_steps):
            rate = one_cycle(step, settings.refit_steps, warmup=settings.warmup)
            loss = self._learn(settings.steps + step, rate)
            self._tell(progress, settings.steps + step + 1, loss)
        self.model.eval()
        self.seconds += time.perf_counter() - started

    def _tell(self, progress: Progress | None, step: int, loss: float) -> None:
        if progress is not None:
            chosen = None if self.start else self.best
            best = None if chosen is None else chosen.validation
            progress(step, self.settings.steps + self.settings.refit_steps, loss, best)

    def _learn(self, step: int, rate: float) -> float:
        """Learn from one batch at `rate` times the peak learning rate; return its loss."""
        batch = step + (self.start.batches if self.start else 0)
        seed_torch(self.settings.seed, batch)  # for dropout
        frames, target = (torch.from_numpy(part).to(self.device) for part in self.crops(batch))
        return self._finite(self.learner.learn(frames, target, rate), step + 1)

    def _finite(self, loss: float, step: int) -> float:
        if not math.isfinite(loss):
            raise EdgeseqError(
                f"training diverged: the loss is {loss} at step {step}. Lower the learning "
                f"rate, now {self.settings.lr:g}, or look for NaN and huge values in the data"
            )
        return loss

    def _look(self, train_loss: float) -> None:
        """Score the validation split, and keep the weights if they are the best so far.

        Until the schedule has settled every look replaces the one before: weights at a high
        learning rate win by luck, which does not carry over to other people. Of equal looks the
        later one is kept. Where all people are trained on, the last.
        """
        score = self.task.score(predictor(self.forward), self.split.validation)
        look = Look(self.step, train_loss, score.value)
        self.history.append(look)
        sign = 1 if score.higher_is_better else -1
        settled = self.step > SETTLED * self.settings.steps and self.start is None
        if self.best is None or not settled or sign * (score.value - self.best.validation) >= 0:
            self.best, self.waited = look, 0
            self.best_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
        else:
            self.waited += 1

    def state(self, identity: dict[str, Any]) -> RunState:
        """Return all that is needed to go on from here."""
        assert self.best is not None  # stored only after a look
        progress = {
            "step": self.step,
            "waited": self.waited,
            "seconds": self.seconds,
            "best": self.best.step,
            "history": [dataclasses.asdict(look) for look in self.history],
        }
        tensors = _prefixed("model", self.model.state_dict())
        tensors |= _prefixed("best", self.best_weights)
        for name, parameter in self.model.named_parameters():
            tensors |= _prefixed(f"optimizer.{name}", self.learner.optimizer.state[parameter])
        return RunState(identity, progress, tensors)

    def restore(self, state: RunState) -> None:
        """Go back to `state`."""
        progress, tensors = state.progress, state.tensors
        self.step, self.waited = progress["step"], progress["waited"]
        self.seconds = progress["seconds"]
        self.history = [Look(**look) for look in progress["history"]]
        self.best = next(look for look in self.history if look.step == progress["best"])
        self.model.load_state_dict(_under("model", tensors))
        self.best_weights = _under("best", tensors)
        for name, parameter in self.model.named_parameters():
            moments = _under(f"optimizer.{name}", tensors)
            self.learner.optimizer.state[parameter] = {
                key: moments[key].to(self.device) for key in _MOMENTS
            }

    def finish(self, versions: dict[str, str], progress: Progress | None = None) -> Checkpoint:
        """Return the model to be kept, and its scores; the test split is looked at only here.

        The validation score is that of the best look: afterwards its people have been trained on.
        A fine-tuning has none: they were before.
        """
        assert self.best is not None  # the last step is always looked at
        self.model.load_state_dict(self.best_weights)
        self.model.eval()
        predict = predictor(self.forward.eval())
        scores = {}
        if self.start is None:
            scores["validation"] = self.task.score(predict, self.split.validation)
            self.refit(progress)
        test = self.task.score(predict, self.split.test)
        streamed = self.task.streamed(predict, self.split.test)
        scores["test"] = dataclasses.replace(test, streamed=streamed)
        return Checkpoint(
            model=self.model.cpu(),
            task=self.task.name,
            settings=self.settings,
            scores=scores,
            history=tuple(self.history),
            best_step=self.best.step,
            seconds=self.seconds,
            versions=versions,
            tuned=self.start.tuned if self.start else None,
        )


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
