"""One question and its answer over real sockets: what is sent, what comes back, and every way in which it may fail."""

import contextlib
import json
import socket
import threading

import numpy as np
import plugins
import pytest
from fake_daemon import TOKEN, FakeDaemon, hang_up, problem, words

plugins.link()
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.wire import Part, Unreachable, Wire  # noqa: E402


@pytest.fixture
def daemon():
    with FakeDaemon() as daemon:
        yield daemon


@pytest.fixture
def wire(daemon):
    return Wire(daemon.url, TOKEN)


@contextlib.contextmanager
def server(talk):
    """A socket's address; `talk` gets each connection, on a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        talk(connection)

        threading.Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def saying(text):
    """A server that hears the head of a request, says this and hangs up."""

    def talk(connection):
        connection.recv(65536)
        connection.sendall(text)

    return server(talk)


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_a_question_and_its_answer(daemon, wire):
    answer = wire.ask("GET", "/v1/health?x=1", headers={"Accept": "application/json", "X-Y": "z"})
    assert (answer.status, answer.json["name"]) == (200, "scumble")
    assert answer.headers["content-type"] == "application/json"
    asked = daemon.asked[0]
    assert (str(asked), asked.query, asked.body) == ("GET /v1/health", {"x": "1"}, b"")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert (asked.headers["accept"], asked.headers["x-y"]) == ("application/json", "z")


def test_json_is_said(daemon, wire):
    wire.ask("POST", "/v1/estimate", json={"width": 3, "name": "ü"})
    asked = daemon.asked[0]
    assert asked.said == {"width": 3, "name": "ü"}
    assert asked.headers["content-type"] == "application/json"


def test_a_post_without_a_body_says_so(daemon, wire):
    wire.ask("POST", "/v1/shutdown")
    assert daemon.asked[0].headers["content-length"] == "0"


def test_a_form_is_read_as_it_was_meant(daemon, wire):
    large = np.random.default_rng(0).integers(0, 256, 3_500_000, np.uint8).tobytes()
    parts = [
        Part("recipe", [b"{", b"}"]),
        Part("content", [b"head", memoryview(large), bytearray(b"tail"), b""], "content", "application/x-npy"),
        Part("empty", [], "e"),
        Part('a "style"\r\nX: y', [b"\r\n--"], 'ü";x='),
    ]
    daemon.once("POST /v1/jobs", words("yes"))
    wire.ask("POST", "/v1/jobs", parts=parts)
    asked = daemon.asked[0]
    assert asked.parts == {"recipe": "{}"}
    names = ["content", "empty", 'a "style"%0D%0AX: y']
    assert asked.files == dict(zip(names, [b"head" + large + b"tail", b"", b"\r\n--"], strict=True))
    assert int(asked.headers["content-length"]) == len(asked.body)
    assert "transfer-encoding" not in asked.headers


def test_a_form_is_cut_where_no_picture_can_be(daemon, wire):
    seen = set()
    for _ in range(3):
        daemon.once("POST /v1/jobs", words("yes"))
        wire.ask("POST", "/v1/jobs", parts=[Part("a", [b"b"])])
        seen.add(daemon.asked[-1].headers["content-type"])
    assert len(seen) == 3


def test_large_pictures_are_sent_as_they_lie():
    data = np.zeros(60_000_000, np.uint8)
    received = []

    def talk(connection):
        connection.settimeout(10)
        size = 0
        while block := connection.recv(1 << 20):
            size += len(block)
            if size > 60_000_000 and block.endswith(b"--\r\n"):
                break
        received.append(size)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    import tracemalloc

    with server(talk) as url:
        tracemalloc.start()
        try:
            Wire(url, TOKEN).ask("POST", "/", parts=[Part("content", [memoryview(data)], "content")])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert received[0] > data.nbytes
    assert peak < 4_000_000


def test_a_refusal_comes_with_its_code_and_words(daemon, wire):
    daemon.once("GET /v1/jobs/x", problem("not-found", "There is no job x."))
    with pytest.raises(LinkError) as caught:
        wire.ask("GET", "/v1/jobs/x")
    error = caught.value
    assert (error.code, error.detail, error.hint) == ("not-found", "There is no job x.", "Do something about it.")
    assert not isinstance(error, Unreachable)


def test_a_refusal_before_the_body_was_sent_is_heard():
    told = json.dumps({"code": "request-too-large", "title": "", "detail": "Too much.", "hint": "Less.", "status": 413})
    head = f"HTTP/1.1 413 X\r\nContent-Type: application/problem+json\r\nContent-Length: {len(told)}\r\n\r\n"

    def talk(connection):
        connection.recv(1000)
        connection.sendall((head + told).encode())
        connection.shutdown(socket.SHUT_WR)
        # Gone before the rest was read, but not before the answer was.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.settimeout(0.2)
        with contextlib.suppress(OSError):
            for _ in range(3):
                connection.recv(1000)

    with server(talk) as url, pytest.raises(LinkError) as caught:
        Wire(url, TOKEN).ask("POST", "/", parts=[Part("content", [bytes(60_000_000)], "content")], timeout_s=10)
    assert caught.value.code in ("request-too-large", "unreachable")


def test_last_words_are_read(monkeypatch):
    """As above, without the race between the answer and the reset."""
    told = b'{"code": "request-too-large", "detail": "Too much."}'
    answer = b"HTTP/1.1 413 X\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n" % len(told)

    def broken(self, *_, **__):
        self.sock.sendall(b"POST / HTTP/1.1\r\n")
        raise BrokenPipeError

    monkeypatch.setattr("http.client.HTTPConnection.request", broken)
    with saying(answer + told) as url, pytest.raises(LinkError, match=r"Too much\."):
        Wire(url, TOKEN).ask("POST", "/", parts=[Part("content", [b"x"], "content")])
    with saying(b"") as url, pytest.raises(Unreachable) as caught:
        Wire(url, TOKEN).ask("POST", "/", parts=[Part("content", [b"x"], "content")])
    assert "connection broke" in caught.value.detail


@pytest.mark.parametrize(
    ("status", "text"),
    [(404, "<html>"), (500, "{}"), (500, '{"code": 3}'), (403, "[]"), (302, "elsewhere"), (100, "x")],
)
@pytest.mark.parametrize("kind", ["text/html", "application/problem+json"])
def test_what_is_no_daemon_is_told_so(status, text, kind):
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: {len(text)}"
    )
    with saying(f"{head}\r\n\r\n{text}".encode()) as url, pytest.raises(Unreachable) as caught:
        Wire(url, TOKEN).ask("GET", "/v1/health")
    assert caught.value.was_sent
    assert url in caught.value.detail


def test_no_redirection_is_followed(daemon):
    moved = f"HTTP/1.1 302 X\r\nLocation: {daemon.url}/v1/health\r\nContent-Length: 0\r\n\r\n"
    with saying(moved.encode()) as url, pytest.raises(Unreachable, match="302"):
        Wire(url, TOKEN).ask("GET", "/v1/health")
    assert not daemon.asked


def test_no_proxy_is_asked(daemon, wire, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, free_address())
    assert wire.ask("GET", "/v1/health").status == 200


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", b"HTTP/1.1 xyz\r\n\r\n"]
)
def test_what_breaks_off_or_speaks_no_http(said):
    with saying(said) as url, pytest.raises(Unreachable) as caught:
        Wire(url, TOKEN).ask("GET", "/")
    error = caught.value
    assert (error.code, error.was_sent, error.is_late) == ("unreachable", True, False)
    assert error.detail == f"{url} does not answer: the connection broke."


def test_nobody_is_there():
    url = free_address()
    with pytest.raises(Unreachable) as caught:
        Wire(url, TOKEN).ask("POST", "/v1/jobs", parts=[])
    assert (caught.value.was_sent, caught.value.is_late) == (False, False)
    assert caught.value.detail == f"{url} does not answer: nobody is there."


def test_silence_ends():
    silence = threading.Event()
    with server(lambda connection: silence.wait(20)) as url:
        with pytest.raises(Unreachable) as caught:
            Wire(url, TOKEN).ask("GET", "/", timeout_s=0.2)
        silence.set()
    assert (caught.value.was_sent, caught.value.is_late) == (True, True)
    assert caught.value.detail == f"{url} does not answer: it takes too long."


def test_a_daemon_that_hangs_up(daemon, wire):
    daemon.once("GET /v1/health", hang_up)
    with pytest.raises(Unreachable):
        wire.ask("GET", "/v1/health")


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:80", "ftp://127.0.0.1", "http://", "http://me@127.0.0.1", "http://[::1", "http://h:99999"]
)
def test_what_is_no_address(url):
    with pytest.raises(LinkError) as caught:
        Wire(url, TOKEN).ask("GET", "/")
    assert (caught.value.code, caught.value.detail) == ("unreachable", "That is no daemon's address.")
    assert not isinstance(caught.value, Unreachable)


def test_a_folder_before_the_path_is_kept(daemon):
    with pytest.raises(LinkError):
        Wire(f"{daemon.url}/scumble/", TOKEN).ask("GET", "/v1/health")
    assert str(daemon.asked[0]) == "GET /scumble/v1/health"


def test_what_is_no_json(daemon, wire):
    daemon.once("GET /v1/health", words("<html>"))
    answer = wire.ask("GET", "/v1/health")
    with pytest.raises(LinkError) as caught:
        _ = answer.json
    assert caught.value.code == "incompatible-daemon"


@pytest.mark.parametrize("token", ["a\nsecret", "geheim\u20ac"])
def test_a_token_is_never_told(daemon, token):
    wire = Wire(daemon.url, token)
    with pytest.raises(LinkError) as caught:
        wire.ask("GET", "/v1/health")
    error = caught.value
    for text in (repr(wire), str(error), repr(error), error.report, repr(error.__cause__)):
        assert "secret" not in text and "geheim" not in text
    assert not daemon.asked
