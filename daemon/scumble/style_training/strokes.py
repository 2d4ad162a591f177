"""What the strokes of styles are like wherever they lie, as a loss: their spectrum and their coherence."""

from collections.abc import Sequence

import torch
from torch import Tensor

from scumble.style_training.coherence import LEAST, coherence_loss, coherences
from scumble.style_training.spectrum import WINDOW, amplitudes, spectrum_loss

SPECTRUM_WEIGHT = 2.0
"""Of the `spectrum_loss`, where the whole style weighs one."""
COHERENCE_WEIGHT = 8.0
"""Of the `coherence_loss`, likewise."""
KINDS = ("spectrum", "coherence")
"""What its losses are called."""
SMALLEST = max(WINDOW, LEAST)
"""The least side in px of a picture that has strokes."""


class Strokes:
    """Those of some styles, pictures (1, 3, height, width) in 0..1 with sides of `SMALLEST` or more."""

    def __init__(self, styles: Sequence[Tensor]) -> None:
        self._spectra = torch.stack([amplitudes(style) for style in styles])
        self._coherences = torch.stack([coherences(style) for style in styles])

    def pull(self, painted: Tensor, mixture: Tensor) -> tuple[dict[str, float], Tensor]:
        """The losses of a picture (1, 3, height, width) whose strokes are to be those of the mixture (styles,), by
        kind, and the gradient of their sum, all weighted."""
        spectrum, first = spectrum_loss(painted, _mixed(mixture, self._spectra))
        coherence, second = coherence_loss(painted, _mixed(mixture, self._coherences))
        losses = (SPECTRUM_WEIGHT * spectrum, COHERENCE_WEIGHT * coherence)
        return dict(zip(KINDS, losses, strict=True)), SPECTRUM_WEIGHT * first + COHERENCE_WEIGHT * second


def _mixed(mixture: Tensor, each: Tensor) -> Tensor:
    found: Tensor = torch.tensordot(mixture.to(each.device), each, 1)
    return found
