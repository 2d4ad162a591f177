import http.client
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from scumble.errors import ScumbleError
from scumble.service import server as module
from scumble.service.guard import Guard
from scumble.service.server import Server
from scumble.service.settings import Limits

TOKEN = "secret-token"
LIMITS = Limits(body_bytes=1_000_000)


class App:
    """Tells how long a body was; `/hold` waits until the test lets go."""

    def __init__(self):
        self.bodies = []
        self.held = 0
        self.let_go = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/hold":
            with self.lock:
                self.held += 1
            self.let_go.wait(30)
        if path == "/mistake":
            raise RuntimeError("the inside of it")
        body = environ["wsgi.input"].read()
        self.bodies.append(body)
        data = (
            b"x" * int(environ["QUERY_STRING"] or 0)
            or json.dumps(
                {"length": len(body), "forwarded": environ.get("HTTP_X_FORWARDED_FOR"), "host": environ["REMOTE_ADDR"]}
            ).encode()
        )
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
        return [data]


@contextmanager
def serving(app, limits=LIMITS, on_stop=lambda: None, **options):
    server = Server(app, Guard(TOKEN, [], False), "127.0.0.1", 0, limits, **options)
    thread = threading.Thread(target=server.run, args=(on_stop,))
    thread.start()
    try:
        yield server
    finally:
        getattr(app, "let_go", threading.Event()).set()
        server.stop()
        thread.join(15)
        assert not thread.is_alive()


@pytest.fixture
def app():
    return App()


@pytest.fixture
def server(app, tmp_path):
    with serving(app, spool=tmp_path) as server:
        yield server


def ask(server, method="GET", path="/v1/x", body=None, token=TOKEN, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            names["Authorization"] = f"Bearer {token}"
        connection.request(method, path, body, names, encode_chunked="Transfer-Encoding" in names)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def raw(server, text, wait_s=20):
    """Everything that comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait_s) as connection:
        connection.sendall(text)
        return read_all(connection)


def read_all(connection):
    found = b""
    while block := connection.recv(65536):
        found += block
    return found


def head(server, path="/v1/x", method="POST", token=TOKEN, **headers):
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Authorization: Bearer {token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def soon(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def problem(answer):
    """Status, headers and code of an answer that has to be a problem document."""
    top, _, body = answer.partition(b"\r\n\r\n")
    lines = top.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["content-length"]) == len(body)
    assert headers["connection"] == "close"
    data = json.loads(body)
    assert data["status"] == int(lines[0].split()[1])
    return data["status"], headers, data["code"]


def test_a_request_reaches_the_application(app, server):
    status, headers, body = ask(server, "POST", body=b"ab" * 400_000)
    assert status == 200
    assert json.loads(body)["length"] == 800_000
    assert app.bodies == [b"ab" * 400_000]
    assert "server" not in headers
    assert server.url == f"http://127.0.0.1:{server.port}"


def test_a_body_in_chunks_reaches_the_application_whole(app, server):
    status, _, body = ask(server, "POST", body=iter([b"one", b"two" * 100_000]), Transfer_Encoding="chunked")
    assert (status, json.loads(body)["length"]) == (200, 300_003)


def test_forwarded_headers_are_not_believed(server):
    _, _, body = ask(server, X_Forwarded_For="1.2.3.4")
    assert json.loads(body) == {"length": 0, "forwarded": None, "host": "127.0.0.1"}


@pytest.mark.parametrize(
    ("headers", "token", "status", "code"),
    [
        ({}, None, 401, "unauthorized"),
        ({}, "wrong", 401, "unauthorized"),
        ({"Host": "evil.example"}, TOKEN, 403, "foreign-host"),
        ({"Origin": "http://evil.example"}, TOKEN, 403, "foreign-origin"),
    ],
)
def test_a_refused_body_is_read_but_not_kept(app, server, tmp_path, monkeypatch, headers, token, status, code):
    kept = []
    write = module._Body.append

    def append(self, data):
        write(self, data)
        kept.append(not self._file.closed)

    monkeypatch.setattr(module._Body, "append", append)
    found, answered, body = ask(server, "POST", body=b"z" * 900_000, token=token, **headers)
    assert (found, json.loads(body)["code"]) == (status, code)
    assert answered["Content-Type"] == "application/problem+json"
    assert (answered["WWW-Authenticate"] == "Bearer") == (status == 401)
    assert app.bodies == []
    assert kept and not any(kept)


def test_one_that_asks_first_is_refused_without_its_body(app, server):
    answer = raw(server, head(server, token="wrong", Content_Length=500_000, Expect="100-continue"))
    assert problem(answer)[::2] == (401, "unauthorized")
    answer = raw(server, head(server, Content_Length=1_000_001, Expect="100-continue"))
    assert problem(answer)[::2] == (413, "request-too-large")
    assert app.bodies == []


def test_one_that_asks_first_and_then_does_not_wait_gets_its_answer(server):
    for _ in range(20):
        text = head(server, token="wrong", Content_Length=500_000, Expect="100-continue") + b"x" * 500_000
        assert problem(raw(server, text))[0] == 401


def test_one_that_asks_first_may_go_on(app, server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head(server, Content_Length=3, Expect="100-continue", Connection="close"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert b'"length": 3' in read_all(connection)


def test_one_that_asks_first_and_has_no_body_is_answered(server):
    text = head(server, method="GET", Expect="100-continue", Connection="close")
    assert raw(server, text, 5).startswith(b"HTTP/1.1 200 OK")


def test_a_body_of_exactly_the_limit_is_taken(server):
    assert ask(server, "POST", body=b"x" * 1_000_000)[0] == 200


def test_a_body_over_the_limit_gets_its_answer(app, server):
    status, _, body = ask(server, "POST", body=b"x" * 30_000_000)
    assert (status, json.loads(body)["code"]) == (413, "request-too-large")
    assert "--max-body-mb" in json.loads(body)["hint"]
    pieces = iter([b"x" * 500_000] * 30)
    status, _, body = ask(server, "POST", body=pieces, Transfer_Encoding="chunked")
    assert (status, json.loads(body)["code"]) == (413, "request-too-large")
    assert app.bodies == []


def test_a_refused_body_that_never_ends_is_cut_off(server, monkeypatch):
    monkeypatch.setattr(module, "_DRAINED_BYTES", 1_000_000)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head(server, Transfer_Encoding="chunked"))
        chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
        with pytest.raises(OSError):
            for _ in range(100_000):
                connection.sendall(chunk)


def test_a_chunk_without_an_end_of_its_line_is_cut_off(server):
    answer = raw(server, head(server, Transfer_Encoding="chunked") + b"1" * 200_000)
    assert problem(answer)[::2] == (400, "bad-request")


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer secret-token\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_a_problem_document(server, text):
    assert problem(raw(server, text))[::2] == (400, "bad-request")


def test_headers_without_end_are_a_problem_document(server):
    answer = raw(server, b"GET / HTTP/1.1\r\nCookie: " + b"a" * 1_000_000)
    assert problem(answer)[::2] == (413, "request-too-large")


def test_a_mistake_of_the_application_is_a_problem_document(server):
    status, headers, body = ask(server, path="/mistake")
    assert (status, headers["Content-Type"]) == (500, "application/problem+json")
    assert b"inside" not in body


def test_no_answer_to_a_head_request_has_a_body(server):
    answer = raw(server, head(server, method="HEAD", token="wrong"))
    assert answer.startswith(b"HTTP/1.1 401") and answer.endswith(b"\r\n\r\n")


def test_large_bodies_are_spooled_where_they_should_be(app, tmp_path, monkeypatch):
    """The spool folder may be on a disk that fills up, and is none of the machine's for temporary files."""
    folders = []
    spooled = module.tempfile.SpooledTemporaryFile

    def watched(size, dir):
        folders.append(dir)
        return spooled(size, dir=dir)

    monkeypatch.setattr(module.tempfile, "SpooledTemporaryFile", watched)
    with serving(app, spool=tmp_path) as server:
        assert ask(server, "POST", body=b"x" * 900_000)[0] == 200
    assert folders == [str(tmp_path)]


def test_a_full_disk_is_a_problem_document(app, server, monkeypatch):
    class Full:
        closed = False

        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tempfile, "SpooledTemporaryFile", lambda *_, **__: Full())
    status, _, body = ask(server, "POST", body=b"x" * 900_000)
    assert (status, json.loads(body)["code"]) == (507, "disk-full")
    assert app.bodies == []


def test_half_sent_requests_hold_nobody_up(app, server):
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    try:
        for number, connection in enumerate(slow):
            text = head(server, Content_Length=500_000)
            connection.sendall(text[:20] if number % 2 else text + b"x" * 100_000)
        began = time.monotonic()
        for _ in range(20):
            assert ask(server)[0] == 200
        assert time.monotonic() - began < 2
        assert soon(lambda: server._server.task_dispatcher.active_count == 0)
        slow[0].sendall(b"x" * 400_000)
        assert slow[0].recv(15) == b"HTTP/1.1 200 OK"
    finally:
        for connection in slow:
            connection.close()


def test_a_reader_that_is_slow_holds_nobody_up(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head(server, "/v1/x?8000000", method="GET"))
        time.sleep(0.2)
        assert ask(server)[0] == 200
        assert soon(lambda: server._server.task_dispatcher.active_count == 0)


def test_two_hundred_may_wait_while_others_are_served(app, server):
    process = psutil.Process()
    before = process.memory_info().rss
    with ThreadPoolExecutor(200) as pool:
        waiting = [pool.submit(ask, server, path="/hold") for _ in range(200)]
        assert soon(lambda: app.held == 200, 20)
        began = time.monotonic()
        assert ask(server)[0] == 200
        assert time.monotonic() - began < 2
        grown = process.memory_info().rss - before
        app.let_go.set()
        assert {answer.result()[0] for answer in waiting} == {200}
    assert grown < 150e6  # the clients' own threads and buffers counted in


def test_it_stops_at_once_and_answers_those_under_way(app):
    woken = threading.Event()

    def on_stop():
        app.let_go.set()
        woken.set()

    with serving(app, on_stop=on_stop) as server, ThreadPoolExecutor(1) as pool:
        idle = socket.create_connection(("127.0.0.1", server.port))
        waiting = pool.submit(ask, server, path="/hold")
        assert soon(lambda: app.held)
        began = time.monotonic()
        server.stop()
        assert waiting.result(10)[0] == 200
        assert woken.is_set()
        assert idle.recv(1) == b""
        assert time.monotonic() - began < 3
        idle.close()
        with pytest.raises(OSError):
            ask(server)


def test_it_does_not_wait_for_ever_for_those_under_way(app, monkeypatch):
    monkeypatch.setattr(module, "GRACE_S", 0.3)
    server = Server(app, Guard(TOKEN, [], False), "127.0.0.1", 0, LIMITS)
    thread = threading.Thread(target=server.run)
    thread.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, server, path="/hold")
        assert soon(lambda: app.held)
        server.stop()
        thread.join(10)
        assert not thread.is_alive()
        with pytest.raises((OSError, http.client.HTTPException)):
            waiting.result(10)
    app.let_go.set()


def test_stopping_twice_or_before_it_runs_is_harmless(app):
    server = Server(app, Guard(TOKEN, [], False), "127.0.0.1", 0, LIMITS)
    server.stop()
    server.run()
    server.stop()


def test_a_port_that_is_taken_is_refused_in_a_sentence(app, server):
    with pytest.raises(ScumbleError, match="Nothing can listen") as refused:
        Server(app, Guard(TOKEN, [], False), "127.0.0.1", server.port, LIMITS)
    assert refused.value.code == "cannot-listen"
    with pytest.raises(ScumbleError):
        Server(app, Guard(TOKEN, [], False), "no.such.host.invalid", 0, LIMITS)


def test_nothing_is_left_open(app):
    """Not a socket, not a pipe: a daemon may be started and stopped in one process many times."""
    process = psutil.Process()
    with serving(app) as server:
        ask(server)
    before = process.num_fds() if os.name == "posix" else 0
    for _ in range(3):
        with serving(app) as server:
            ask(server)
    assert (process.num_fds() if os.name == "posix" else 0) <= before
