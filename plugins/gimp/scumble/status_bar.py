"""The status in one line; a click opens all that is known of the daemon, and what can be done about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .gtk import Gtk, copy_text, open_path
from .inputs import elided, label
from .link import colors
from .link.shown import DOTS, breakable, checks_text, facts
from .link.text import tr
from .link.topics import Topic
from .look import ground, paint_with
from .widget import GAP, INDENT, button, call_on, column, listen, named, row, say, shown, while_alive

_DOT = 10
_FACT_CHARS = 34


class StatusBar(Gtk.Box):
    """A dot and a line, which are a button."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self.dot, self.words = _Dot(), elided()
        self.line = Gtk.Button(relief=Gtk.ReliefStyle.NONE)
        named(self.line, "status", "", "")
        inside = row()
        inside.pack_start(self.dot, False, False, 0)
        inside.pack_start(self.words, True, True, 0)
        self.line.add(inside)
        self.pack_start(self.line, True, True, 0)
        self.popup = StatusPopup(studio, self.line)
        call_on(studio, self.line, "clicked", self.popup.open)
        listen(self, studio, Topic.STATUS, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show how the daemon stands."""
        status = self._studio.status
        self.dot.show_meaning(DOTS.get(status.dot, ""))
        if status.line != self.words.get_text():
            self.words.set_text(status.line)
            say(self.line, tr("Status: {line}", line=status.line), tr("A click shows more."))
            self.line.set_tooltip_text(f"{status.line}\n{tr('A click shows more.')}")


class _Dot(Gtk.DrawingArea):
    """A dot in the colour that says how it stands."""

    def __init__(self) -> None:
        super().__init__()
        self._meaning: str | None = None
        self.set_name("status-dot")
        self.set_size_request(_DOT, _DOT)
        self.set_valign(Gtk.Align.CENTER)
        self.connect("draw", self._draw)

    def show_meaning(self, meaning: str) -> None:
        """Have another colour, of `link.shown.DOTS`."""
        if meaning != self._meaning:
            self._meaning = meaning
            self.queue_draw()

    def _draw(self, _: Any, context: Any) -> None:
        paint_with(context, colors.signal_color(self._meaning or "", *ground(self)))
        context.arc(_DOT / 2, _DOT / 2, _DOT / 2 - 0.5, 0, 2 * math.pi)
        context.fill()


class StatusPopup(Gtk.Popover):
    """Version, device, memory, features, log folder, restart, self-test, copy diagnostics."""

    def __init__(self, studio: Any, at: Gtk.Widget) -> None:
        super().__init__(relative_to=at, position=Gtk.PositionType.TOP, border_width=INDENT)
        self._studio = studio
        self._is_testing = False
        self.set_name("status-popup")
        known = facts(studio.health, studio.log_folder())
        self._facts = {name: _fact(f"status-{name}") for name in known}
        self.checks = _fact("self-test-result")
        grid = Gtk.Grid(row_spacing=GAP, column_spacing=INDENT)
        for number, (name, (title, _)) in enumerate(known.items()):
            grid.attach(Gtk.Label(label=title, xalign=0, yalign=0), 0, number, 1, 1)
            grid.attach(self._facts[name], 1, number, 1, 1)
        buttons = Gtk.Grid(row_spacing=GAP, column_spacing=GAP, column_homogeneous=True)
        for number, made in enumerate(self._make_buttons()):
            buttons.attach(made, number % 2, number // 2, 1, 1)
        content = column(INDENT)
        for widget in (grid, buttons, self.checks):
            content.add(widget)
        content.show_all()
        shown(self.checks, False)
        self.add(content)
        # GTK leaves a popover alive whose widget is gone
        at.connect("destroy", lambda *_: self.destroy())
        listen(self, studio, Topic.STATUS, self.refresh)
        listen(self, studio, Topic.ERROR, self._end_test)
        self.refresh()

    def open(self) -> None:
        """Show it above the line that it belongs to."""
        self.refresh()
        self.popup()

    def refresh(self) -> None:
        """Show what is known."""
        health = self._studio.health
        for name, (_, text) in facts(health, self._studio.log_folder()).items():
            if text != self._facts[name].get_text():
                self._facts[name].set_text(text)
        words = tr("Restart") if health is not None else tr("Start")
        if words != self._restart.get_label():
            self._restart.set_label(words)
            say(self._restart, words)

    def _make_buttons(self) -> list[Gtk.Button]:
        studio = self._studio
        tip = tr("Ends Scumble's daemon and starts it again; what it was painting goes on.")
        self._restart = button(studio, "daemon-restart", tr("Restart"), tip, self._start)
        test = tr("Tries everything, from here to a painted picture.")
        copy = tr("Copies what a helper needs to know; it has no password and no name in it.")
        open_log = tr("Shows the log files.")
        return [
            self._restart,
            button(studio, "log-open", tr("Open log folder"), open_log, lambda: open_path(studio.log_folder())),
            button(studio, "self-test", tr("Self-test"), test, self._run_test),
            button(studio, "diagnostics-copy", tr("Copy diagnostics"), copy, self._copy),
        ]

    def _start(self) -> None:
        if self._studio.health is None:
            self._studio.start_daemon()
        else:
            self._studio.restart_daemon()

    def _run_test(self) -> None:
        self._is_testing = True
        self._say(tr("Testing…"))
        self._studio.self_test(while_alive(self, self._studio, self._show_checks))

    def _show_checks(self, checks: Sequence[Any]) -> None:
        self._is_testing = False
        self._say(checks_text(checks))

    def _end_test(self) -> None:
        """A test that could not even be made is told as an error of the panel."""
        if self._is_testing and self._studio.error is not None:
            self._is_testing = False
            self._say(self._studio.error.text)

    def _copy(self) -> None:
        copy_text(self._studio.diagnostics())
        self._say(tr("Copied."))

    def _say(self, text: str) -> None:
        self.checks.set_text(breakable(text))
        shown(self.checks, True)


def _fact(name: str) -> Gtk.Label:
    made = label()
    made.set_name(name)
    made.set_max_width_chars(_FACT_CHARS)
    made.set_selectable(True)
    made.set_can_focus(False)
    return made
