"""Real daemons for tests: each a process of its own, with a folder of its own and its own place for temporary files.

A client here is what a plug-in would write with the standard library alone: forms put together by hand, answers as
status, headers and bytes.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from scumble import __version__, runtime
from scumble.client import Client
from scumble.home import private_folder, write_private
from scumble.picture import Picture, encode
from scumble.service.library import BUNDLED

QUICK = {"size": 64, "scales": 1, "iterations": [2]}
"""Fields of a recipe for a job that takes less than a second."""
_INHERITED = ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT", "VIRTUAL_ENV", "OMP_WAIT_POLICY")
PATIENCE_S = 120.0
"""How long anything may take on a busy machine."""


def _is_dead(process):
    """Whether it has come to its end; the system's first process takes seconds to clear away what it inherits."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass(frozen=True)
class Answer:
    """What came back; the headers' names are in lower case, in the order in which they came."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name):
        """Its value; None if it is not there."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def json(self):
        """The body, which is JSON."""
        return json.loads(self.body)

    @property
    def code(self):
        """The error's name in the table of errors."""
        assert self.header("content-type") == "application/problem+json", (self.status, self.body[:300])
        assert self.json["status"] == self.status
        return self.json["code"]


class Daemon:
    """`scumble serve` in a process of its own; `options` are its, `env` what its environment holds besides."""

    def __init__(self, folder, *options, env=None, umask=-1):
        self.folder = Path(folder)
        self.home = self.folder / "home"
        self.temporary = self.folder / "tmp"
        self.options = [str(option) for option in options]
        self.umask = umask
        self.environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | {
            "SCUMBLE_HOME": str(self.home),
            "HOME": str(self.folder),
            "TMPDIR": str(self.temporary),
            # two threads that wait for each other take far longer over a small picture where the machine is busy
            "OMP_NUM_THREADS": "1",
            **(env or {}),
        }
        self.process = None
        self.file = None
        self.words = self.folder / "words.txt"
        """What it says on its screen."""

    # ----------------------------------------------------------------------------------------------- life and death

    def start(self, wait=True):
        """Start it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir(exist_ok=True)
        with self.words.open("ab") as words:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scumble", "serve", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                cwd=self.folder,
                env=self.environment,
                umask=self.umask,
                start_new_session=True,
            )
        if wait:
            self.await_answer()
        return self

    def await_answer(self):
        """Wait until it answers, as this process."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.said()
            file = runtime.read(self.home)
            if file is not None and file.pid == self.process.pid:
                self.file = file
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if self.ask("GET", "/v1/health").status == 200:
                        return
            time.sleep(0.05)
        raise AssertionError(f"the daemon does not answer: {self.said()}")

    def stop(self, kind=signal.SIGTERM, timeout_s=PATIENCE_S):
        """End it by a signal, as a system does that shuts down; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(kind)
        return self.process.wait(timeout_s)

    def kill(self):
        """End it as a power cut would, its workers with it."""
        workers = self.workers()
        self.process.kill()
        self.process.wait(PATIENCE_S)
        for worker in workers:
            with contextlib.suppress(psutil.Error):
                worker.kill()
        deadline = time.monotonic() + PATIENCE_S
        while not all(map(_is_dead, workers)):
            assert time.monotonic() < deadline, "a worker outlives SIGKILL"
            time.sleep(0.01)

    def restart(self):
        """Start it again, after whatever end it came to."""
        if self.process.poll() is None:
            self.stop()
        return self.start()

    def workers(self):
        """Its worker processes."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def said(self):
        """What it said on its screen."""
        return self.words.read_text(errors="replace") if self.words.exists() else ""

    def log(self):
        """What is in its log."""
        return (self.home / "logs" / "daemon.log").read_text(errors="replace")

    def scumble(self, *words, status=0, env=None):
        """Run a command of `scumble` beside it; what it says on stdout and on stderr."""
        ended = subprocess.run(
            [sys.executable, "-m", "scumble", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended.stdout, ended.stderr

    # ------------------------------------------------------------------------------------------------------- asking

    @property
    def url(self):
        """Where it listens."""
        return self.file.url

    @property
    def port(self):
        """On which port."""
        return int(self.url.rpartition(":")[2])

    @property
    def token(self):
        """What to say to it."""
        return self.file.token

    @property
    def pid(self):
        """Its process."""
        return self.file.pid

    def client(self, **options):
        """Scumble's own client."""
        return Client(self.url, self.token, **options)

    def ask(self, method, path, body=None, headers=None, *, token=True, timeout_s=PATIENCE_S):
        """One question over a connection of its own; `token` False says none, a text says that one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        said = dict(headers or {})
        if token:
            said["Authorization"] = f"Bearer {self.token if token is True else token}"
        if isinstance(body, dict):
            body, said["Content-Type"] = json.dumps(body).encode(), "application/json"
        with contextlib.closing(connection):
            connection.request(method, path, body, said)
            response = connection.getresponse()
            names = tuple((name.lower(), value) for name, value in response.getheaders())
            return Answer(response.status, names, response.read())

    def raw(self, data, timeout_s=PATIENCE_S):
        """Say these bytes; all that comes back until the connection is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
            connection.sendall(data)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while block := connection.recv(65536):
                    answer += block
            return answer

    def post(self, *parts, headers=None, path="/v1/jobs"):
        """Post a form; see `form`."""
        body, media_type = form(*parts)
        return self.ask("POST", path, body, {"Content-Type": media_type, **(headers or {})})

    def submit(self, content=None, style=None, *more, headers=None, **recipe):
        """Post a job that is quick unless the recipe's fields say otherwise; the job."""
        parts = [
            ("recipe", json.dumps({**QUICK, **recipe})),
            ("content", CONTENT if content is None else content, "content"),
            ("style", STYLE if style is None else style, "style"),
            *more,
        ]
        answer = self.post(*parts, headers=headers)
        assert answer.status == 202, answer.body
        return answer.json

    def job(self, id):
        """How far a job is."""
        answer = self.ask("GET", f"/v1/jobs/{id}")
        assert answer.status == 200, answer.body
        return answer.json

    def wait(self, id, until=lambda job: job["state"] in {"done", "stopped", "failed"}):
        """The job, once that is true of it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            job = self.job(id)
            if until(job):
                return job
            time.sleep(0.05)
        raise AssertionError(f"in vain: {job}")

    def result(self, id, accept="image/png"):
        """A job's result, once it is done."""
        job = self.wait(id)
        assert job["state"] == "done", job
        answer = self.ask("GET", f"/v1/jobs/{id}/result", headers={"Accept": accept})
        assert (answer.status, answer.header("content-type")) == (200, accept), answer.body[:300]
        return answer.body


def drawn(home):
    """Let a daemon find its bundled styles, as small pictures: it would draw them after a minute, for half a minute."""
    for style in BUNDLED:
        folder = private_folder(home / "styles" / f".bundled-{__version__}" / style)
        write_private(folder / "picture.png", STYLE)


@contextlib.contextmanager
def running(folder, *options, draws=False, **more):
    """A daemon for the block; unless it `draws` them itself its bundled styles are small."""
    with unborn(folder, *options, **more) as daemon:
        if not draws:
            drawn(daemon.home)
        yield daemon.start()


@contextlib.contextmanager
def unborn(folder, *options, **more):
    """A daemon that the block may start; at its end there is none."""
    daemon = Daemon(folder, *options, **more)
    try:
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            try:
                daemon.stop(timeout_s=60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                raise


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    """A daemon for all tests that do it no harm."""
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


# ------------------------------------------------------------------------------------------------------ what is sent


def form(*parts, boundary="scumble-8e1c4f0a"):
    """A multipart body and its media type; a part is (name, data), or with a file name (name, data, file name)."""
    body = b""
    for name, data, *file in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if file:
            body += f'; filename="{file[0]}"\r\nContent-Type: application/octet-stream'.encode()
        body += b"\r\n\r\n" + (data.encode() if isinstance(data, str) else data) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def pixels(width=64, height=48, channels=3, depth="uint8", seed=0):
    """Values with structure of several sizes and some grain, alike for all depths."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (5 + seed) + k) * np.cos(columns / (7 + k + seed)) for k in range(channels)]
    values = 0.5 + 0.35 * np.stack(waves, axis=-1) + rng.normal(0, 0.03, (height, width, channels))
    values = values.clip(0, 1).astype(np.float32)
    return values if depth == "float32" else np.rint(values * np.iinfo(depth).max).astype(depth)


def picture_file(form="png", **how):
    """A picture as the bytes of a file."""
    return encode(Picture(pixels(**how)), form)


def soft_mask(width=64, height=48):
    """A disc with a wide soft edge, 0 to 255, that leaves more than half of the picture out."""
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - height / 2, columns - width / 2)
    return np.rint(255 * np.clip((0.42 * min(width, height) - distance) / 8, 0, 1)).astype(np.uint8)


def mask_file(mask):
    """A mask as a PNG."""
    return encode(Picture(np.asarray(mask, np.uint8)[..., None]), "png")


CONTENT = picture_file()
STYLE = picture_file(width=48, seed=3)
