"""The run under way with its picture, Stop, Stop & keep, the queue, and the words of the dialog's own button."""

from __future__ import annotations

from functools import partial
from typing import Any

from .gtk import GimpUi, GLib, Gtk
from .inputs import elided, hint, label
from .link.fields import CONTROLS
from .link.guard import guarded
from .link.shown import PAINTING, TRAINING, ProgressWords, breakable, stylise_words
from .link.text import tr
from .link.tickets import Stage, Ticket
from .link.topics import Topic
from .link.wording import progress_line
from .look import IconButton, Picture
from .widget import GAP, Entry, button, call_on, listen, named, open_menu, row, say, shown

_PREVIEW_PX, _STRIP_PX = 190, 140
_PULSE_MS, _PULSE = 120, 0.06
_HAS_PROGRESS = (Stage.RUNNING, Stage.FETCHING, Stage.INSERTING)


class RunBar(Gtk.Box):
    """The run under way, the training under way, those that wait, and what `stylise`, the button that begins another
    run, says."""

    def __init__(self, studio: Any, stylise: Gtk.Button) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=GAP)
        self._studio = studio
        self.set_name("run-bar")
        self.progress = Progress(studio, PAINTING, _PREVIEW_PX)
        self.training = Progress(studio, TRAINING, _STRIP_PX)
        self.queue = Queue(studio)
        self.stylise = named(stylise, "stylise", tr("Stylise"), "")
        self.why_not = hint()
        self.why_not.set_name("why-not")
        for widget in (self.training, self.progress, self.queue, self.why_not):
            self.add(widget)
        # it is as wide as its longest words from the beginning, so that no button moves beneath the pointer
        stylise.connect("map", lambda *_: self._reserve())
        listen(self, studio, Topic.RUNS, self.refresh)
        for topic in (Topic.SETTINGS, Topic.SUBJECT, Topic.STATUS, Topic.TRAINED):
            listen(self, studio, topic, self._allow)
        self.refresh()

    def _reserve(self) -> None:
        shown_now, widths = self.stylise.get_label(), []
        self.stylise.set_size_request(-1, -1)
        for is_busy in (False, True):
            self.stylise.set_label(with_mnemonic(stylise_words(is_busy)[0]))
            widths.append(self.stylise.get_preferred_width()[1])
        self.stylise.set_label(shown_now)
        self.stylise.set_size_request(max(widths), -1)

    def refresh(self) -> None:
        """Show the runs."""
        tickets, trainings = self._studio.tickets, self._studio.trainings
        self.progress.show_ticket(tickets[0] if tickets else None)
        # one picture at a time: there is not the room for more
        self.training.show_ticket(trainings[0] if trainings else None, has_room=not tickets)
        self.queue.show_tickets((*tickets[1:], *trainings[1:]))
        words, _ = stylise_words(bool(tickets))
        if with_mnemonic(words) != self.stylise.get_label():
            self.stylise.set_label(with_mnemonic(words))
        self._allow()

    def _allow(self) -> None:
        error = self._studio.why_not
        _, tip = stylise_words(bool(self._studio.tickets))
        tip = tip if error is None else error.text
        self.stylise.set_sensitive(error is None)
        if tip != self.stylise.get_tooltip_text():
            self.stylise.set_tooltip_text(tip)
            say(self.stylise, stylise_words(bool(self._studio.tickets))[0], tip)
        why = breakable(error.text) if error is not None else ""
        if why != self.why_not.get_text():
            self.why_not.set_text(why)
        shown(self.why_not, error is not None)


def with_mnemonic(words: str) -> str:
    """Words whose second letter is their key: first ones are those of GIMP's own buttons."""
    return f"{words[:1]}_{words[1:]}"


class Progress(Gtk.Box):
    """A run or a training under way; its preview is at most `limit` px high."""

    def __init__(self, studio: Any, words: ProgressWords, limit: int) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=GAP)
        self._studio = studio
        self._ticket: Any = None
        self._seen: Any = None
        self._pulse = 0
        self._has_room = True
        prefix = words.prefix
        self.preview = Picture(limit)
        named(self.preview, f"{prefix}preview", tr("Preview"), tr(words.preview))
        self.bar = Gtk.ProgressBar(show_text=True, pulse_step=_PULSE)
        named(self.bar, f"{prefix}progress", tr("Progress"), tr(words.bar))
        self.line = hint()
        self.line.set_name(f"{prefix}progress-line")
        self.warnings = label()
        self.warnings.set_name(f"{prefix}warnings")
        self.stop = button(studio, f"{prefix}stop", tr("Stop"), tr(words.stop), lambda: self._stop(keep=False))
        self.keep = button(studio, f"{prefix}keep", tr("Stop & keep"), tr(words.keep), lambda: self._stop(keep=True))
        buttons = Gtk.Box(spacing=GAP, homogeneous=True)
        buttons.add(self.stop)
        buttons.add(self.keep)
        for each in (self.stop, self.keep):
            each.set_hexpand(True)
        for widget in (self.preview, self.bar, self.line, self.warnings, buttons):
            self.add(widget)
        self.show_all()
        shown(self, False)
        self.connect("destroy", lambda *_: self._rest())

    def show_ticket(self, ticket: Any, *, has_room: bool = True) -> None:
        """Show a run; None: there is none. Its picture is shown where there is room."""
        self._ticket, self._has_room = ticket, has_room
        shown(self, ticket is not None)
        seen = (ticket.number, ticket.preview_number) if ticket is not None and ticket.preview else None
        if seen != self._seen:
            self._seen = seen
            self.preview.show_picture(ticket.preview if seen else None, self._show_preview)
        self._show_preview()
        if ticket is None:
            self._rest()
            return
        self._show_bar(ticket)
        line = breakable(f"{ticket.title}\n{progress_line(ticket)}")
        if line != self.line.get_text():
            self.line.set_text(line)
        warnings = "\n".join(self._studio.warnings_of(ticket))
        self.warnings.set_text(f"⚠ {breakable(warnings)}" if warnings else "")
        shown(self.warnings, bool(warnings))
        self.stop.set_sensitive(not ticket.is_stopping and ticket.stage is not Stage.INSERTING)
        self.keep.set_sensitive(not ticket.is_stopping and ticket.stage is Stage.RUNNING)

    def _show_preview(self) -> None:
        shown(self.preview, self._has_room and self.preview.has_picture)

    def _show_bar(self, ticket: Ticket) -> None:
        if ticket.stage not in _HAS_PROGRESS or ticket.job is None:
            self.bar.set_text("")
            if not self._pulse:
                self.bar.pulse()
                self._pulse = GLib.timeout_add(_PULSE_MS, self._go_on_pulsing)
            return
        self._rest()
        share = min(1.0, max(0.0, ticket.job.progress))
        self.bar.set_fraction(share)
        self.bar.set_text(tr("{percent} %", percent=round(100 * share)))

    def _go_on_pulsing(self) -> bool:
        self.bar.pulse()
        return True

    def _rest(self) -> None:
        if self._pulse:
            GLib.source_remove(self._pulse)
            self._pulse = 0

    def _stop(self, *, keep: bool) -> None:
        if self._ticket is not None:
            self._studio.stop(self._ticket, keep)


class Queue(Gtk.Box):
    """The runs that wait, each with a button that takes it back."""

    def __init__(self, studio: Any) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        self._studio = studio
        self._shown: tuple[int, ...] = ()
        self.set_name("queue")
        say(self, tr("Queue"))
        shown(self, False)

    def show_tickets(self, tickets: Any) -> None:
        """Show the runs that wait."""
        numbers = tuple(ticket.number for ticket in tickets)
        if numbers == self._shown:
            return
        self._shown = numbers
        for each in self.get_children():
            each.destroy()
        for index, ticket in enumerate(tickets, 1):
            self.add(self._row(index, ticket))
        shown(self, bool(tickets))

    def _row(self, index: int, ticket: Ticket) -> Gtk.Widget:
        line, words = row(), elided(tr("Waits: {title}", title=ticket.title))
        words.set_tooltip_text(ticket.title)
        name = tr("Take back {title}", title=ticket.title)
        tip = tr("Takes this run back.")
        take_back = IconButton(GimpUi.ICON_WINDOW_CLOSE, f"queue-{index}-withdraw", name, tip)
        line.pack_start(words, True, True, 0)
        line.pack_start(take_back, False, False, 0)
        withdraw = guarded(self._studio, lambda: self._studio.withdraw(ticket))
        # the row may be gone before its own click has ended
        take_back.connect("clicked", lambda *_: GLib.idle_add(withdraw))
        line.show_all()
        return line


class Variations(Gtk.Box):
    """The button that makes a sheet of variations, and the menu of its kinds."""

    def __init__(self, studio: Any) -> None:
        super().__init__(valign=Gtk.Align.CENTER)
        self._studio = studio
        self.get_style_context().add_class(Gtk.STYLE_CLASS_LINKED)
        control = CONTROLS["variations"]
        self.begin = button(
            studio, "variations", tr(control.label), tr(control.tip), partial(studio.open_sheet, "strength")
        )
        self.menu = Gtk.Button()
        self.menu.add(Gtk.Image.new_from_icon_name("pan-down-symbolic", Gtk.IconSize.BUTTON))
        named(self.menu, "variations-menu", tr("Kinds of variations"), tr(control.tip))
        call_on(studio, self.menu, "clicked", self._open_menu)
        self.add(self.begin)
        self.add(self.menu)
        for topic in (Topic.RUNS, Topic.SETTINGS, Topic.SUBJECT, Topic.STATUS, Topic.TRAINED):
            listen(self, studio, topic, self._allow)
        self._allow()

    def _allow(self) -> None:
        self.set_sensitive(self._studio.why_not is None)

    def entries(self) -> list[Entry]:
        """What the menu offers."""
        open_sheet, tip = self._studio.open_sheet, tr(CONTROLS["variations"].tip)
        has_two = len(self._studio.settings.styles) > 1
        return [
            Entry("variations-strength", tr("Strength × stroke scale"), partial(open_sheet, "strength"), tip),
            Entry(
                "variations-weights",
                tr("Weights of the first two styles"),
                partial(open_sheet, "weights"),
                tip,
                has_two,
            ),
        ]

    def _open_menu(self) -> None:
        open_menu(self._studio, self.menu, "variations-entries", self.entries())
