"""Sealed files read without torch, which is far too large for those who only look; see `scumble.engine.sealed`."""

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

LONGEST_HEAD = 2**20
"""Bytes of a description: it is read before anything else is known of the file."""
_NAMES = {"float32": "torch.float32", "float16": "torch.float16", "uint8": "torch.uint8"}
"""What the seal calls each type."""

Arrays = dict[str, NDArray[Any]]


def unsealed(kind: str, data: bytes) -> tuple[dict[str, Any], Arrays]:
    """The facts and the arrays in the bytes of a file; ValueError if it is damaged or of another kind."""
    try:
        end = 8 + min(int.from_bytes(data[:8], "little"), LONGEST_HEAD)
        metadata = json.loads(data[8:end])["__metadata__"]
        arrays = load(data)
        intact = metadata["kind"] == kind and metadata["seal"] == _seal(kind, metadata["facts"], arrays)
        facts = json.loads(metadata["facts"])
    # damaged bytes make the parsers fail in many ways, none of them documented
    except Exception as error:
        raise ValueError(f"no {kind}, or damaged") from error
    if not intact or not isinstance(facts, dict):
        raise ValueError(f"no {kind}, or damaged")
    return facts, arrays


def _seal(kind: str, facts: str, arrays: Arrays) -> str:
    found = hashlib.sha256(json.dumps([kind, facts]).encode())
    for name, array in sorted(arrays.items()):
        found.update(json.dumps([name, _NAMES[array.dtype.name], array.shape]).encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
