"""`python -m scumble.probe [DEVICE]`: tries the device with one convolution, in a process that may crash or hang.

It says what it finds as it goes, one JSON object per line: `torch`, `device`, `weights`, `convolution`, so that whoever
waits for it (`scumble.doctor`) knows how far it came. What fails is told as `error`, and the process ends with 1.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

TOLERANCE = {"float32": 5e-3, "bfloat16": 5e-2}
"""By how much a convolution may differ from NumPy's, in parts of its largest value: TF32 is not wrong."""


def _say(**found: Any) -> None:
    print(json.dumps(found), flush=True)


def main(name: str) -> int:
    """Look at everything, the riskiest last."""
    try:
        import torch

        from scumble.engine import machine

        _say(torch={"version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip})
        device = machine.device_of(name)
        _say(device=_device(device))
        _say(weights=_weights(), features=_features(device))
        _say(convolution={kind: _difference(device, kind) for kind in _kinds(device)})
    except BaseException as error:
        _say(error={"kind": type(error).__name__, "text": str(error)})
        return 1
    return 0


def _device(device: "torch.device") -> dict[str, Any]:
    import psutil
    import torch

    from scumble.engine import machine

    found: dict[str, Any] = {
        "device": str(device),
        "name": machine.processor_name(device),
        "bfloat16": machine.bfloat16_is_native(device),
        "cores": psutil.cpu_count(logical=False),
        "usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_free": psutil.virtual_memory().available,
        "memory": psutil.virtual_memory().total,
    }
    if device.type == "cuda":
        found["memory_free"], found["memory"] = torch.cuda.mem_get_info(device)
        found["capability"] = list(torch.cuda.get_device_capability(device))
        found["driver"] = _driver()
    return found


def _driver() -> str | None:
    try:
        return Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        return None


def _weights() -> list[dict[str, Any]]:
    from scumble.engine import weight_store

    found = []
    for entry in weight_store.available():
        if entry.present:
            check = weight_store.check(entry.name)
            about = {"name": entry.name, "size": entry.size, "kind": entry.kind}
            found.append({**about, "state": check.state, "detail": check.detail})
    return found


def _features(device: "torch.device") -> str | None:
    """What `auto` stands for there; None if that is damaged, which the weights' own state tells."""
    from scumble.engine.features import describe
    from scumble.engine.machine import is_gpu
    from scumble.errors import ScumbleError

    try:
        return describe("auto", gpu=is_gpu(device)).name
    except ScumbleError:
        return None


def _kinds(device: "torch.device") -> list[str]:
    from scumble.engine import machine

    return ["float32", "bfloat16"] if machine.bfloat16_is_native(device) else ["float32"]


def _difference(device: "torch.device", kind: str) -> float:
    """A 3 × 3 convolution against NumPy's: the largest difference, in parts of the largest value."""
    import numpy as np
    import torch

    draw = np.random.default_rng(1)
    x, w = draw.standard_normal((8, 34, 34)), draw.standard_normal((16, 8, 3, 3))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    wanted = np.einsum("cijyx,ocyx->oij", windows, w)
    picture, filters = (torch.from_numpy(each).to(device, getattr(torch, kind)) for each in (x[None], w))
    found = torch.nn.functional.conv2d(picture, filters)[0].float().cpu().numpy()
    difference = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    return difference if np.isfinite(difference) else 1e9


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "auto"))
