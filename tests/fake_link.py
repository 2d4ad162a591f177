"""A daemon and a host's loop for tests of the plug-ins, without a process, a network or a host.

    daemon, loop = FakeDaemonApi(), FakeLoop()
    daemon.story = [queued(1), running(1), running(2), done()]   # what jobs say, one after another
    daemon.once("submit", refused("queue-full"))                 # a mishap: told once instead of the answer
    daemon.die()                                                 # it answers nothing until it is started again
    gate = daemon.block("result")                                # that call waits until gate.set()
    desk = Desk(daemon, loop.deliver)
    loop.run_until(lambda: ticket.is_final)                      # what was delivered is done on this thread
    assert daemon.names == ["connect", "submit", "job", …]

A story's last word stays; `daemon.say(running(3))` adds another. `FakeDaemonApi` has the methods of
`link.daemon.Daemon`; its result is the content turned upside down in value, its mask the selection.
"""

import heapq
import itertools
import threading
import time
from dataclasses import replace

import plugins

plugins.link()
from krita_scumble.link.canvas import Loop  # noqa: E402
from krita_scumble.link.daemon import Device, Estimate, Health, Job, Preset, Style  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.finder import Address  # noqa: E402
from krita_scumble.link.pixels import Plane  # noqa: E402

PATIENCE_S = 30.0
"""How long anything may take on a busy machine."""
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000b49444154789c6360000200000500017a5eab3f0000000049454e44ae426082"
)
"""A PNG."""

# --------------------------------------------------------------------------------------------------------- what is said


def queued(position=0):
    """A job's word: it waits."""
    return {"state": "queued", "phase": "waiting", "position": position}


def running(iteration, iterations=4, preview=0, **more):
    """A job's word: it is painted."""
    left = {"seconds_left": float(iterations - iteration), "progress": iteration / iterations}
    told = {"state": "running", "phase": "painting", "position": None, "preview": preview}
    return {**told, "iteration": iteration, "iterations": iterations, **left, **more}


def done(**more):
    """A job's last word: there is a result."""
    told = {"state": "done", "phase": "finished", "position": None, "iteration": 4, "iterations": 4, "progress": 1.0}
    return {**told, "seconds": 1.5, "has_result": True, "features": "fake", **more}


def stopped(**more):
    """A job's last word: somebody stopped it; with `has_result=True` there is something of it."""
    return {"state": "stopped", "phase": "finished", "position": None, "seconds": 0.5, **more}


def failed(code="out-of-memory", detail="Painting needs more."):
    """A job's last word: it failed."""
    return {"state": "failed", "phase": "finished", "position": None, "problem": LinkError(code, detail)}


def refused(code, detail="It cannot be."):
    """A mishap: the call is refused."""

    def mishap():
        raise LinkError(code, detail)

    return mishap


unreachable = refused("unreachable", "The daemon is silent.")
"""A mishap: nobody answers in time."""


def plane(width=4, height=3, channels=4, value=10):
    """A plane of 8 bits whose values count up from `value`."""
    data = bytes((value + index) % 256 for index in range(width * height * channels))
    return Plane(width, height, channels, 1, data)


# ------------------------------------------------------------------------------------------------------------- a daemon


class FakeDaemonApi:
    """A daemon that says what a test tells it to."""

    def __init__(self):
        self.story = [queued(), running(2, preview=1), done()]
        self.is_running, self.can_start, self.starts = True, True, 0
        self.asked = []
        """Each call: its name, then its arguments by name."""
        self.jobs, self.orders, self.keys = {}, {}, {}
        self.library = (Style("night", "Swirling night", "library:night", is_bundled=True),)
        self.trained, self.lessons = (), []
        """The models, and what was to be learnt, one after another."""
        self.recipes = (Preset("fine", "larger and longer", {"quality": "fine"}),)
        self.state = Health("1.0", 1, "one", features="embedded", devices=(Device("cpu", "A processor", "ready"),))
        self.cost = Estimate(768, 605, 160, 3, 2150.0, 14.0, is_measured=True)
        self._told, self._mishaps, self._gates = {}, {}, {}
        self._news = threading.Condition()
        self._numbers = itertools.count(1)

    # -------------------------------------------------------------------------------------------------- for a test

    @property
    def names(self):
        """The calls, without their arguments."""
        return [name for name, _ in self.asked]

    def arguments(self, name):
        """The arguments of each call of that name."""
        return [arguments for each, arguments in self.asked if each == name]

    def once(self, name, *mishaps):
        """Do these, one after another, instead of answering that call."""
        self._mishaps.setdefault(name, []).extend(mishaps)

    def block(self, name):
        """Let that call wait, from now on, until the event that comes back is set."""
        return self._gates.setdefault(name, threading.Event())

    def say(self, *words):
        """Add to the story; who waits for news is told."""
        with self._news:
            self.story = [*self.story, *words]
            self._news.notify_all()

    def die(self, can_start=True):
        """Answer nothing any more, until it is started."""
        with self._news:
            self.is_running, self.can_start = False, can_start
            self._news.notify_all()

    def revive(self):
        """Be there again, without being started by whom it serves."""
        self.is_running = True

    # ---------------------------------------------------------------------------------------------------- its calls

    def connect(self, start=True, on_wait=None):
        self._call("connect", is_alive=True, start=start)
        if not self.is_running:
            if not start:
                raise LinkError("no-daemon", "No daemon is running.")
            if not self.can_start:
                raise LinkError("not-installed", "There is no such command.")
            self.is_running, self.starts = True, self.starts + 1
        return Address("http://127.0.0.1:1", "token", 1, "1.0", "one")

    def health(self):
        self._call("health")
        return self.state

    def presets(self):
        self._call("presets")
        return self.recipes

    def styles(self):
        self._call("styles")
        return self.library

    def models(self):
        self._call("models")
        return self.trained

    def forget_model(self, name):
        self._call("forget_model", name=name)
        self.trained = tuple(model for model in self.trained if model.name != name)

    def train(self, picture, data, name, key=None):
        self._call("train", picture=picture, data=data, name=name, key=key)
        self.lessons.append((picture, data, name))
        return self._new({"styles": [picture]}, {}, key, kind="train")

    def trainings(self):
        self._call("trainings")
        return tuple(job for job in self.jobs.values() if job.is_training and not job.is_final)

    def thumbnail(self, style_id):
        self._call("thumbnail", style_id=style_id)
        return PIXEL

    def estimate(self, recipe, width, height, bounds=None):
        self._call("estimate", recipe=recipe, width=width, height=height, bounds=bounds)
        return self.cost

    def submit(self, recipe, parts, key=None, lease_s=120.0):
        self._call("submit", recipe=recipe, parts=parts, key=key, lease_s=lease_s)
        return self._new(dict(recipe), dict(parts), key)

    def job(self, id, after=None, wait_s=0.0):
        self._call("job", id=id, after=after, wait_s=wait_s)
        with self._news:
            if self._found(id).seq == after:
                self._news.wait_for(lambda: self._has_news(id, after) or not self.is_running, wait_s)
            if not self.is_running:
                raise LinkError("no-daemon", "No daemon is running.")
            if self._found(id).seq == after and self._has_news(id, after):
                self._told[id] += 1
                self._change(id, **self.story[self._told[id]])
            return self._found(id)

    def preview(self, id):
        self._call("preview", id=id)
        number = self._found(id).preview
        return b"preview %d" % number if number else None

    def result(self, id):
        self._call("result", id=id)
        content = self.orders[id]["content"]
        if not self._found(id).has_result:
            raise LinkError("wrong-state", "There is no result.")
        turned = bytes(content.data).translate(bytes(range(255, -1, -1)))
        return replace(content, data=turned)

    def result_png(self, id):
        self._call("result_png", id=id)
        self._found(id)
        return PIXEL

    def mask(self, id):
        self._call("mask", id=id)
        content, mask = self.orders[id]["content"], self.orders[id].get("mask")
        return mask or Plane(content.width, content.height, 1, 1, b"\xff" * (content.width * content.height))

    def stop(self, id, keep=False):
        self._call("stop", id=id, keep=keep)
        with self._news:
            if not self._found(id).is_final:
                began = self._found(id).state == "running"
                self._change(id, **stopped(has_result=keep and began))
                self._told[id] = len(self.story)
                self._news.notify_all()
            return self._found(id)

    def move(self, id, position):
        self._call("move", id=id, position=position)
        return self._found(id)

    def continue_(self, id, iterations=None, changes=None, key=None, lease_s=120.0):
        self._call("continue_", id=id, iterations=iterations, changes=changes, key=key, lease_s=lease_s)
        return self._new({**self._found(id).recipe, **changes}, self.orders[id], key)

    def forget(self, id):
        self._call("forget", id=id)
        with self._news:
            self.jobs.pop(id, None)
            self._news.notify_all()

    def add_style(self, picture, name):
        self._call("add_style", picture=picture, name=name)
        return Style("new", name, "library:new")

    def shutdown(self):
        self._call("shutdown")
        self.die()

    # ------------------------------------------------------------------------------------------------------ details

    def _call(self, name, /, is_alive=False, **arguments):
        self.asked.append((name, arguments))
        if name in self._gates:
            assert self._gates[name].wait(PATIENCE_S), f"{name} was never let go on"
        if self._mishaps.get(name):
            self._mishaps[name].pop(0)()
        if not (self.is_running or is_alive):
            raise LinkError("no-daemon", "No daemon is running.")

    def _new(self, recipe, parts, key, kind="paint"):
        with self._news:
            if key is None or key not in self.keys:
                id = f"job-{next(self._numbers)}"
                content = parts.get("content", Plane(0, 0, 4, 1, b""))
                size = {"width": content.width, "height": content.height}
                self.jobs[id] = Job(id, "queued", "waiting", recipe=recipe, kind=kind, **size)
                self.orders[id], self._told[id] = parts, 0
                self._change(id, **self.story[0])
                self.keys[key] = id
            return self.jobs[self.keys[key]]

    def _found(self, id):
        if id not in self.jobs:
            raise LinkError("not-found", f"There is no job {id}.")
        return self.jobs[id]

    def _has_news(self, id, after):
        return id not in self.jobs or self.jobs[id].seq != after or self._told[id] + 1 < len(self.story)

    def _change(self, id, **told):
        self.jobs[id] = replace(self.jobs[id], seq=self.jobs[id].seq + 1, **told)


# --------------------------------------------------------------------------------------------------------------- a loop


class FakeLoop(Loop):
    """A host's loop that turns when the test says so, on the test's thread. Its clock can be put forward."""

    def __init__(self):
        self._queue, self._timers = [], []
        self._news = threading.Condition()
        self._numbers = itertools.count()
        self._ahead_s = 0.0

    def deliver(self, action):
        with self._news:
            self._queue.append(action)
            self._news.notify_all()

    def after(self, seconds, action):
        timer = [self._now() + seconds, next(self._numbers), action]
        with self._news:
            heapq.heappush(self._timers, timer)

        def call_off():
            timer[2] = None

        return call_off

    def advance(self, seconds):
        """Put the clock forward, and do what is due."""
        self._ahead_s += seconds
        self.run()

    def run(self):
        """Do what has been delivered and what is due, and what comes of it."""
        while action := self._next():
            action()

    def run_until(self, condition, timeout_s=PATIENCE_S):
        """Turn until that is true."""
        deadline = time.monotonic() + timeout_s
        self.run()
        while not condition():
            assert time.monotonic() < deadline, "in vain"
            with self._news:
                if not self._queue:
                    self._news.wait(0.02)
            self.run()

    def _next(self):
        with self._news:
            if self._queue:
                return self._queue.pop(0)
            while self._timers and self._timers[0][0] <= self._now():
                action = heapq.heappop(self._timers)[2]
                if action is not None:
                    return action
        return None

    def _now(self):
        return time.monotonic() + self._ahead_s
