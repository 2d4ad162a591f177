"""The loss of a picture and its gradient: networks and terms joined, in one piece or window by window."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scumble.engine.losses import range_penalty, total_variation
from scumble.engine.neighbours import NeighbourTerm
from scumble.engine.terms import Term
from scumble.engine.tiles import Window
from scumble.engine.vgg import Maps, Network


@dataclass(frozen=True)
class Evaluation:
    """The losses at a picture (`parts` by kind, and their sum) and the gradient, shaped like the picture."""

    total: float
    parts: dict[str, float]
    gradient: Tensor


@dataclass(frozen=True)
class PictureTerms:
    """What is asked of the picture itself: total variation, votes of patches, and colours that can be shown (for
    L-BFGS)."""

    tv_weight: float = 0.0
    tv_exponent: float = 1.25
    tv_mask: Tensor | None = None
    vote_weight: float = 0.0
    vote_share: float = 1.0
    vote_ground: Tensor | None = None
    range_weight: float = 0.0
    low: Tensor | float = 0.0
    high: Tensor | float = 1.0


class Objective:
    """α content + β style + γ tv of a picture (1, 3, height, width).

    `view` makes of the picture what the networks see, (1, 3, padded height, padded width), differentiably; `active`
    (1, 1, height, width) is 0 where the picture must stay.
    """

    def __init__(
        self,
        networks: Sequence[tuple[Network, Sequence[Term]]],
        picture_windows: Sequence[Window],
        view: Callable[[Tensor], Tensor],
        picture_terms: PictureTerms,
        active: Tensor | None = None,
    ) -> None:
        self._networks = [(network, terms) for network, terms in networks if terms]
        self._windows = picture_windows
        self._view = view
        self._picture_terms = picture_terms
        self._active = active
        self._votes: tuple[Tensor, Tensor] | None = None

    @property
    def matches(self) -> bool:
        """Whether `match` has anything to do."""
        return any(isinstance(term, NeighbourTerm) for _, terms in self._networks for term in terms)

    @torch.no_grad()
    def match(self, x: Tensor, *, by_content_alone: bool) -> Tensor:
        """Match every position of `x` with its style anew; returns `x` moved to what the matched patches vote for.

        `by_content_alone` matches the content instead, which is what there is to go by at the very start.
        """
        seen = self._view(x)
        for network, terms in self._networks:
            for term in terms:
                if isinstance(term, NeighbourTerm):
                    prepared = network.prepare(seen)
                    for window in self._windows:
                        term.ask(network.forward(window.crop(prepared)), window, by_content_alone=by_content_alone)
                    term.settle()
                    self._votes = self._shared(*term.votes())
        if self._votes is None or not self._picture_terms.vote_weight:
            return x
        return self._moved(x, *self._votes)

    @torch.no_grad()
    def lay(self, x: Tensor) -> Tensor:
        """`x` repainted with pieces of its styles from around the places last matched; `x` itself where none are."""
        if not self._picture_terms.vote_weight:
            return x
        for _, terms in self._networks:
            for term in terms:
                if isinstance(term, NeighbourTerm):
                    colours, mass = self._shared(*term.lay(self._view(x)))
                    low, high = (
                        torch.as_tensor(bound, dtype=x.dtype, device=x.device)
                        for bound in (self._picture_terms.low, self._picture_terms.high)
                    )
                    x = self._moved(x, colours, mass).clamp(low, high)
        return x

    def _shared(self, colours: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
        """Votes mixed with the content as the strength asks."""
        ground = self._picture_terms.vote_ground
        if ground is not None:
            colours = ground + self._picture_terms.vote_share * (colours - ground)
        return colours, mass

    def _moved(self, x: Tensor, colours: Tensor, mass: Tensor) -> Tensor:
        """`x` with these colours, as the networks see them, where they have mass and it may change."""
        height, width = x.shape[2:]
        moved = torch.where(mass[..., :height, :width] > 0, colours[..., :height, :width], x)
        return moved if self._active is None else x + self._active * (moved - x)

    def evaluate(self, x: Tensor) -> Evaluation:
        """Losses and gradient at `x`, float32."""
        x = x.detach().requires_grad_()
        seen = self._view(x)
        parts: dict[str, float] = defaultdict(float)
        for network, terms in self._networks:
            prepared = network.prepare(seen)
            slope = self._through(network, terms, prepared.detach(), parts)
            torch.autograd.backward(prepared, slope, retain_graph=True)
        self._add_picture_terms(x, seen, parts)
        gradient = torch.zeros_like(x) if x.grad is None else x.grad
        if self._active is not None:
            gradient = gradient * self._active
        return Evaluation(sum(parts.values()), dict(parts), gradient)

    @torch.no_grad()
    def _through(self, network: Network, terms: Sequence[Term], prepared: Tensor, parts: dict[str, float]) -> Tensor:
        maps: Maps = {}
        for window in self._windows:
            maps = network.forward(window.crop(prepared))
            for term in terms:
                term.observe(maps, window)
        for term in terms:
            parts[term.kind] += term.solve()
        if len(self._windows) == 1:
            return self._backward(network, terms, maps, self._windows[0])
        total = torch.zeros_like(prepared)
        for window in self._windows:
            maps = network.forward(window.crop(prepared))
            window.crop(total).add_(self._backward(network, terms, maps, window))
        return total

    def _backward(self, network: Network, terms: Sequence[Term], maps: Maps, window: Window) -> Tensor:
        def add_gradient(tap: str, maps: Maps, g: Tensor | None) -> Tensor | None:
            for term in terms:
                g = term.add_gradient(tap, maps, window, g)
            return g

        return network.backward(maps, add_gradient)

    def _add_picture_terms(self, x: Tensor, seen: Tensor, parts: dict[str, float]) -> None:
        asked = self._picture_terms
        losses: dict[str, Tensor] = {}
        if asked.tv_weight:
            losses["tv"] = asked.tv_weight * total_variation(x, asked.tv_exponent, asked.tv_mask)
        if asked.range_weight:
            losses["range"] = asked.range_weight * range_penalty(x, asked.low, asked.high)
        if self._votes is not None and asked.vote_weight:
            colours, mass = self._votes
            voted = (mass > 0).float()
            losses["style"] = asked.vote_weight * (voted * (seen - colours).square()).sum() / (3 * voted.sum())
        for name, loss in losses.items():
            torch.autograd.backward(loss, retain_graph=True)
            parts[name] += float(loss.detach())
