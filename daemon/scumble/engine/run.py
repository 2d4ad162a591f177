"""One job on its way through the levels: its iterations, and what is told of them."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from scumble.engine import canvas as easel_canvas
from scumble.engine import optimize
from scumble.engine.accelerator import Look, Repeated, accelerator
from scumble.engine.bands import strips
from scumble.engine.canvas import Canvas
from scumble.engine.checkpoint import Checkpoint
from scumble.engine.compose import Composer
from scumble.engine.job import Job
from scumble.engine.objective import Evaluation, Objective
from scumble.engine.optimize import Descent, Patience
from scumble.engine.schedule import Plan
from scumble.recipe import Engine, Optimizer, Start


@dataclass(frozen=True)
class Step:
    """What is known after an iteration. `iteration` counts over all levels from 1; `losses` by kind, and `total`."""

    iteration: int
    iterations: int
    level: int
    levels: int
    width: int
    height: int
    losses: Mapping[str, float]
    progress: float
    seconds_left: float
    look: Callable[[], Look]
    """Call it, only before the next iteration, to begin to fetch the box as it looks now, while the painting goes on;
    the answer waits for it: (height, width, 3) float32, 0..1."""
    save: Callable[[], Checkpoint]
    """Call it for what the job needs to go on from here; only before the next iteration."""

    def preview(self) -> np.ndarray:
        """The box as it looks now: `look`, and wait."""
        return self.look()()


LEAST_APART = 5
"""Iterations between two searches for neighbours, at least: fewer do not move the picture enough to find others."""

OnStep = Callable[[Step], bool | None]
"""Told after every iteration; a true answer stops the painting and keeps what is there."""


class Run:
    """The progress of one job over its levels; with `resumed` it goes on from there.

    A level that ends by itself takes what it did not need out of `plan`.
    """

    def __init__(self, job: Job, todo: Plan, on_step: OnStep, resumed: Checkpoint | None) -> None:
        self._job, self._todo, self._on_step, self._resumed = job, todo, on_step, resumed
        self.plan = replace(todo, levels=resumed.levels) if resumed else todo
        self._done = resumed.work if resumed else 0
        self._paces: deque[float] = deque(maxlen=5)
        self.losses: list[Mapping[str, float]] = list(resumed.losses) if resumed else []
        self.stopped = False

    def mark(self) -> tuple[int, int]:
        """Where the job is now, for `return_to`."""
        return self._done, len(self.losses)

    def return_to(self, mark: tuple[int, int]) -> None:
        """Forget what was done since a mark."""
        self._done, count = mark
        del self.losses[count:]

    def descend(self, before: Tensor, canvas: Canvas, composer: Composer, index: int) -> Tensor:
        """One level's iterations from what came `before`, a picture of any size, or from the checkpoint if that is in
        this level; the picture to keep."""
        level, recipe = self._todo.levels[index], self._job.recipe
        objective = composer.compose(canvas)
        x = canvas.bring(before)
        evaluate = self._evaluation(objective, x)
        rounds = _rounds(level.iterations, recipe.matchings) if objective.matches else set()
        last_round = max(rounds, default=0)  # each is for another loss
        descent, patience = self._descent(canvas), Patience(recipe.least_gain)
        begin = 0
        if self._resumed is not None and self._resumed.level == index:
            begin = self._resumed.iteration
            x = self._resumed.picture.to(x.device, copy=True)
            self._match_again(self._resumed, objective, x)
            descent.restore(self._resumed.state, x.device)
            for losses in self.losses[len(self.losses) - max(0, begin - last_round) :]:
                patience.ends(losses["total"])
        for iteration in range(begin, self.plan.levels[index].iterations):
            began = time.perf_counter()
            if iteration in rounds:
                x = self._match(x, objective, first=index == 0 and iteration == 0)
                evaluate.forget()
                if recipe.optimizer is Optimizer.LBFGS:  # what it learnt was of another loss
                    descent = self._descent(canvas)
            evaluation = evaluate(x)
            x = descent.step(x, evaluation.total, evaluation.gradient, iteration / level.iterations)
            losses = {**evaluation.parts, "total": evaluation.total}
            del evaluation  # a gradient is as large as the picture
            if iteration >= last_round and patience.ends(losses["total"]):
                self._end(index, iteration + 1)
            seconds = time.perf_counter() - began
            save = partial(self._checkpoint, x, descent, objective, index, iteration + 1)
            self._tell(x, canvas, losses, index, save, seconds)
            del save
            if self.stopped or iteration + 1 == self.plan.levels[index].iterations:
                break
        evaluate.forget()  # a recording holds as much memory as a step
        x = descent.finish(x)
        del descent  # which has as much as lies beside the picture now
        return x if self.stopped else objective.lay(x)

    def passed(self, x: Tensor, canvas: Canvas, seconds: float) -> None:
        """Tell of a picture that came about in one pass."""
        save = partial(self._checkpoint, x, None, None, 0, 1)
        self._tell(x, canvas, {}, 0, save, seconds)

    def _end(self, index: int, iterations: int) -> None:
        """Take from the plan what a level need not do after so many iterations."""
        levels = list(self.plan.levels)
        levels[index] = replace(levels[index], iterations=iterations)
        self.plan = replace(self.plan, levels=tuple(levels))

    def _evaluation(self, objective: Objective, x: Tensor) -> Repeated[Evaluation]:
        if not objective.in_one_piece:
            return Repeated(objective.evaluate)
        pixels = x.shape[2] * x.shape[3]
        return accelerator(x.device).repeated(objective.evaluate, Evaluation.copy, pixels)

    def _descent(self, canvas: Canvas) -> Descent:
        recipe = self._job.recipe
        return optimize.make(recipe.optimizer, recipe.learning_rate, canvas.low, canvas.high)

    def _match(self, x: Tensor, objective: Objective, *, first: bool) -> Tensor:
        recipe = self._job.recipe
        begun = recipe.start is Start.PICTURE or recipe.engine is Engine.FAST_OPTIMISE
        from_content = recipe.start is Start.CONTENT and not begun
        voted = objective.match(x, by_content_alone=first and from_content)
        # what a video's last frame does not show has to be painted first
        return x if first and begun and not objective.is_steady else voted

    def _match_again(self, resumed: Checkpoint, objective: Objective, x: Tensor) -> None:
        """Match as in the last round before the checkpoint; the picture has long moved to its votes."""
        if not resumed.matched:
            return
        try:
            objective.recall(resumed.matched)
        except ValueError:  # of a style that has become another meanwhile
            objective.match(x, by_content_alone=False)

    def _tell(
        self,
        x: Tensor,
        canvas: Canvas,
        losses: Mapping[str, float],
        index: int,
        save: Callable[[], Checkpoint],
        seconds: float,
    ) -> None:
        level = self.plan.levels[index]
        work = sum(each.work for each in self.plan.levels)
        pixels = level.width * level.height
        self._done += pixels
        # the pace changes from minute to minute on a shared machine, and the first iteration is slow
        self._paces.append(seconds / pixels)
        self.losses.append(losses)
        step = Step(
            iteration=len(self.losses),
            iterations=sum(each.iterations for each in self.plan.levels),
            level=index + 1,
            levels=len(self.plan.levels),
            width=level.width,
            height=level.height,
            losses=losses,
            progress=self._done / work,
            seconds_left=(work - self._done) * statistics.median(self._paces),
            look=lambda: _look(canvas, x),
            save=save,
        )
        if self._on_step(step):
            self.stopped = True

    def _checkpoint(
        self, x: Tensor, descent: Descent | None, objective: Objective | None, index: int, iteration: int
    ) -> Checkpoint:
        matched = None
        if objective is not None and objective.matches:
            matched = tuple(_own(field) for field in objective.matches_found)
        return Checkpoint(
            level=index,
            iteration=iteration,
            picture=_own(x),
            optimizer=self._job.recipe.optimizer,
            state={} if descent is None else {name: _own(tensor) for name, tensor in descent.state().items()},
            losses=tuple(self.losses),
            levels=self.plan.levels,
            box=self.plan.box,
            matched=matched,
        )


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


def _rounds(iterations: int, count: int) -> set[int]:
    """The iterations before which neighbours are looked for: evenly spread, the first included, none soon after
    another."""
    count = min(count, max(1, iterations // LEAST_APART))
    return {iterations * each // count for each in range(count)}


def _look(canvas: Canvas, x: Tensor) -> Look:
    found, mix = x.new_empty(*x.shape[2:], 3), canvas.mix
    for rows in strips(x):
        there = (slice(None), slice(None), rows)
        content, keep = canvas.content[there], None if canvas.keep is None else canvas.keep[there]
        shown = easel_canvas.show(content, x[there].clamp(0, 1), keep)
        found[rows] = torch.lerp(content, shown, mix[there])[0].permute(1, 2, 0)
    return accelerator(x.device).look(found)
