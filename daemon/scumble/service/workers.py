"""Workers as the daemon sees them: processes that are woken, spoken to, heard, and sent home.

A worker is *asleep* (there is no process), *starting*, *ready*, *painting* a job, or *failed* (its last process could
not begin to work).
"""

import contextlib
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

from pydantic import ValidationError

from scumble.protocol import Device
from scumble.service import messages as say
from scumble.service.logs import job_context
from scumble.service.settings import Settings

log = logging.getLogger(__name__)

# -P: whatever lies in the folder in which the daemon was started, such as somebody's queue.py, is not imported
COMMAND = (sys.executable, "-P", "-m", "scumble.service.worker")
_GRACE_S = 20.0
"""How long a worker may take to put its job away before it is ended by force."""
_NOT_STARTED = 127
"""The status of a process that never was, as shells have it."""


class Worker:
    """One device's worker. `heard` is told what it says, and its exit status when it ends; from other threads."""

    def __init__(
        self,
        device: str,
        settings: Settings,
        heard: Callable[["Worker", say.Word | int], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.device = device
        self._settings, self._heard, self._command = settings, heard, command
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.ready: say.Ready | None = None
        self.memory: say.Memory | None = None
        self.broken: say.Broken | None = None
        self.job: str | None = None
        self.makes_way = False
        """Whether it was told to put away what it does."""
        self.free_since = time.monotonic()
        self.failures = 0
        self.is_leaving = False

    @property
    def is_asleep(self) -> bool:
        """Whether there is no process."""
        return self._process is None

    @property
    def is_free(self) -> bool:
        """Whether it could paint right now."""
        return self.ready is not None and self.job is None and not self.is_leaving

    @property
    def name(self) -> str:
        """The device, as torch knows it; `auto` until it is known."""
        return self.ready.device if self.ready else self.device

    def wake(self) -> None:
        """Start its process if there is none."""
        if self._process is not None:
            return
        settings = self._settings
        command = [*self._command, "--device", self.device]
        command += ["--cache", str(settings.cache), "--cache-bytes", str(settings.limits.cache_bytes)]
        self.ready = self.memory = None
        self.is_leaving = False
        pipe = subprocess.PIPE
        try:
            # a session of its own: Ctrl-C in the terminal is the daemon's to hear
            self._process = process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            log.error("The worker for %s cannot be started: %s", self.device, error)  # noqa: TRY400
            self.broken = None
            threading.Thread(target=self._hear, args=(_NOT_STARTED,), daemon=True).start()
            return
        log.info("A worker for %s starts, process %d.", self.device, process.pid)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._outbox = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, args=(process, process.stdout), daemon=True)
        self._listener.start()
        threading.Thread(target=self._speak, args=(process.stdin, self._outbox), daemon=True).start()
        threading.Thread(target=self._note, args=(process.stderr,), daemon=True).start()

    def tell(self, message: say.Told) -> None:
        """Say something to it, without waiting until it listens; lost if it has just ended, which will be heard of."""
        self._outbox.put(message.line())

    def send_home(self) -> None:
        """Let it put its job away and end, and all its memory with it."""
        self.is_leaving = True
        self.tell(say.Leave())

    def await_end(self) -> None:
        """Wait until it has ended, by force if need be."""
        process, listener = self._process, self._listener
        if process is not None:
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                log.warning("The worker for %s does not end, and is killed.", self.name)
                process.kill()
                process.wait()
        if listener is not None:  # what it said last is to be heard
            listener.join(_GRACE_S)

    def describe(self) -> Device:
        """How it stands, for those who ask."""
        if self.is_asleep:
            state = "failed" if self.broken else "asleep"
        elif self.ready is None:
            state = "starting"
        else:
            state = "painting" if self.job else "ready"
        return Device(
            name=self.name,
            description=self.ready.description if self.ready else "",
            state=state,
            job=self.job,
            memory_free_mb=self.memory.free_mb if self.memory else None,
            memory_used_mb=self.memory.used_mb if self.memory else None,
        )

    def ended(self) -> None:
        """Note that its process is no more."""
        self._process = self.ready = self.memory = None
        self.job, self.makes_way = None, False
        self._outbox.put(None)

    def _listen(self, process: subprocess.Popen[bytes], voice: IO[bytes]) -> None:
        with voice:
            for line in voice:
                try:
                    word = say.Report.validate_json(line)
                except ValidationError:
                    log.error("The worker for %s said something that nobody understands.", self.name)  # noqa: TRY400
                    continue
                self._hear(word)
        self._hear(process.wait())

    def _hear(self, word: say.Word | int) -> None:
        try:
            self._heard(self, word)
        except Exception:  # what it says next is to be heard all the same
            log.exception("Something went wrong while the worker for %s was heard.", self.name)

    @staticmethod
    def _speak(ear: IO[bytes], outbox: "queue.SimpleQueue[bytes | None]") -> None:
        with contextlib.suppress(OSError), ear:
            while (line := outbox.get()) is not None:
                ear.write(line)
                ear.flush()

    def _note(self, errors: IO[bytes]) -> None:
        with errors:
            for line in errors:
                job = self.job
                with contextlib.nullcontext() if job is None else job_context(job):
                    log.info("worker: %s", line.decode(errors="replace").rstrip())
