"""Scumble in Krita: a docker and actions. What paints is Scumble's daemon, a program of its own on the same machine."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("krita") is not None:
    from .extension import register

    register()
