"""A CUDA that is none: it computes on the CPU, in the order in which it is told, and writes down what it was told.

Its graphs are tapes of torch's operators. Recording refuses what a real one refuses (to wait for a number, to bring one
to the device), and leaves nothing but NaN in what it should have computed later; a replay computes it in the same
memory, from the same memory.
"""

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_WAITING = {"_local_scalar_dense", "nonzero", "lift_fresh", "masked_select", "equal", "is_nonzero", "_unique2"}


class Graph(TorchDispatchMode):
    """What `torch.cuda.CUDAGraph` is to a stream."""

    def __init__(self):
        super().__init__()
        self.taken, self.replays = [], 0

    def __torch_dispatch__(self, operator, types, given=(), named=None):
        named = named or {}
        name = operator._schema.name.partition("::")[2]
        masked = name == "index" and any(each is not None and each.dtype is torch.bool for each in given[1])
        if name in _WAITING or masked:
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({name})\nlong story")
        found = operator(*given, **named)
        made = [] if any(each.alias_info for each in operator._schema.returns) else tree_leaves(found)
        self.taken.append((operator, given, named, made))
        return found

    def spoil(self):
        for _, _, _, made in self.taken:
            for each in made:
                each.fill_(torch.nan if each.is_floating_point() else 0)

    def replay(self):
        self.replays += 1
        for operator, given, named, made in self.taken:
            found = operator(*given, **named)
            for old, new in zip(made, tree_leaves(found) if made else (), strict=True):
                old.copy_(new)


class Stream:
    def __init__(self, cuda, name):
        self.cuda, self.name = cuda, name

    def wait_stream(self, other):
        self.cuda.said.append(f"{self.name} waits for {other.name}")

    def synchronize(self):
        self.cuda.said.append(f"the host waits for {self.name}")


class Event:
    def __init__(self, cuda):
        self.cuda = cuda

    def record(self, stream):
        self.cuda.said.append(f"an event in {stream.name}")

    def synchronize(self):
        self.cuda.said.append("the host waits for the event")


class FakeCuda:
    """What stands in for `torch.cuda`; `refuses` is a message with which no recording succeeds."""

    def __init__(self, refuses=None):
        self.refuses = refuses
        self.said, self.graphs, self.devices = [], [], []
        self.free, self.reserved, self.allocated = 1000, 300, 100
        self._names = iter(("work", "copies"))
        self._streams = [Stream(self, "default")]

    def Stream(self, device):  # noqa: N802 - as torch.cuda has it
        self.devices.append(device)
        return Stream(self, next(self._names))

    def Event(self):  # noqa: N802
        return Event(self)

    def CUDAGraph(self):  # noqa: N802
        self.graphs.append(Graph())
        return self.graphs[-1]

    def current_stream(self, device):
        return self._streams[-1]

    @contextlib.contextmanager
    def stream(self, stream):
        self._streams.append(stream)
        self.said.append(f"in {stream.name}")
        try:
            yield
        finally:
            self._streams.pop()

    @contextlib.contextmanager
    def device(self, device):
        self.said.append(f"on {device}")
        yield
        self.said.append(f"off {device}")

    @contextlib.contextmanager
    def graph(self, graph, stream, capture_error_mode):
        assert capture_error_mode == "thread_local"
        self.said.append(f"recorded in {stream.name}")
        if self.refuses:
            raise RuntimeError(self.refuses)
        with graph:
            yield
        graph.spoil()

    def empty_cache(self):
        self.said.append("emptied")

    def mem_get_info(self, device):
        self.devices.append(device)
        return self.free, 10**6

    def memory_reserved(self, device):
        return self.reserved

    def memory_allocated(self, device):
        return self.allocated
