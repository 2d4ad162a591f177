"""What the cases of canvas_cases.py need besides a canvas: a host's own ways to open, paint, undo and look at things.

    rig.use("scumble.link")              # first: what the shared part is called in this host
    from canvas_cases import CASES
    rig.play(one, CASES, folder)         # one of a subclass; writes folder/results.json

Documents and layers are named by the canvas's own ids. Pixels are bytes of 8 bits: RGBA, sRGB, straight alpha.
"""

import faulthandler
import importlib
import json
import os
import sys
import time
import traceback
from abc import ABC, abstractmethod


def use(package):
    """Have `link.canvas` and so on be the modules of the plug-in, whatever it is called here."""
    for part in ("canvas", "errors", "pixels", "text"):
        sys.modules[f"link.{part}"] = importlib.import_module(f"{package}.{part}")
    sys.modules["link"] = sys.modules[package]


class CannotPlay(Exception):  # noqa: N818 - no error of the canvas
    """Why a host cannot play a case: a sentence."""


class Rig(ABC):
    """One host; its canvas is asked for anew for each call, as a host may need another one for another document."""

    canvas = None
    mixes_linear_light = False
    """Whether a layer's alpha mixes light rather than sRGB's values."""
    layers_have_edges = False
    """Whether a layer is a rectangle of its own, whatever is in it; else it is where it has pixels."""

    # ------------------------------------------------------------------------------------------- what a user does

    @abstractmethod
    def open(self, width, height, in_window=False):
        """A new document of 8 bits in sRGB, without a layer; its id.

        Only for one in a window `active`, `undo` and `redo` can be asked for, where the host has windows.
        """

    @abstractmethod
    def close(self, document):
        """As a user closes it, without saving."""

    @abstractmethod
    def add(self, document, name, box, pixels, group=""):
        """A layer with pixels in a box and nothing elsewhere, on top of all or of what is in a group; its id.

        Without pixels it is empty.
        """

    @abstractmethod
    def add_group(self, document, name, group=""):
        """A group, on top; its id."""

    @abstractmethod
    def add_mask(self, document, name, box, data):
        """What this host has that can be a region, apart from layers."""

    @abstractmethod
    def activate(self, document, layer):
        """Make it the active document, and the active layer; "" for no layer."""

    @abstractmethod
    def select(self, document, box, data):
        """Select what a mask says, and nothing beside it."""

    @abstractmethod
    def select_none(self, document):
        """Let go of the selection."""

    @abstractmethod
    def invert_selection(self, document):
        """Select all that is not."""

    @abstractmethod
    def empty_selection(self, document):
        """Take all of a selection away from it."""

    @abstractmethod
    def remove(self, document, layer):
        """Remove a layer."""

    @abstractmethod
    def undo(self, document):
        """One step."""

    @abstractmethod
    def redo(self, document):
        """One step."""

    @abstractmethod
    def reopened(self, document):
        """Save it in the host's own format and open that; the new document's id. The layers have other ids there."""

    # ------------------------------------------------------------------------------------------- what a user sees

    @abstractmethod
    def children(self, document, group=""):
        """The ids of the layers in a group, or of those that are in none, from the top down."""

    @abstractmethod
    def name(self, document, layer):
        """What the layer is called."""

    @abstractmethod
    def active(self, document):
        """The active layer's id."""

    @abstractmethod
    def pixels(self, document, layer, box):
        """The layer's own pixels, whatever its mask hides."""

    @abstractmethod
    def mask(self, document, layer, box):
        """The layer's mask; None where it has none."""

    @abstractmethod
    def composite(self, document):
        """The whole picture."""

    @abstractmethod
    def set_unmodified(self, document):
        """As if it were just saved."""

    @abstractmethod
    def is_modified(self, document):
        """Whether something was done to it since."""

    # --------------------------------------------------------------------------------------------- the same for all

    def breathe(self):  # noqa: B027 - most have nothing to do
        """Let the host have its turn between steps."""

    def finish(self, steps, look=lambda: None):
        """Do all steps, and look after each; what they return."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            self.breathe()
            look()

    def names(self, document, group=""):
        """The names of the layers in a group, from the top down."""
        return [self.name(document, each) for each in self.children(document, group)]

    def subject(self, document, layer):
        """What the canvas says of a layer that is active."""
        self.activate(document, layer)
        return self.canvas.subject()

    def take(self, subject, box, regions=(), use_selection=False):
        """All steps of `Canvas.take`."""
        return self.finish(self.canvas.take(subject, box, regions, use_selection))

    def insert(self, layer):
        """All steps of `Canvas.insert`."""
        return self.finish(self.canvas.insert(layer))


def outcome_of(rig, case):
    """Play a case: "" where all is well, else "skip: why" or what went wrong."""
    try:
        case(rig)
    except CannotPlay as why:
        return f"skip: {why}"
    except BaseException:
        return traceback.format_exc()
    return ""


def play(rig, cases, folder):
    """Play all cases, or those with $SCUMBLE_ONLY in their names; writes down what became of each."""
    faulthandler.enable(2)
    results = {"version": rig.canvas.host, "checks": {}, "seconds": {}}

    def save():
        part = folder / "results.part"
        part.write_text(json.dumps(results, indent=1))
        part.replace(folder / "results.json")

    for name, case in cases.items():
        if os.environ.get("SCUMBLE_ONLY", "") not in name:
            continue
        results["checks"][name] = "the host crashed"
        save()
        os.write(2, f"case {name}\n".encode())  # so that what the host says is known to belong to it
        begin = time.perf_counter()
        faulthandler.dump_traceback_later(60, file=2)
        results["checks"][name] = outcome_of(rig, case)
        faulthandler.cancel_dump_traceback_later()
        results["seconds"][name] = round(time.perf_counter() - begin, 2)
        save()
