"""Where a painting has come to, as a file: a job that is interrupted goes on from there, in another process too.

A checkpoint holds the picture after an iteration, what the optimiser has learnt, and the losses so far. With neighbours
it also holds those that were last found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from scumble.engine.box import Box
from scumble.engine.schedule import Level, Plan
from scumble.engine.sealed import seal, unseal
from scumble.home import write_private
from scumble.recipe import Optimizer

_KIND = "scumble checkpoint 2"
_STATE, _MATCHED = "state.", "matched."


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A painting after `iteration` iterations of level `level` (counted from 0); all tensors are on the CPU.

    `picture` is (1, 3, height, width), float32; `matched` holds what `Objective.recall` takes, or is None where no
    neighbours are looked for.
    `state` is the optimiser's own. `losses` are those of all iterations, `levels` and `box` those of the plan, where
    levels up to this one may have ended by themselves.
    """

    level: int
    iteration: int
    picture: Tensor
    optimizer: Optimizer
    state: Mapping[str, Tensor]
    losses: tuple[Mapping[str, float], ...]
    levels: tuple[Level, ...]
    box: Box
    matched: tuple[Tensor, ...] | None = None

    @property
    def work(self) -> int:
        """What has been done, in pixels times iterations."""
        here = self.levels[self.level]
        return sum(level.work for level in self.levels[: self.level]) + here.width * here.height * self.iteration

    def fits(self, plan: Plan, optimizer: Optimizer, *, matches: bool) -> bool:
        """Whether a job with this plan can go on from here; `matches` tells whether it looks for neighbours."""
        if (self.box, self.optimizer) != (plan.box, optimizer) or not self._fits_levels(plan.levels):
            return False
        if not (1 <= self.iteration <= self.levels[self.level].iterations):
            return False
        here = self.levels[self.level]
        return (
            (self.matched is not None) == matches
            and len(self.losses) == sum(level.iterations for level in self.levels[: self.level]) + self.iteration
            and self.picture.shape == (1, 3, here.height, here.width)
        )

    def _fits_levels(self, planned: tuple[Level, ...]) -> bool:
        if len(self.levels) != len(planned) or not 0 <= self.level < len(planned):
            return False
        ended = [
            own.iterations <= level.iterations and replace(level, iterations=own.iterations) == own
            for own, level in zip(self.levels[: self.level + 1], planned, strict=False)
        ]
        return all(ended) and self.levels[self.level + 1 :] == planned[self.level + 1 :]

    def write(self, path: Path) -> None:
        """Write it whole or not at all, on the disk when this returns; raises OSError."""
        kinds = sorted({kind for losses in self.losses for kind in losses})
        facts = {
            "level": self.level,
            "iteration": self.iteration,
            "optimizer": self.optimizer.value,
            "levels": [astuple(level) for level in self.levels],
            "box": astuple(self.box),
            "kinds": kinds,
            "matches": self.matched is not None,
        }
        tensors = {"picture": self.picture, **_table(self.losses, kinds)}
        tensors |= {f"{_MATCHED}{index}": each for index, each in enumerate(self.matched or ())}
        tensors |= {_STATE + name: tensor for name, tensor in self.state.items()}
        write_private(path, seal(_KIND, facts, tensors))

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """The checkpoint in a file; ValueError if it is damaged or is none, OSError if it cannot be read."""
        facts, tensors = unseal(_KIND, path.read_bytes())
        try:
            return cls(
                level=facts["level"],
                iteration=facts["iteration"],
                picture=tensors["picture"],
                optimizer=Optimizer(facts["optimizer"]),
                state={name[len(_STATE) :]: each for name, each in tensors.items() if name.startswith(_STATE)},
                losses=_losses(facts["kinds"], tensors["losses"], tensors["told"]),
                levels=tuple(Level(*sides) for sides in facts["levels"]),
                box=Box(*facts["box"]),
                matched=_matched(tensors) if facts["matches"] else None,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} is no checkpoint") from error


def _matched(tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    found = {int(name[len(_MATCHED) :]): each for name, each in tensors.items() if name.startswith(_MATCHED)}
    return tuple(found[index] for index in range(len(found)))


def _table(losses: Sequence[Mapping[str, float]], kinds: Sequence[str]) -> dict[str, Tensor]:
    """Losses as numbers (iterations, kinds), and which of them there were: not every level has every kind."""
    values = torch.tensor([[each.get(kind, 0.0) for kind in kinds] for each in losses], dtype=torch.float64)
    told = torch.tensor([[kind in each for kind in kinds] for each in losses], dtype=torch.bool)
    return {"losses": values, "told": told}


def _losses(kinds: Sequence[str], values: Tensor, told: Tensor) -> tuple[Mapping[str, float], ...]:
    rows = zip(values.tolist(), told.tolist(), strict=True)
    return tuple({kind: value for kind, value, there in zip(kinds, *row, strict=True) if there} for row in rows)
