"""A daemon that does what a test tells it to, and paints by turning every value upside down.

    with FakeDaemon(home) as daemon:                     # writes the runtime file into `home`, if one is given
        daemon.story = [running(1), running(2), done()]  # what jobs say, one after another, whenever they are asked
        daemon.once("POST /v1/jobs", problem("queue-full", retry_after=0))
        daemon.once("GET /v1/jobs/job-1", daemon.restart, hang_up)
        ...
        assert [str(asked) for asked in daemon.asked] == ["GET /v1/health", "POST /v1/jobs", …]

A *mishap* is told once instead of the answer: it gets the `Asked` and gives (status, media type, body, headers), or
None for no answer at all.
"""

import contextlib
import hashlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import numpy as np
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

from scumble import runtime
from scumble.errors import CATALOGUE
from scumble.picture import Picture, decode, encode
from scumble.protocol import PROTOCOL, Job, Problem, RuntimeFile, Scale, State

TOKEN = "a-token-that-nobody-should-see"
_FORMATS = {"image/png": "png", "image/tiff": "tiff", "image/webp": "webp", "application/x-npy": "npy"}


@dataclass
class Asked:
    """A request as it came: `parts` and `files` of a multipart body by name, `said` a JSON one."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    parts: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.method} {self.path}"

    @property
    def said(self):
        return json.loads(self.body)


def answer(model, status=200, **headers):
    """A model, or a mapping, as JSON."""
    body = model.model_dump_json() if hasattr(model, "model_dump_json") else json.dumps(model)
    return status, "application/json", body.encode(), headers


def problem(code, detail="It cannot be.", status=None, retry_after=None):
    """A mishap: a refusal."""
    status = status or CATALOGUE[code].http_status
    told = Problem(title=code, status=status, detail=detail, code=code, hint="Do something about it.")
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return lambda asked: (status, "application/problem+json", told.model_dump_json().encode(), headers)


def hang_up(asked):
    """A mishap: the connection is closed without an answer."""


def slow(seconds):
    """A mishap: silence, then a list of no jobs."""
    return lambda asked: time.sleep(seconds) or answer({"jobs": []})


def words(text, status=200):
    """A mishap: something that no daemon says."""
    return lambda asked: (status, "text/html", text.encode(), {})


def queued(position=1):
    return {"state": State.QUEUED, "phase": "waiting", "position": position}


def running(iteration, iterations=4, **more):
    scale = Scale(width=64, height=48, number=1, count=1)
    told = {"iteration": iteration, "iterations": iterations, "progress": iteration / iterations, "scale": scale}
    losses = {"total": 1.5, "content": 0.5, "style": 1.0}
    return {"state": State.RUNNING, "phase": "painting", "seconds_left": 3.0, "losses": losses, **told, **more}


def done(state=State.DONE, **more):
    told = {"iteration": 4, "iterations": 4, "progress": 1.0, "has_result": True, "seconds": 1.5, **more}
    return {"state": state, "phase": "finished", "features": "fake", **told}


def failed(code, detail):
    told = Problem(title="", status=500, detail=detail, code=code, hint="Buy more.")
    return {"state": State.FAILED, "phase": "finished", "problem": told}


def _shown(picture, asked):
    """A picture, in the form that is asked for first."""
    media_type = asked.headers["accept"].split(",")[0]
    return 200, media_type, encode(picture, _FORMATS[media_type]), {}


class FakeDaemon:
    """Answers on a port of its own; use it in `with`."""

    def __init__(self, home=None):
        self.home, self.token, self.protocol = home, TOKEN, PROTOCOL
        self.story = [queued(), running(2), done()]
        self.jobs, self.contents, self.keys = {}, {}, {}
        self.lessons = {}
        """What a job says more where it is a training."""
        night = {"id": "night", "name": "Swirling night", "tags": ["oil"], "width": 768, "height": 768, "crop": None}
        self.models = []
        self.styles = [{**night, "is_bundled": True, "picture": "library:night"}]
        self.asked, self._mishaps = [], {}
        self._server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def once(self, what, *mishaps):
        """Let these happen, one after another, when it is asked for `what`, such as "GET /v1/health"."""
        self._mishaps.setdefault(what, deque()).extend(mishaps)

    def count(self, what):
        return [str(asked) for asked in self.asked].count(what)

    def start(self):
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                daemon._handle(self)

            do_POST = do_DELETE = do_PATCH = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if self.home:
            told = {"pid": 1, "version": "0", "protocol": self.protocol, "command": [], "instance": "fake"}
            runtime.write(self.home, RuntimeFile(url=self.url, token=self.token, **told))

    def stop(self, asked=None):
        """Nobody answers any more; also a mishap."""
        if self._server:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()

    def restart(self, asked=None):
        """The same jobs, under another address and token; also a mishap."""
        self.stop()
        self.token += "-new"
        self.start()

    # ------------------------------------------------------------------------------------------------------- answers

    def _handle(self, handler):
        url = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.get("content-length", 0)))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        asked = Asked(handler.command, url.path, query, headers, body)
        kind, options = parse_options_header(headers.get("content-type"))
        if kind == "multipart/form-data":
            parser = MultiPartParser(lambda **_: BytesIO(), max_form_memory_size=None)
            form, files = parser.parse(BytesIO(body), options["boundary"].encode(), len(body))
            asked.parts, asked.files = form.to_dict(), {name: file.read() for name, file in files.items()}
        self.asked.append(asked)
        mishaps = self._mishaps.get(str(asked))
        told = (mishaps.popleft() if mishaps else self._answer)(asked)
        handler.close_connection = told is None or self._server is None
        if told is None:
            return
        status, media_type, body, headers = told
        handler.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        with contextlib.suppress(ConnectionError):  # who asked has not waited for it
            handler.end_headers()
            handler.wfile.write(body)

    def _answer(self, asked):
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return problem("unauthorized")(asked)
        match asked.method, asked.path.split("/")[2:]:
            case "GET", ["health"]:
                return answer({"name": "scumble", "version": "0", "protocol": self.protocol, "instance": "fake"})
            case "POST", ["jobs"]:
                return self._submit(asked)
            case "POST", ["train"]:
                return self._train(asked)
            case "GET", ["models"]:
                return answer({"models": self.models})
            case "DELETE", ["models", name] if name in [model["name"] for model in self.models]:
                self.models = [model for model in self.models if model["name"] != name]
                return 204, "application/json", b"", {}
            case "GET", ["jobs"]:
                return answer({"jobs": [self._told(id) for id in reversed(self.jobs)]})
            case "GET", ["presets"]:
                return answer({"presets": [{"name": "fine", "description": "larger", "recipe": {"quality": "fine"}}]})
            case "GET", ["styles"]:
                return answer({"styles": self.styles})
            case "POST", ["styles"]:
                id = f"own-{len(self.styles)}"
                told = {"name": asked.parts["name"], "is_bundled": False, "picture": f"library:{id}"}
                self.styles.insert(0, {**self.styles[-1], "id": id, **told})
                return answer(self.styles[0], 201)
            case "GET", ["styles", id, "thumbnail"] if id in [style["id"] for style in self.styles]:
                return 200, "image/jpeg", f"a thumbnail of {id}".encode(), {}
            case "POST", ["estimate"]:
                told = {"width": 64, "height": 48, "iterations": 4, "scales": 1, "tile_px": None, "memory_mb": 99}
                return answer(
                    {**told, "seconds": 2, "is_measured": False, "features": "fake", "device": "cpu", "warnings": []}
                )
            case "POST", ["shutdown"]:
                return answer({}, 202)
            case method, ["jobs", id, *rest] if id in self.jobs:
                return self._about(method, id, rest, asked)
        return problem("not-found")(asked)

    def _submit(self, asked):
        key = asked.headers.get("idempotency-key")
        if key not in self.keys:
            id = self.keys[key] = f"job-{len(self.jobs) + 1}"
            self.contents[id] = asked.files["content"]
            size = decode(asked.files["content"]).size
            common = {"id": id, "recipe": json.loads(asked.parts["recipe"]), "created": datetime.now(UTC)}
            common |= {
                "width": size[0],
                "height": size[1],
                "bounds": {"x": 0, "y": 0, "width": size[0], "height": size[1]},
            }
            self.jobs[id] = deque(Job(seq=number, **common, **told) for number, told in enumerate(self.story, 1))
        return answer(self._now(self.keys[key]), 202)

    def _train(self, asked):
        """What is to be learnt is among the models at once."""
        options = json.loads(asked.parts["options"])
        data = [asked.files.get(name) for name in options["styles"]]
        digests = ["" if each is None else hashlib.sha256(each).hexdigest() for each in data]
        styles = [
            {"name": name, "digest": digest, "part": None}
            for name, digest in zip(options["styles"], digests, strict=True)
        ]
        facts = {"size": 512, "steps": 1, "minutes": 0.1, "features": "fake", "bytes": 1000}
        self.models.append({"name": options["name"], "styles": styles, **facts})
        id = self.keys[asked.headers.get("idempotency-key")] = f"job-{len(self.jobs) + 1}"
        common = {"id": id, "recipe": options, "created": datetime.now(UTC), "width": 0, "height": 0}
        self.jobs[id] = deque(Job(seq=number, **common, **told) for number, told in enumerate(self.story, 1))
        self.lessons[id] = {"kind": "train", "model": options["name"]}
        return answer(self._told(id), 202)

    def _told(self, id):
        return {**json.loads(self._now(id).model_dump_json()), **self.lessons.get(id, {})}

    def _now(self, id):
        return self.jobs[id][0]

    def _about(self, method, id, rest, asked):
        match method, rest:
            case "GET", []:
                if "after" in asked.query and len(self.jobs[id]) > 1:
                    self.jobs[id].popleft()
                return answer(self._now(id))
            case "POST", ["stop"]:
                if self._now(id).state.is_final:
                    return problem("wrong-state")(asked)
                told = {"state": State.STOPPED, "phase": "finished", "has_result": asked.said["keep"]}
                changes = [{"phase": "stopping"}, {"phase": "still stopping"}, told]
                now = self._now(id)
                self.jobs[id] = deque(
                    now.model_copy(update={"seq": now.seq + 10 + number, **change})
                    for number, change in enumerate(changes)
                )
                return answer(self._now(id))
            case "POST", ["move" | "continue"]:
                return answer(self._now(id))
            case "DELETE", []:
                del self.jobs[id]
                return 204, "application/json", b"", {}
            case "GET", ["preview"] if self._now(id).preview:
                return 200, "image/jpeg", b"a small picture", {}
            case "GET", ["mask"]:
                height, width = decode(self.contents[id]).pixels.shape[:2]
                mask = Picture(np.full((height, width, 1), 77, np.uint8))
                return _shown(mask, asked)
            case "GET", ["result"] if self._now(id).has_result:
                content = decode(self.contents[id])
                full = 1 if content.depth == "float32" else 2 ** (8 * content.pixels.itemsize) - 1
                painted = Picture(full - content.pixels, text={"scumble:recipe": "of the daemon"})
                return _shown(painted, asked)
        return problem("wrong-state" if rest == ["result"] else "not-found")(asked)
