"""What was painted into a folder, and of what: kept beside the results, so that the same command goes on.

A result is *done* by a *key*, which stands for all that it was painted from. The journal is a file of lines, each JSON,
that is only ever added to: a result is *begun* before it is written, and done after. So whatever lies in the folder
and was neither is somebody else's, and a line that a crash has cut short is no line. While a journal is open, it is
nobody else's.
"""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from scumble import locks
from scumble.errors import ScumbleError

NAME = ".scumble-batch.jsonl"


class Journal:
    """The journal of a folder that is there, inside `with`. Errors: cannot-write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done: dict[str, str | None] = {}
        try:
            descriptor = locks.open_lock(folder / NAME)
        except OSError as error:
            raise self._unwritable(error) from error
        self._file = os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace", newline="\n")
        try:
            locks.take(descriptor)
        except BlockingIOError as error:
            self._file.close()
            detail = f"Another `scumble batch` is painting into {folder}."
            raise ScumbleError("cannot-write", detail, "Wait for it, or choose another folder with -o.") from error
        text = self._file.read()
        for line in text.splitlines():
            self._read(line)
        if text and not text.endswith("\n"):
            self._add("")

    def _read(self, line: str) -> None:
        try:
            said = json.loads(line)
            self._done[str(said["result"])] = said.get("done")
        except (ValueError, TypeError, KeyError, AttributeError):
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def knows(self, result: str) -> bool:
        """Whether a result of that name was begun once."""
        return result in self._done

    def is_done(self, result: str, key: str) -> bool:
        """Whether what was last written under that name is what the key stands for."""
        return self._done.get(result) == key

    def begin(self, result: str) -> None:
        """A result is about to be written."""
        self._done[result] = None
        self._add(json.dumps({"result": result}))

    def end(self, result: str, key: str) -> None:
        """It is written."""
        self._done[result] = key
        self._add(json.dumps({"result": result, "done": key}))

    def _add(self, line: str) -> None:
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(f"{line}\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ScumbleError:
        return ScumbleError("cannot-write", f"{self._folder} cannot be written to: {error.strerror or error}.")
