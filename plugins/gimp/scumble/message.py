"""The error or the notice that stands in the panel: a sentence, the fix, Details, Copy."""

from __future__ import annotations

from typing import Any

from .gtk import GimpUi, Gtk, copy_text
from .inputs import bold, label
from .link import colors
from .link.shown import breakable
from .link.text import tr
from .link.topics import Topic
from .look import IconButton, ground, paint_with
from .widget import GAP, button, call_on, column, listen, named, row, say, shown

_DETAILS_PX = 90
_BAR, _EDGE = 4, 0.6


class Message(Gtk.Box):
    """Stands until it is dismissed; never a window of its own."""

    def __init__(self, studio: Any) -> None:
        super().__init__()
        self._studio = studio
        self._color = "amber"
        self.set_name("message")
        self.sentence, self.fix = label(), label()
        self.sentence.set_name("message-sentence")
        self.fix.set_name("message-fix")
        self.dismiss = IconButton(
            GimpUi.ICON_WINDOW_CLOSE, "message-dismiss", tr("Dismiss"), tr("Takes this message away.")
        )
        self.dismiss.set_valign(Gtk.Align.START)
        self.report = Gtk.TextView(editable=False, cursor_visible=False, accepts_tab=False)
        self.report.set_wrap_mode(Gtk.WrapMode.WORD_CHAR)
        named(self.report, "message-report", tr("Details"), tr("All that is known of it."))
        self.details = Gtk.ToggleButton(label=tr("Details"))
        named(self.details, "message-details", tr("Details"), tr("Shows all that is known of it."))
        self.copy = button(studio, "message-copy", tr("Copy"), tr("Copies the details, for a report."), self._copy)
        self._arrange()
        # after the children, for GIMP's themes give these a background of their own
        self.connect_after("draw", self._draw)
        self.details.connect("toggled", lambda details: shown(self._scroll, details.get_active()))
        call_on(studio, self.dismiss, "clicked", studio.dismiss)
        listen(self, studio, Topic.ERROR, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the studio has to say."""
        error, notice = self._studio.error, self._studio.notice
        self.details.set_active(False)
        shown(self._more, error is not None)
        if error is not None:
            self._color = "red"
            self._say(error.detail or error.title, error.hint or "")
            self.report.get_buffer().set_text(error.report)
        else:
            self._color = "amber"
            self._say(notice, "")
        shown(self, error is not None or bool(notice))
        self.queue_draw()

    def _arrange(self) -> None:
        self._scroll = Gtk.ScrolledWindow(shadow_type=Gtk.ShadowType.IN)
        self._scroll.set_size_request(-1, _DETAILS_PX)
        self._scroll.add(self.report)
        self.report.show()
        top, self._more = row(), row()
        top.pack_start(self.sentence, True, True, 0)
        top.pack_start(self.dismiss, False, False, 0)
        self._more.pack_start(self.details, False, False, 0)
        self._more.pack_start(self.copy, False, False, 0)
        inside = column()
        for widget in (top, self.fix, self._more, self._scroll):
            inside.add(widget)
        inside.set_border_width(GAP)
        inside.set_margin_start(_BAR)
        self.pack_start(inside, True, True, 0)
        self.show_all()
        shown(self._scroll, False)

    def _say(self, sentence: str, fix: str) -> None:
        self.sentence.set_markup(bold(breakable(sentence)))
        self.fix.set_text(breakable(fix))
        shown(self.fix, bool(fix))
        say(self, sentence)

    def _copy(self) -> None:
        if self._studio.error is not None:
            copy_text(self._studio.error.report)

    def _draw(self, _: Any, context: Any) -> bool:
        window, text = ground(self)
        color = colors.signal_color(self._color, window, text)
        width, height = self.get_allocated_width(), self.get_allocated_height()
        paint_with(context, color)
        context.rectangle(0, 0, _BAR, height)
        context.fill()
        paint_with(context, colors.blended(window, color, _EDGE))
        context.set_line_width(1)
        context.rectangle(0.5, 0.5, width - 1, height - 1)
        context.stroke()
        return False
