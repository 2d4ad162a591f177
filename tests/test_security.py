"""The daemon against those who mean it harm: strangers, web pages, and clients that send what they should not."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import bombs
import psutil
import pytest
from daemons import CONTENT, PATIENCE_S, QUICK, STYLE, form, mask_file, picture_file, running, soft_mask, unborn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")

MB = 2**20
NOTHING = {**QUICK, "strength": 0}
"""A recipe that paints nothing: the pictures are looked at all the same."""


def sent(daemon, line, *headers, body=b""):
    """Status, and all that came back, of a request that is put together by hand."""
    text = "\r\n".join((line, *headers)).encode("latin-1") + b"\r\n\r\n" + body
    answer = daemon.raw(text)
    assert answer.startswith(b"HTTP/1."), answer[:200]
    return int(answer.split(b" ", 2)[1]), answer


def code_of(answer):
    """The error in what came back."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])["code"]


@pytest.fixture
def daemon_to_be(tmp_path):
    """A daemon that the test may start."""
    with unborn(tmp_path / "daemon") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A daemon with tight limits."""
    folder = tmp_path_factory.mktemp("narrow")
    with running(folder, "--max-body-mb", 4, "--max-pixels", 1_000_000, "--idle-minutes", 0.01) as daemon:
        yield daemon


# ---------------------------------------------------------------------------------------------------------- who may ask


def calls(daemon):
    """Every call of the description, with a name that is not there in its path."""
    for path, operations in daemon.ask("GET", "/v1/openapi.json").json["paths"].items():
        for method in operations:
            yield method.upper(), path.replace("{id}", "0123456789abcdef")


def test_without_the_token_no_call_does_anything(daemon):
    seen = 0
    for method, path in calls(daemon):
        for token in (False, "wrong"):
            answer = daemon.ask(method, path, token=token)
            is_open = path in {"/", "/v1/health"} and not token
            assert answer.status == (200 if is_open else 401), (method, path, token)
            if method != "HEAD" and not is_open:
                assert answer.code == "unauthorized"
            assert daemon.token.encode() not in answer.body
            seen += 1
    assert seen > 50
    assert daemon.process.poll() is None  # POST /v1/shutdown was among them


def test_without_the_token_nothing_is_told(daemon):
    told = daemon.ask("GET", "/v1/health", token=False).json
    assert set(told) == {"name", "version", "protocol"}


@pytest.mark.parametrize(
    "change",
    [
        str.swapcase,
        lambda token: token[:-1],
        lambda token: token[1:],
        lambda token: token + "A",
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token + "\xe9",
        lambda token: "\xe9",
        lambda token: "",
        lambda token: f"{token}, Bearer {token}",
    ],
)
def test_a_token_that_is_almost_right(daemon, change):
    host = f"Host: 127.0.0.1:{daemon.port}"
    status, answer = sent(
        daemon, "GET /v1/jobs HTTP/1.1", host, f"Authorization: Bearer {change(daemon.token)}", "Connection: close"
    )
    assert (status, code_of(answer)) == (401, "unauthorized")


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "Bearer\t"])
def test_the_token_in_another_scheme(daemon, scheme):
    host = f"Host: 127.0.0.1:{daemon.port}"
    status, _ = sent(
        daemon, "GET /v1/jobs HTTP/1.1", host, f"Authorization: {scheme} {daemon.token}", "Connection: close"
    )
    assert status == (401 if scheme != "Bearer\t" else status)
    status, _ = sent(daemon, f"GET /v1/jobs?token={daemon.token} HTTP/1.1", host, "Connection: close")
    assert status == 401


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example"],
        ["evil.example:{port}"],
        ["127.0.0.1.evil.example:{port}"],
        ["localhost.evil.example:{port}"],
        ["evil.example:{port}@127.0.0.1:{port}"],
        ["127.0.0.1:{port}@evil.example"],
        ["127.0.0.1:{other}"],
        ["localhost:{other}"],
        ["127.0.0.1"],
        ["127.0.0.1:"],
        ["127.0.0.1:+{port}"],
        ["127.0.0.1:{port} evil.example"],
        ["192.168.0.1:{port}"],
        ["0.0.0.0:{port}"],
        ["127.0.0.1:{port}", "evil.example"],
        ["evil.example", "127.0.0.1:{port}"],
        [""],
        [],
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_host_that_is_not_the_daemon_s(daemon, hosts, version):
    names = [f"Host: {host}".format(port=daemon.port, other=daemon.port ^ 1) for host in hosts]
    token = f"Authorization: Bearer {daemon.token}"
    status, answer = sent(daemon, f"GET /v1/jobs HTTP/{version}", *names, token, "Connection: close")
    assert (status, code_of(answer)) == (403, "foreign-host")
    # to those who have no token, and where none is needed
    status, _ = sent(daemon, f"GET /v1/health HTTP/{version}", *names, "Connection: close")
    assert status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_the_daemon_s_own_hosts(daemon, host):
    name = f"Host: {host}".format(port=daemon.port)
    token = f"Authorization: Bearer {daemon.token}"
    assert sent(daemon, "GET /v1/jobs HTTP/1.1", name, token, "Connection: close")[0] == 200


FOREIGN = (
    "http://evil.example",
    "http://evil.example:{port}",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1:{other}",
    "http://127.0.0.1",
    "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1:{port}/evil",
    "null",
    "file://",
    "chrome-extension://abcdef",
    "",
)


@pytest.mark.parametrize("origin", FOREIGN)
def test_an_origin_that_is_not_the_daemon_s(daemon, origin):
    origin = origin.format(port=daemon.port, other=daemon.port ^ 1)
    for method, path in (("GET", "/v1/jobs"), ("GET", "/"), ("GET", "/v1/health"), ("POST", "/v1/shutdown")):
        answer = daemon.ask(method, path, headers={"Origin": origin})
        assert (answer.status, answer.code) == (403, "foreign-origin")
    assert daemon.ask("GET", "/v1/jobs", headers={"Origin": daemon.url}).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "unheard-of"])
def test_what_a_browser_says_of_another_site(daemon, site):
    answer = daemon.ask("GET", "/v1/jobs", headers={"Sec-Fetch-Site": site})
    assert (answer.status, answer.code) == (403, "foreign-origin")
    for own in ("none", "same-origin"):
        assert daemon.ask("GET", "/v1/jobs", headers={"Sec-Fetch-Site": own}).status == 200


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_forms_of_a_web_page_make_no_job(daemon, media):
    before = len(daemon.ask("GET", "/v1/jobs?limit=1000").json["jobs"])
    body, multipart = form(("recipe", json.dumps(NOTHING)), ("content", CONTENT, "a"), ("style", STYLE, "b"))
    kind = multipart if media == "multipart/form-data" else media
    # as old browsers send it, without a word of where it comes from, and as new ones do
    assert daemon.ask("POST", "/v1/jobs", body, {"Content-Type": kind}, token=False).status == 401
    page = {"Content-Type": kind, "Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert daemon.ask("POST", "/v1/jobs", body, page).status == 403
    assert daemon.ask("POST", "/v1/shutdown", b"", {**page, "Content-Type": "text/plain"}, token=False).status == 403
    if kind != multipart:
        assert daemon.ask("POST", "/v1/jobs", body, {"Content-Type": kind}).code == "unsupported-media"
    simple = {"Content-Type": "text/plain"}
    assert daemon.ask("POST", "/v1/estimate", b'{"recipe": {}, "width": 9, "height": 9}', simple).status == 415
    assert len(daemon.ask("GET", "/v1/jobs?limit=1000").json["jobs"]) == before


def test_no_page_is_ever_let_in_by_cors(daemon):
    wants = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for origin in ("http://evil.example", "null", daemon.url):
        for token in (True, False):
            for method, path in (("OPTIONS", "/v1/jobs"), ("GET", "/v1/jobs"), ("GET", "/v1/health"), ("GET", "/")):
                answer = daemon.ask(method, path, headers={"Origin": origin, **wants}, token=token)
                assert not [name for name, _ in answer.headers if name.startswith("access-control")]
                assert method != "OPTIONS" or answer.status in {401, 403, 405}


# --------------------------------------------------------------------------------------------------------- bad pictures


def memory_mb(daemon, name="VmRSS"):
    """What the daemon's process holds, or (`VmHWM`) held at most."""
    text = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024


@contextlib.contextmanager
def peak(daemon, most_mb):
    """Within the block the daemon takes no more than that."""
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")  # the high-water mark begins anew
    before = memory_mb(daemon)
    yield
    assert memory_mb(daemon, "VmHWM") - before < most_mb


def packed_text(size, keyword=b"k"):
    return bombs.chunk(b"zTXt", keyword + b"\0\0" + bombs.zeros(size))


HUGE = {
    "png of 50,000 × 50,000": lambda: bombs.png(50_000, 50_000, packed=bombs.zeros(1000)),
    "npy of terabytes": lambda: bombs.npy_of((10**6, 10**6)),
    "npy of more than 2**64": lambda: bombs.npy_of((2**63, 2**63)),
    "npy that overflows": lambda: bombs.npy_of((2**32 + 1, 2**32)),
    "tiff of 60,000 × 60,000": lambda: bombs.tiff(60_000, 60_000, b"x"),
    "webp of 16,384 × 16,384": lambda: bombs.webp(bombs.canvas(16_384, 16_384), bombs.pixels_of_webp()),
    "webp of 65,535 × 65,535": lambda: bombs.webp(bombs.canvas(65_535, 65_535), bombs.pixels_of_webp()),
    "webp that moves": lambda: bombs.animated(16_384, 16_384),
    "jpeg of 65,500 × 65,500": lambda: bombs.jpeg(65_500, 65_500),
}
DAMAGED = {
    "png that lacks its pixels": lambda: bombs.png(17_000, 17_000, packed=bombs.zeros(1000), depth=16, kind=6),
    "png of a million chunks": lambda: bombs.png_of_many_chunks(1_000_000),
    "npy that lacks its pixels": lambda: bombs.npy_of((17_000, 17_000, 4), "'<f4'"),
    "npy of negative size": lambda: bombs.npy_of((-50, -50)),
    "npy of one negative side": lambda: bombs.npy_of((-50, 50, 3)),
    "npy of negative channels": lambda: bombs.npy_of((50, 50, -3)),
    "npy of no size": lambda: bombs.npy_of((0, 50, 3)),
    "npy of half a pixel": lambda: bombs.npy_of((1.5, 2)),
    "npy of structures": lambda: bombs.npy_of((8, 8), "('<f4', (1000000000,))"),
    "npy nested deeply": lambda: bombs.npy("-" * 9000 + "1"),
    "npy in parentheses": lambda: bombs.npy("(" * 9000),
    "npy of a call": lambda: bombs.npy("{'descr': __import__('os').getcwd(), 'shape': (1, 1)}"),
    "npy with a header of 4 GB": lambda: b"\x93NUMPY\x02\0" + struct.pack("<I", 2**32 - 1) + b" " * 100,
    "npy of another version": lambda: bombs.npy_of((8, 8))[:6] + b"\x09\x09" + bombs.npy_of((8, 8))[8:],
    "tiff of 16 channels of float64": lambda: bombs.tiff(17_000, 17_000, b"x", samples=16, bits=64, form=3),
    "tiff of 4 channels of float64": lambda: bombs.tiff(17_000, 17_000, b"x", samples=4, bits=64, form=3),
    "tiff of 60,000 channels": lambda: bombs.tiff(1000, 1000, b"x" * 500_000, samples=200),
    "tiff that unpacks to 2 GB": lambda: bombs.deflated_tiff(2 * bombs.GIGA),
    "tiff with a giant tile": lambda: bombs.tiff(64, 64, bombs.zeros(20_000**2), compression=8, tile=20_000),
    "tiff of a giant jpeg": lambda: bombs.tiff_with(bombs.jpeg(65_500, 65_500), 7),
    "tiff of a giant png": lambda: bombs.tiff_with(bombs.png(16_000, 16_000), 34_933),
    "webp whose parts disagree": lambda: bombs.webp(bombs.canvas(8, 8), bombs.pixels_of_webp(2000, 2000)),
    "pickle": lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.",
}
"""What is wrong with them is more than their size."""
HARMLESS = {
    "png with a giant text": lambda: bombs.png(8, 8, packed_text(bombs.GIGA)),
    "png with many large texts": lambda: bombs.png(8, 8, *(packed_text(10**7, b"k%d" % n) for n in range(60))),
    "png with a giant profile": lambda: bombs.png(8, 8, bombs.chunk(b"iCCP", b"p\0\0" + bombs.zeros(bombs.GIGA))),
    "tiff that follows itself": bombs.tiff_loop,
    "tiff whose strip goes on": lambda: bombs.lzma_tiff(150 * 10**6),
}
"""What is too much about them is left out, and the picture, which is small, is taken."""


@pytest.fixture(scope="module")
def warm(daemon):
    """The daemon, once what it loads with its first pictures is there."""
    for kind in ("png", "jpeg", "webp", "tiff", "npy"):
        answer = daemon.post(
            ("recipe", json.dumps(NOTHING)), ("content", picture_file(kind), "a"), ("style", STYLE, "b")
        )
        assert answer.status == 202, answer.body
    bad = bombs.tiff_with(bombs.jpeg(64, 64), 7)
    daemon.post(("content", bad, "a"), ("style", STYLE, "b"))
    return daemon


def offer(daemon, data):
    """What is said to a picture as content, as style, and for the library."""
    recipe = ("recipe", json.dumps(NOTHING))
    yield daemon.post(recipe, ("content", data, "a"), ("style", STYLE, "b"))
    yield daemon.post(recipe, ("content", CONTENT, "a"), ("style", data, "b"))
    yield daemon.post(("picture", data, "a"), ("name", "bomb"), path="/v1/styles")


@pytest.mark.parametrize("name", HUGE)
def test_a_picture_that_is_too_large(warm, name):
    data = HUGE[name]()
    with peak(warm, 50):
        for answer in offer(warm, data):
            assert (answer.status, answer.code) == (413, "picture-too-large"), answer.body
    assert len(data) < MB


@pytest.mark.parametrize("name", DAMAGED)
def test_a_picture_that_is_none(warm, name):
    data = DAMAGED[name]()
    with peak(warm, 100):
        for answer in offer(warm, data):
            assert (answer.status, answer.code) == (422, "bad-picture"), answer.body


@pytest.mark.parametrize("name", HARMLESS)
def test_a_picture_with_too_much_in_it(warm, name):
    data = HARMLESS[name]()
    with peak(warm, 100):
        answer = warm.post(("recipe", json.dumps(NOTHING)), ("content", data, "a"), ("style", STYLE, "b"))
        assert answer.status == 202, answer.body
    warm.wait(answer.json["id"])
    result = warm.result(answer.json["id"])
    assert len(result) < MB


def test_a_limit_on_pixels_holds_for_all_formats(narrow):
    grown = {"content": (1001, 1000)}
    with peak(narrow, 100):
        for kind in ("png", "jpeg", "webp", "tiff", "npy"):
            data = picture_file(kind, width=grown["content"][0], height=grown["content"][1])
            for answer in offer(narrow, data):
                assert (answer.status, answer.code) == (413, "picture-too-large")
                assert "1,000,000" in answer.json["detail"]
        for answer in offer(narrow, bombs.png(1000, 1001, packed=b"")):
            assert answer.status == 413


def test_what_pictures_took_is_given_back(narrow):
    data = picture_file("npy", width=1001, height=1000)
    narrow.post(("content", data, "a"), ("style", STYLE, "b"))
    before = memory_mb(narrow)
    for _ in range(60):
        assert narrow.post(("content", data, "a"), ("style", STYLE, "b")).status == 413
    assert memory_mb(narrow) - before < 40


def test_a_pickle_is_never_opened(daemon):
    mark = daemon.folder / "unpickled"
    data = bombs.npy_with_pickle(mark)
    for answer in offer(daemon, data):
        assert (answer.status, answer.code) == (422, "bad-picture")
    assert not mark.exists()
    # the trap is one
    import numpy as np

    (daemon.folder / "trap.npy").write_bytes(data)
    np.load(daemon.folder / "trap.npy", allow_pickle=True)
    assert mark.exists()
    mark.unlink()
    (daemon.folder / "trap.npy").unlink()


# --------------------------------------------------------------------------------------------------------- bad requests


def test_ten_thousand_parts(daemon):
    with most_stored(daemon, 4 * MB), peak(daemon, 50):
        for file in ((), ("f",)):
            answer = daemon.post(*[(f"p{n}", "x", *file) for n in range(10_000)])
            assert (answer.status, answer.code) == (413, "request-too-large")


def test_a_field_of_five_megabytes(daemon):
    with peak(daemon, 50):
        for name in ("recipe", "lease_s", "content", "x" * 100):
            answer = daemon.post((name, "x" * 5_000_000))
            assert (answer.status, answer.code) == (413, "request-too-large")
        # one that would be large in memory too, if it were kept until its end
        answer = daemon.post(("recipe", bytes(100 * MB)))
        assert (answer.status, answer.code) == (413, "request-too-large")
        recipe = json.dumps({"styles": [], "x": "y" * 5_000_000})
        answer = daemon.post(("recipe", recipe, "recipe.json"), ("content", CONTENT, "a"))
        assert (answer.status, answer.code) == (413, "request-too-large")
        body = json.dumps({"recipe": {"features": "x" * 5_000_000}, "width": 9, "height": 9}).encode()
        answer = daemon.ask("POST", "/v1/estimate", body, {"Content-Type": "application/json"})
        assert (answer.status, answer.code) == (413, "request-too-large")


@pytest.mark.parametrize("depth", [50, 200, 500, 900, 985, 1100, 5_000, 100_000])
@pytest.mark.parametrize("brackets", [('{"a":', "}"), ("[", "]")])
def test_what_is_nested_deeply(daemon, depth, brackets):
    opening, closing = brackets
    nested = f'{{"styles": {opening * depth}1{closing * depth}}}'
    answer = daemon.post(("recipe", nested), ("content", CONTENT, "a"), ("style", STYLE, "b"))
    assert (answer.status, answer.code) == (422, "bad-recipe")
    answer = daemon.post(("recipe", f"{opening * depth}"), ("content", CONTENT, "a"), ("style", STYLE, "b"))
    assert (answer.status, answer.code) == (422, "bad-recipe")
    body = f'{{"recipe": {nested}, "width": 64, "height": 64}}'.encode()
    answer = daemon.ask("POST", "/v1/estimate", body, {"Content-Type": "application/json"})
    assert answer.status in {400, 422}, answer.body
    answer = daemon.post(("picture", CONTENT, "a"), ("name", "x"), ("crop", nested), path="/v1/styles")
    assert answer.status in {400, 422}, answer.body


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "NaN", "Infinity", "1" * 5000, "1" * 4000, "-1", "1e308", '"\\ud800"']
)
def test_numbers_that_are_none(daemon, number):
    for field in ("strength", "size", "seed", "iterations", "content_weight"):
        recipe = f'{{"{field}": {number}, "scales": 1}}'
        answer = daemon.post(("recipe", recipe), ("content", CONTENT, "a"), ("style", STYLE, "b"))
        assert (answer.status, answer.code) == (422, "bad-recipe"), (field, answer.body)


def stored(daemon):
    """Bytes in the store and the temporary folder, files that have no name included."""
    total = 0
    for folder in (daemon.home / "store", daemon.home / "styles", daemon.temporary):
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size if path.is_file() else 0
    for link in Path(f"/proc/{daemon.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if "(deleted)" in target and target.startswith((str(daemon.folder), "/tmp")):
                total += link.stat().st_size
    return total


@contextlib.contextmanager
def most_stored(daemon, most):
    """Within the block there are never more than that many bytes more than before, and none of them at the end."""
    before = stored(daemon)
    found = [before]
    ends = threading.Event()

    def watch():
        while not ends.wait(0.005):
            found.append(stored(daemon))

    watching = threading.Thread(target=watch)
    watching.start()
    yield
    ends.set()
    watching.join()
    assert max(found) - before <= most
    assert len(found) > 5
    deadline = time.monotonic() + 10
    while stored(daemon) > before + 4096 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert stored(daemon) <= before + 4096


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/styles", "/v1/estimate", "/v1/nothing"])
def test_a_body_over_the_limit_is_not_stored(narrow, path):
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{narrow.port}\r\nAuthorization: Bearer {narrow.token}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {40 * MB}\r\n\r\n"
    )
    with most_stored(narrow, 64 * 1024), peak(narrow, 50), slowly(narrow, head.encode()) as connection:
        for _ in range(40):
            connection.sendall(bytes(MB))
            time.sleep(0.005)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert code_of(answer) == "request-too-large"
    assert b"max-body-mb" in answer


def test_an_endless_body_is_not_stored(narrow):
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{narrow.port}\r\nAuthorization: Bearer {narrow.token}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with most_stored(narrow, 4 * MB + 256 * 1024), peak(narrow, 50), slowly(narrow, head.encode()) as connection:
        for _ in range(40):
            connection.sendall(b"100000\r\n" + bytes(MB) + b"\r\n")
            time.sleep(0.005)
        connection.sendall(b"0\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert code_of(answer) == "request-too-large"


def test_a_body_of_a_stranger_is_not_stored(narrow):
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{narrow.port}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {3 * MB}\r\n\r\n"
    )
    with most_stored(narrow, 64 * 1024), slowly(narrow, head.encode()) as connection:
        for _ in range(30):
            connection.sendall(bytes(MB // 10))
            time.sleep(0.01)
        connection.sendall(bytes(3 * MB - 30 * (MB // 10)))
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 401")


def test_what_is_refused_leaves_nothing(narrow):
    large = picture_file("tiff", width=600, height=600, depth="float32")[: 3 * MB]
    with most_stored(narrow, 20 * MB):
        for _ in range(5):
            assert narrow.post(("content", large, "a"), ("style", b"no picture", "b")).status == 422
            assert narrow.post(("picture", large + b"x", "a"), ("nome", "x"), path="/v1/styles").status == 400


def slowly(daemon, data):
    """A connection on which that was said."""
    connection = socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_S)
    connection.sendall(data)
    return connection


def test_those_who_dawdle_keep_nobody_waiting(daemon):
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\nAuthorization: Bearer {daemon.token}\r\n"
    body, media = form(("content", CONTENT, "a"), ("style", STYLE, "b"))
    full = f"{head}Content-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def latency():
        took = []
        for _ in range(20):
            began = time.monotonic()
            assert daemon.ask("GET", "/v1/jobs").status == 200
            took.append(time.monotonic() - began)
        return statistics.median(took)

    usual = latency()
    with contextlib.ExitStack() as open_ones:
        for _ in range(200):
            open_ones.enter_context(slowly(daemon, b""))
        dawdling = [open_ones.enter_context(slowly(daemon, full[: len(head) // 2])) for _ in range(4)]
        dawdling += [open_ones.enter_context(slowly(daemon, full[: len(full) // 2])) for _ in range(4)]
        assert latency() < max(10 * usual, 0.5)
        began = time.monotonic()
        job = daemon.submit(strength=0)
        assert time.monotonic() - began < 10
        assert daemon.wait(job["id"])["state"] == "done"
        for number, connection in enumerate(dawdling):
            connection.sendall(b"X-A: b\r\n" if number < 4 else full[len(full) // 2 : len(full) // 2 + 1])
        assert latency() < max(10 * usual, 0.5)
        # who was slow is served all the same
        dawdling[4].sendall(full[len(full) // 2 + 1 :])
        answer = http.client.HTTPResponse(dawdling[4])
        answer.begin()
        assert answer.status == 202
        daemon.ask("DELETE", f"/v1/jobs/{json.loads(answer.read())['id']}")


# ---------------------------------------------------------------------------------------------------------------- paths

TRICKS = (
    "..",
    "../..",
    "../../secret.png",
    "%2e%2e%2fsecret.png",
    "%2e%2e/%2e%2e/secret.png",
    "..%2f..%2f..%2fsecret.png",
    "..%5c..%5csecret.png",
    "%252e%252e%252fsecret.png",
    "/etc/passwd",
    "%2Fetc%2Fpasswd",
    "//etc/passwd",
    "%00",
    "night%00.png",
    "nothing%0d%0aX-Evil:%20yes",
    ".",
    ".bundled-",
    ".half-done-",
    "%c0%ae%c0%ae%c0%af",
    "CON",
    "~",
    "$HOME",
    "a" * 5000,
    "%F0%9F%92%A3",
)


@contextlib.contextmanager
def untouched(daemon):
    """Within the block nothing comes, goes or changes around the daemon's folder, and a secret beside it stays one."""
    secret = daemon.folder / "secret.png"
    secret.write_bytes(picture_file(seed=99))

    def around():
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in (*daemon.folder.glob("*"), *daemon.temporary.glob("*"), *daemon.folder.parent.glob("*"))
            if path.is_file() or path.parent != daemon.folder
            if path.name != "words.txt" and path != daemon.folder
        }

    before = around()
    yield secret
    assert around() == before
    secret.unlink()


def test_names_in_addresses_are_no_paths(daemon):
    with untouched(daemon) as secret:
        data = secret.read_bytes()
        for trick in TRICKS:
            for place in ("/v1/jobs/{}", "/v1/jobs/{}/result", "/v1/jobs/{}/preview", "/v1/styles/{}/picture"):
                for method in ("GET", "HEAD"):
                    answer = daemon.ask(method, place.format(trick))
                    assert answer.status in {400, 404, 405}, (method, place, trick, answer.body[:200])
                    assert data not in answer.body
                    assert b"root:" not in answer.body
                    assert answer.header("x-evil") is None
            for place in ("/v1/jobs/{}", "/v1/styles/{}", "/v1/jobs/{}/stop", "/v1/styles/{}/thumbnail"):
                for method in ("DELETE", "POST", "PATCH"):
                    answer = daemon.ask(method, place.format(trick))
                    assert answer.status in {400, 404, 405, 409, 415}, (method, place, trick, answer.body[:200])


PATHS = ("../../secret.png", "/etc/passwd", "..\\..\\secret.png", "file:///etc/passwd", "a\0b", "x" * 3000, ".", "..")


@pytest.mark.parametrize("trick", PATHS)
def test_names_in_forms_are_no_paths(daemon, trick):
    with untouched(daemon) as secret:
        paths = [trick, str(secret), f"{'../' * 8}{secret}"]
        for path in paths:
            for recipe in (
                {"styles": [{"picture": path}]},
                {"styles": [{"picture": f"library:{path}"}]},
                {"styles": [{"picture": "library:night", "part": path}]},
                {"selection": path},
                {"start": "picture", "start_picture": path},
                {"steady_picture": path},
                {"regions": [{"name": "a", "mask": path}]},
            ):
                answer = daemon.post(("recipe", json.dumps({**NOTHING, **recipe})), ("content", CONTENT, "a"))
                assert (answer.status, answer.code) == (422, "missing-picture"), (recipe, answer.body)
            answer = daemon.post(("content", CONTENT, "a"), ("style", STYLE, "b"), ("recipe", "{}"), (path, STYLE, "c"))
            assert (answer.status, answer.code) == (400, "bad-request")
            answer = daemon.post(("picture", STYLE, "a"), ("name", "x"), ("crop", path), path="/v1/styles")
            assert answer.status == 400
            # a file's name means nothing
            answer = daemon.post(
                ("recipe", json.dumps(NOTHING)), ("content", CONTENT, path), ("style", STYLE, f"{path}.png")
            )
            assert answer.status in {202, 400}
            if answer.status == 202:
                daemon.wait(answer.json["id"])
                assert daemon.ask("DELETE", f"/v1/jobs/{answer.json['id']}").status == 204
            answer = daemon.post(("picture", STYLE, path), ("name", path[:99]), ("tags", path[:40]), path="/v1/styles")
            if answer.status == 201:
                id = answer.json["id"]
                assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", id)
                assert daemon.ask("DELETE", f"/v1/styles/{id}").status == 204
            else:
                assert answer.status in {400, 422}


@pytest.mark.parametrize(
    "crop",
    [
        {"x": -1, "y": 0, "width": 4, "height": 4},
        {"x": 0, "y": 0, "width": 10**9, "height": 4},
        {"x": 2**63, "y": 0, "width": 1, "height": 1},
        {"x": 0, "y": 0, "width": 2**63, "height": 2**63},
        {"x": 0, "y": 0, "width": 0, "height": 0},
        {"x": "../..", "y": 0, "width": 4, "height": 4},
        {"x": 0.5, "y": 0, "width": 4, "height": 4},
        [],
    ],
)
def test_a_crop_that_is_none(daemon, crop):
    parts = ("picture", STYLE, "a"), ("name", "x"), ("crop", json.dumps(crop))
    assert daemon.post(*parts, path="/v1/styles").status in {400, 422}
    with contextlib.ExitStack() as stack:
        id = daemon.post(("picture", STYLE, "a"), ("name", "to crop"), path="/v1/styles").json["id"]
        stack.callback(daemon.ask, "DELETE", f"/v1/styles/{id}")
        assert daemon.ask("PATCH", f"/v1/styles/{id}", {"crop": crop}).status in {400, 422}


@pytest.mark.parametrize(
    "features", ["/etc/passwd", "../secret.png", "weights.pth", "~/x", "a\0b", "seeded-vgg11/../x"]
)
def test_features_are_no_file(daemon, features):
    recipe = {**QUICK, "features": features}
    answer = daemon.post(("recipe", json.dumps(recipe)), ("content", CONTENT, "a"), ("style", STYLE, "b"))
    assert (answer.status, answer.code) == (422, "bad-recipe")
    answer = daemon.ask("POST", "/v1/estimate", {"recipe": recipe, "width": 64, "height": 64})
    assert (answer.status, answer.code) == (422, "bad-recipe")
    job = daemon.submit(strength=0)
    daemon.wait(job["id"])
    answer = daemon.ask("POST", f"/v1/jobs/{job['id']}/continue", {"changes": {"features": features}})
    assert (answer.status, answer.code) == (422, "bad-recipe")


# ------------------------------------------------------------------------------------------------------ links and modes


def tree(folder):
    """What is in it, with every file's bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


LINKS = (
    "daemon.lock",
    "logs",
    "logs/daemon.log",
    "store",
    "store/jobs",
    "store/pictures",
    "store/incoming",
    "store/jobs.db",
    "styles",
    "cache",
)


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_is_not_followed(daemon_to_be, tmp_path, name, is_there):
    victim = tmp_path / "victim"
    (victim / "a-folder").mkdir(parents=True, mode=0o755)
    (victim / "a-folder" / "dear").write_text("dear")
    is_file = "." in name
    target = victim / "dear.txt" if is_file else victim
    if is_file and is_there:
        target.write_text("dear")
    if not is_there:
        target = victim / "not-there"
    before, mode = tree(victim), victim.stat().st_mode
    link = daemon_to_be.home / name
    link.parent.mkdir(parents=True, mode=0o700)
    link.symlink_to(target)
    daemon_to_be.start(wait=False)
    assert daemon_to_be.process.wait(PATIENCE_S) != 0
    assert "Error:" in daemon_to_be.said()
    assert link.name in daemon_to_be.said()
    assert tree(victim) == before
    assert victim.stat().st_mode == mode


def test_a_link_in_place_of_the_runtime_file_is_replaced(daemon_to_be, tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("dear")
    daemon_to_be.home.mkdir(parents=True, mode=0o700)
    file = daemon_to_be.home / "daemon.json"
    file.symlink_to(victim)
    daemon_to_be.start(wait=False)
    deadline = time.monotonic() + PATIENCE_S
    while file.is_symlink() and time.monotonic() < deadline:
        assert daemon_to_be.process.poll() is None, daemon_to_be.said()
        time.sleep(0.05)
    daemon_to_be.await_answer()
    assert victim.read_text() == "dear"
    assert daemon_to_be.stop() == 0
    assert victim.read_text() == "dear"
    # and it is not trusted
    file.symlink_to(victim)
    _, said = daemon_to_be.scumble("status", status=4)
    assert "symbolic link" in said


def private(home):
    """What is open to others."""
    return [
        f"{path} {path.stat().st_mode & 0o777:o}"
        for path in (home, *home.rglob("*"))
        if not path.is_symlink() and path.exists() and path.stat().st_mode & 0o7777 not in {0o700, 0o600}
    ]


def full_session(daemon):
    """Something of everything."""
    style = daemon.post(("picture", STYLE, "a"), ("name", "mine"), path="/v1/styles").json
    assert daemon.ask("GET", f"/v1/styles/{style['id']}/thumbnail").status == 200
    recipe = {**QUICK, "styles": [{"picture": style["picture"]}]}
    answer = daemon.post(
        ("recipe", json.dumps(recipe)), ("content", CONTENT, "a"), ("mask", mask_file(soft_mask()), "m")
    )
    assert answer.status == 202, answer.body
    assert daemon.result(answer.json["id"])
    assert daemon.ask("GET", f"/v1/jobs/{answer.json['id']}/preview").status == 200
    again = daemon.ask("POST", f"/v1/jobs/{answer.json['id']}/continue", {"iterations": 1})
    assert daemon.result(again.json["id"])
    assert daemon.ask("POST", "/v1/estimate", {"recipe": recipe, "width": 64, "height": 48}).status == 200
    assert daemon.ask("PATCH", f"/v1/styles/{style['id']}", {"tags": ["a"]}).status == 200
    assert daemon.ask("GET", "/v1/jobs/none").status == 404


TOKEN = "a-token-of-mine-0123456789-0123456789"


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A daemon that was started carelessly, with a token from the environment, and has had a full session."""
    folder = tmp_path_factory.mktemp("lived")
    with running(folder, env={"SCUMBLE_TOKEN": TOKEN}, umask=0) as daemon:
        assert daemon.token == TOKEN
        full_session(daemon)
        yield daemon


def test_everything_is_private(lived):
    names = {path.name for path in lived.home.rglob("*")}
    assert {"daemon.json", "daemon.lock", "daemon.log", "jobs.db", "style.json", "result.png", "preview.jpg"} <= names
    assert private(lived.home) == []
    job = lived.submit(iterations=[100_000])
    lived.wait(job["id"], lambda job: job["iteration"] > 2)
    assert private(lived.home) == []
    lived.ask("DELETE", f"/v1/jobs/{job['id']}")


def test_what_start_makes_is_private(tmp_path):
    home = tmp_path / "deep" / "home"
    environment = {**os.environ, "SCUMBLE_HOME": str(home), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "scumble"]
    subprocess.run([*command, "start"], env=environment, umask=0, check=True, capture_output=True, timeout=PATIENCE_S)
    try:
        assert (home / "logs" / "start.log").exists()
        assert private(home) == []
        assert home.parent.stat().st_mode & 0o777 == 0o700
    finally:
        subprocess.run([*command, "stop"], env=environment, check=True, capture_output=True, timeout=PATIENCE_S)


def test_the_token_is_nowhere(lived):
    host = f"Host: 127.0.0.1:{lived.port}"
    for line in (
        f"GET /v1/jobs?token={TOKEN} HTTP/1.1",
        f"GET /v1/jobs/{TOKEN}/result HTTP/1.1",
        f"GET /{TOKEN} HTTP/1.1",
        f"BREW{TOKEN} / HTTP/1.1",
        "GET /v1/jobs HTTP/1.1",
    ):
        for authorization in (TOKEN, f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {TOKEN}"):
            answer = sent(lived, line, host, f"Authorization: {authorization}", "Connection: close")[1]
            if TOKEN not in line:
                assert TOKEN.encode() not in answer
    for path in lived.home.rglob("*"):
        if path.is_file() and path.name != "daemon.json":
            assert TOKEN.encode() not in path.read_bytes(), path
    assert TOKEN in (lived.home / "daemon.json").read_text()
    assert TOKEN not in lived.said()
    assert lived.workers()
    for process in (psutil.Process(lived.pid), *lived.workers()):
        assert TOKEN not in " ".join(process.cmdline())
    for worker in lived.workers():
        assert TOKEN not in " ".join(worker.environ().values())
        assert worker.environ()["SCUMBLE_HOME"]  # its environment can be read
    out, err = lived.scumble("status", "--json")
    assert TOKEN not in out + err
    out, err = lived.scumble("logs")
    assert TOKEN not in out + err
    assert TOKEN not in json.dumps(lived.ask("GET", "/v1/health").json)


def test_no_line_of_the_log_is_a_client_s(lived):
    host = f"Host: 127.0.0.1:{lived.port}"
    token = f"Authorization: Bearer {TOKEN}"
    forged = "2026-11-21 11:30:12 INFO  forged"
    encoded = forged.replace(" ", "%20")
    for line in (
        f"GET /v1/jobs/x%0a{encoded} HTTP/1.1",
        f"GET /v1/jobs/x%0d%0a{encoded}/result HTTP/1.1",
        f"GET /x%e2%80%a8{encoded} HTTP/1.1",
        f"GET /x%1b[2J{encoded} HTTP/1.1",
        f"DELETE /v1/styles/%0a{encoded} HTTP/1.1",
    ):
        sent(lived, line, host, token, f"X-Forged: a\r\n\t{forged}", f"User-Agent: a\x0b{forged}", "Connection: close")
    sent(lived, "GET /v1/jobs HTTP/1.1", host, f"Authorization: Bearer a\x85{forged}", "Connection: close")
    sent(lived, "GET /v1/jobs HTTP/1.1", f"Host: a\x0c{forged}", "Connection: close")
    lived.post(("content", CONTENT, f"a%0a{forged}"), (f"b\n{forged}", STYLE, "c"))
    lived.post(("picture", b"no", "a"), ("name", f"\n{forged}"), path="/v1/styles")
    lived.ask("POST", "/v1/estimate", {"recipe": {"features": f"x\n{forged}"}, "width": 9, "height": 9})
    text = lived.log()
    assert "\x1b" not in text
    lines = text.splitlines()  # which ends a line wherever any program might
    assert len(lines) > 20
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO |WARN |ERROR) |    ", line), line
        assert not line.startswith(forged)


# ------------------------------------------------------------------------------------------------------- other machines


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", ""])
def test_other_machines_need_a_token_of_the_user_s(daemon_to_be, host):
    daemon_to_be.folder.mkdir()
    _, said = daemon_to_be.scumble("serve", "--host", host, status=4)
    assert "token" in said
    _, said = daemon_to_be.scumble("serve", "--host", host, status=4, env={"SCUMBLE_TOKEN": "short"})
    assert "16" in said
    assert not (daemon_to_be.home / "daemon.json").exists()


def test_a_token_in_a_file_that_others_can_read(daemon_to_be):
    daemon_to_be.folder.mkdir()
    file = daemon_to_be.folder / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    _, said = daemon_to_be.scumble("serve", "--host", "0.0.0.0", "--token-file", file, status=4)
    assert "0600" in said
    assert TOKEN not in said


def test_with_a_token_other_machines_are_let_in_by_address_alone(tmp_path):
    with running(tmp_path / "daemon", "--host", "0.0.0.0", env={"SCUMBLE_TOKEN": TOKEN}) as daemon:
        token = f"Authorization: Bearer {TOKEN}"
        for host, wanted in ((f"192.0.2.7:{daemon.port}", 200), (f"evil.example:{daemon.port}", 403)):
            line = "GET /v1/jobs HTTP/1.1"
            assert sent(daemon, line, f"Host: {host}", token, "Connection: close")[0] == wanted
            assert sent(daemon, line, f"Host: {host}", "Connection: close")[0] == (401 if wanted == 200 else 403)
        assert daemon.stop(signal.SIGTERM) == 0


def test_the_bombs_are_sound_but_for_what_is_wrong_with_them():
    """What is refused above is refused for its size, not because it was put together badly."""
    from scumble.picture import decode

    assert decode(bombs.png(8, 8)).size == (8, 8)
    assert decode(bombs.png(8, 8, depth=16, kind=6)).pixels.shape == (8, 8, 4)
    assert zlib.decompress(bombs.zeros(3 * MB + 7)) == bytes(3 * MB + 7)
    assert decode(bombs.png_of_many_chunks(100)).size == (8, 8)
    assert decode(bombs.npy_of((8, 8), data=bytes(64))).size == (8, 8)
    assert decode(bombs.tiff(8, 8, bytes(64))).size == (8, 8)
    assert decode(bombs.tiff(8, 8, bytes(64 * 32), samples=4, bits=64, form=3, photometric=2)).pixels.shape == (8, 8, 4)
    assert decode(bombs.tiff(64, 64, bombs.zeros(64 * 64), compression=8)).size == (64, 64)
    assert decode(bombs.tiff(64, 64, zlib.compress(bytes(64 * 64)), compression=8, tile=64)).size == (64, 64)
    assert decode(bombs.webp(bombs.canvas(8, 8), bombs.pixels_of_webp())).size == (8, 8)
    assert decode(bombs.animated(8, 8)).size == (8, 8)
