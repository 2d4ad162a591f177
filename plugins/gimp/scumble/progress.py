"""GIMP's own progress bar: in the image's window, or wherever whoever called the procedure wants it."""

from __future__ import annotations

from .gimp import Gimp
from .link.text import tr
from .link.tickets import Stage, Ticket
from .link.wording import progress_line


class Progress:
    """The bar, from its beginning to `end`. All of it on the main thread; GIMP's Cancel beside it ends the process."""

    def __init__(self) -> None:
        self._said = ""
        self._part = 0.0
        Gimp.progress_init(tr("Scumble"))

    def show(self, ticket: Ticket) -> None:
        """How far a run is."""
        said = progress_line(ticket)
        if said != self._said:
            self._said = said
            Gimp.progress_set_text(said)
        if ticket.job is None or ticket.stage is Stage.QUEUED:
            Gimp.progress_pulse()
        elif ticket.job.progress > self._part:
            self._part = ticket.job.progress
            Gimp.progress_update(self._part)

    def end(self) -> None:
        """Take it away."""
        Gimp.progress_end()
