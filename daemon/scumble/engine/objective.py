"""The loss of a picture and its gradient: networks and terms joined, in one piece or window by window."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from scumble.engine.bands import strips
from scumble.engine.losses import add_total_variation
from scumble.engine.machine import network_pass
from scumble.engine.neighbours import NeighbourTerm
from scumble.engine.steady import Steady
from scumble.engine.terms import Term
from scumble.engine.tiles import Window
from scumble.engine.vgg import Maps, Network


@dataclass(frozen=True)
class Evaluation:
    """The losses at a picture and the gradient, shaped like the picture.

    `values` (n,) are losses of the `kinds` (n), on the device still: to ask for `parts` or `total` is to wait for it.
    """

    kinds: tuple[str, ...]
    values: Tensor
    gradient: Tensor

    def copy(self) -> "Evaluation":
        """The same in memory of its own."""
        return Evaluation(self.kinds, self.values.clone(), self.gradient.clone())

    @cached_property
    def parts(self) -> dict[str, float]:
        """The losses by kind."""
        parts = dict.fromkeys(self.kinds, 0.0)
        for kind, value in zip(self.kinds, self.values.tolist(), strict=True):
            parts[kind] += value
        return parts

    @cached_property
    def total(self) -> float:
        """The sum of all losses."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class PictureTerms:
    """What is asked of the picture itself: total variation, votes of patches, steadiness; what is laid stays in `low`
    to `high`."""

    tv_weight: float = 0.0
    tv_exponent: float = 1.25
    tv_mask: Tensor | None = None
    vote_weight: float = 0.0
    vote_share: float = 1.0
    vote_ground: Tensor | None = None
    low: Tensor | float = 0.0
    high: Tensor | float = 1.0
    steady: Steady | None = None


class View(Protocol):
    """What the networks see of a picture."""

    def see(self, x: Tensor) -> Tensor:
        """(1, 3, height, width) → (1, 3, padded height, padded width), a linear map."""

    def unsee(self, gradient: Tensor) -> Tensor:
        """Its adjoint, which may use `gradient` up."""


@dataclass(frozen=True)
class Votes:
    """Colours (1, 3, height, width) that patches voted for, `voted` (1, 1, …) where any did, and how many did."""

    colours: Tensor
    voted: Tensor
    count: float


class Objective:
    """α content + β style + γ tv of a picture (1, 3, height, width).

    `active` (1, 1, height, width) is 0 where the picture must stay.
    """

    def __init__(
        self,
        networks: Sequence[tuple[Network, Sequence[Term]]],
        picture_windows: Sequence[Window],
        view: View,
        picture_terms: PictureTerms,
        active: Tensor | None = None,
    ) -> None:
        self._networks = [(network, terms) for network, terms in networks if terms]
        self._windows = picture_windows
        self._view = view
        self._picture_terms = picture_terms
        self._active = active
        self._votes: Votes | None = None

    @property
    def in_one_piece(self) -> bool:
        """Whether the networks see the whole picture at once."""
        return len(self._windows) == 1

    @property
    def matches(self) -> bool:
        """Whether `match` has anything to do."""
        return bool(self._neighbour_terms())

    @torch.no_grad()
    def match(self, x: Tensor, *, by_content_alone: bool) -> Tensor:
        """Match every position of `x` with its style anew; returns `x` moved to what the matched patches vote for.

        `by_content_alone` matches the content instead, which is what there is to go by at the very start.
        """
        seen = self._view.see(x)
        for network, term in self._neighbour_terms():
            for window in self._windows:
                term.ask(network.forward(network.prepare(window.crop(seen))), window, by_content_alone=by_content_alone)
            term.settle()
        self._poll()
        if self._votes is None or not self._picture_terms.vote_weight:
            return x
        return self._moved(x, self._kept(self._votes.colours), self._votes.voted)

    @property
    def is_steady(self) -> bool:
        """Whether something stays from the last frame of a video."""
        return self._picture_terms.steady is not None

    @property
    def matches_found(self) -> list[Tensor]:
        """What `match` found, for `recall`."""
        return [field for _, term in self._neighbour_terms() for field in term.fields]

    @torch.no_grad()
    def recall(self, found: Sequence[Tensor]) -> None:
        """Be as after the `match` that found this. ValueError for what it cannot have found."""
        for _, term in self._neighbour_terms():
            term.recall(found)
        self._poll()

    def _neighbour_terms(self) -> list[tuple[Network, NeighbourTerm]]:
        return [
            (network, term) for network, terms in self._networks for term in terms if isinstance(term, NeighbourTerm)
        ]

    def _poll(self) -> None:
        for _, term in self._neighbour_terms():
            self._votes = None
            colours, mass = self._shared(*term.votes())
            voted = mass > 0
            self._votes = Votes(colours, voted, float(voted.sum()))

    @torch.no_grad()
    def lay(self, x: Tensor) -> Tensor:
        """`x` repainted with pieces of its styles from around the places last matched; `x` itself where none are.

        It ends the level: what else was matched is let go.
        """
        if not self._picture_terms.vote_weight:
            return x
        self._votes = None  # a large picture has no room for both
        for _, term in self._neighbour_terms():
            colours, mass = self._shared(*term.lay(self._view.see(x)))
            low, high = (
                torch.as_tensor(bound, dtype=x.dtype, device=x.device)
                for bound in (self._picture_terms.low, self._picture_terms.high)
            )
            x = self._moved(x, self._kept(colours), mass).clamp_(low, high)
        return x

    def _shared(self, colours: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
        """Votes mixed with the content as the strength asks."""
        ground = self._picture_terms.vote_ground
        if ground is not None:
            colours = ground + self._picture_terms.vote_share * (colours - ground)
        return colours, mass

    def _kept(self, fresh: Tensor) -> Tensor:
        """Fresh colours, and those that stay from the last frame."""
        steady = self._picture_terms.steady
        return fresh if steady is None else steady.kept(fresh)

    def _moved(self, x: Tensor, colours: Tensor, mass: Tensor) -> Tensor:
        """`x` with these colours, as the networks see them, where they have mass and it may change."""
        height, width = x.shape[2:]
        there = mass[..., :height, :width] > 0
        if self._active is not None:
            there &= self._active > 0
        return torch.where(there, colours[..., :height, :width], x)

    @torch.no_grad()
    def evaluate(self, x: Tensor) -> Evaluation:
        """Losses and gradient at `x`, float32."""
        seen = self._view.see(x)
        losses: list[tuple[str, Tensor]] = []
        slope = torch.zeros_like(seen)
        with network_pass():
            for network, terms in self._networks:
                self._through(network, terms, seen, slope, losses)
        self._add_votes(seen, slope, losses)
        if self._picture_terms.steady is not None:
            losses.append(("steady", self._picture_terms.steady.add_loss(seen, slope)))
        gradient = self._view.unsee(slope)
        del slope, seen
        self._add_picture_terms(x, gradient, losses)
        if self._active is not None:
            gradient *= self._active
        kinds = tuple(kind for kind, _ in losses)
        values = torch.stack([loss for _, loss in losses]) if losses else x.new_zeros(0)
        return Evaluation(kinds, values, gradient)

    def _through(
        self, network: Network, terms: Sequence[Term], seen: Tensor, slope: Tensor, losses: list[tuple[str, Tensor]]
    ) -> None:
        """Add a network's losses, and its gradient to `slope`."""

        def look(window: Window) -> Maps:
            return network.forward(network.prepare(window.crop(seen)))

        def observe(window: Window) -> Maps:
            maps = look(window)
            for term in terms:
                term.observe(maps, window)
            return maps

        def pull(maps: Maps, window: Window) -> None:
            window.crop(slope).add_(network.unprepare(self._backward(network, terms, maps, window)))

        for term in terms:
            term.forget()  # what an evaluation that was broken off has left
        if all(term.is_local for term in terms):
            for window in self._windows:
                pull(observe(window), window)
            losses += [(term.kind, term.solve()) for term in terms]
            return
        whole: Maps | None = None
        for window in self._windows:
            maps = observe(window)
            whole = maps if window.whole else None
            del maps  # before the next window's are there
        losses += [(term.kind, term.solve()) for term in terms]
        for window in self._windows:
            pull(whole or look(window), window)

    def _backward(self, network: Network, terms: Sequence[Term], maps: Maps, window: Window) -> Tensor:
        def add_gradient(tap: str, maps: Maps, g: Tensor | None) -> Tensor | None:
            for term in terms:
                g = term.add_gradient(tap, maps, window, g)
            return g

        return network.backward(maps, add_gradient)

    def _add_votes(self, seen: Tensor, slope: Tensor, losses: list[tuple[str, Tensor]]) -> None:
        weight = self._picture_terms.vote_weight
        if self._votes is None or not weight:
            return
        share, found = weight / (3 * self._votes.count), []
        for rows in strips(seen):
            there = (slice(None), slice(None), rows)
            away = (seen[there] - self._votes.colours[there]).mul_(self._votes.voted[there])
            slope[there].add_(away, alpha=2 * share)
            found.append(away.square_().sum())
        losses.append(("style", share * torch.stack(found).sum()))

    def _add_picture_terms(self, x: Tensor, gradient: Tensor, losses: list[tuple[str, Tensor]]) -> None:
        asked = self._picture_terms
        if asked.tv_weight:
            loss = add_total_variation(gradient, x, asked.tv_exponent, asked.tv_mask, asked.tv_weight)
            losses.append(("tv", loss))
