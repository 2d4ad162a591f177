"""Old name of `runner`, to go: as `krita` it hides Krita's own module from the plug-in in tests."""

from runner import *  # noqa: F403
