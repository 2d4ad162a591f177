"""Runs inside Krita as a plug-in of its own: plays the cases of canvas_cases.py as soon as there is a window."""

import os
import threading

from krita import Extension, Krita
from PyQt5.QtCore import QTimer


class Actor(Extension):
    """Begins when the window is there."""

    def setup(self):
        notifier = Krita.instance().notifier()
        notifier.setActive(True)
        notifier.windowCreated.connect(self._begin)

    def _begin(self):
        QTimer.singleShot(2000, self._play)

    def _play(self):
        import krita_rig

        self.desk = krita_rig.Desk()
        far = krita_rig.FarRig(self.desk, krita_rig.KritaRig())
        threading.Thread(target=_perform, args=[far], daemon=True).start()

    def createActions(self, window):  # noqa: N802
        pass


def _perform(far):
    import krita_rig
    from canvas_cases import CASES

    try:
        krita_rig.rig.play(far, CASES, krita_rig.FOLDER)
    finally:
        os._exit(0)


if os.environ.get("SCUMBLE_TEST"):
    Krita.instance().addExtension(Actor(Krita.instance()))
