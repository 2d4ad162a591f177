"""The daemon: HTTP around the engine. It runs for days, loses nothing that it accepted, and imports no torch itself."""
