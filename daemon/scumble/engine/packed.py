"""Style statistics as facts and tensors, and back, for the shelf."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from scumble.engine.candidates import Candidates
from scumble.engine.shelf import Packed
from scumble.engine.terms import Statistic

_TENSORS = ("vectors", "places", "rgb", "basis", "projected", "at")


def pack_matrices(matrices: Mapping[Statistic, Tensor]) -> Packed:
    """The matrices of a style, by statistic."""
    facts = {"statistics": [asdict(statistic) for statistic in matrices]}
    return facts, {str(index): matrix for index, matrix in enumerate(matrices.values())}


def unpack_matrices(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[Statistic, Tensor]:
    """The inverse of `pack_matrices`."""
    return {Statistic(**fields): tensors[str(index)] for index, fields in enumerate(facts["statistics"])}


def pack_candidates(found: Candidates) -> Packed:
    """What a style offers to be matched."""
    tensors = {name: getattr(found, name) for name in _TENSORS}
    means = {f"means.{index}": mean for index, mean in enumerate(found.means)}
    return {"stride": found.stride, "scales": found.scales}, {**tensors, **means}


def unpack_candidates(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Candidates:
    """The inverse of `pack_candidates`."""
    scales = tuple(facts["scales"])
    means = tuple(tensors[f"means.{index}"] for index in range(len(scales)))
    return Candidates(**{name: tensors[name] for name in _TENSORS}, stride=facts["stride"], means=means, scales=scales)
