"""Tensors and facts as the bytes of one file, sealed: what is read is what was written, or it is refused.

The bytes are .safetensors, so nothing in them is ever run. *Facts* are plain JSON values. The *kind* says what a file
is for, with the version of its layout. The *seal* is a SHA-256 over all of it: a file may be cut short by a power
failure or come from anywhere.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor


def seal(kind: str, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a file."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts)
    return save(plain, {"kind": kind, "facts": text, "seal": _seal(kind, text, plain)})


def unseal(kind: str, data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts and the tensors (on the CPU) in the bytes of a file; ValueError if it is damaged or of another kind."""
    try:
        end = 8 + int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8:end])["__metadata__"]
        tensors = load(data)
        intact = metadata["kind"] == kind and metadata["seal"] == _seal(kind, metadata["facts"], tensors)
        facts = json.loads(metadata["facts"])
    # damaged bytes make the parsers fail in many ways, none of them documented
    except Exception as error:
        raise ValueError(f"no {kind}, or damaged") from error
    if not intact or not isinstance(facts, dict):
        raise ValueError(f"no {kind}, or damaged")
    return facts, tensors


def _seal(kind: str, facts: str, tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256(json.dumps([kind, facts]).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(json.dumps([name, str(tensor.dtype), tuple(tensor.shape)]).encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
