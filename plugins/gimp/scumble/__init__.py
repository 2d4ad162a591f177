"""Scumble in GIMP: a procedure and its dialog. What paints is Scumble's daemon, a program of its own on the machine."""
