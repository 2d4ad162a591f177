"""Where the daemon is found, whether what says so is trusted, and how it is started and stopped."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scumble import __version__, runtime
from scumble.errors import ScumbleError
from scumble.protocol import PROTOCOL, RuntimeFile
from scumble.service.lock import hold

posix = pytest.mark.skipif(os.name == "nt", reason="modes, owners, links and signals as POSIX has them")
TOKEN = "tiny-fake-daemons-token"


class Fake:
    """A daemon's outside: it says how it does, and ends when it is told to."""

    def __init__(self, home, **health):
        self.home = home
        self.health = {
            "name": "scumble",
            "version": __version__,
            "protocol": PROTOCOL,
            "instance": "one",
            "pid": os.getpid(),
            **health,
        }
        self.heard = []
        self.refuses_to_stop = False
        self.says = None
        self.answers = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def _handler(self):
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                fake.heard.append((self.command, self.path, self.headers["Authorization"], self.headers["Host"]))
                if fake.says is not None:
                    status, body = fake.says
                elif self.headers["Authorization"] != f"Bearer {TOKEN}":
                    status, body = 401, b"{}"
                elif self.path == "/v1/shutdown" and not fake.refuses_to_stop:
                    status, body = 202, b"{}"
                    threading.Thread(target=fake.end).start()
                elif self.path == "/v1/health":
                    status, body = 200, json.dumps(fake.health).encode()
                elif self.path in fake.answers:
                    status, body = 200, fake.answers[self.path]
                else:
                    status, body = 404, b"{}"
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        return Handler

    def write(self, **fields):
        given = {
            "url": self.url,
            "token": TOKEN,
            "pid": os.getpid(),
            "version": __version__,
            "protocol": PROTOCOL,
            "command": ["scumble"],
            "instance": "one",
        }
        file = RuntimeFile(**{**given, **fields})
        runtime.write(self.home, file)
        return file

    def end(self):
        self.server.shutdown()
        self.server.server_close()
        runtime.remove(self.home, "one")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def fake(home):
    fake = Fake(home)
    yield fake
    fake.end()
    fake.thread.join()


def refused(home, sentence):
    with pytest.raises(ScumbleError, match=sentence) as caught:
        runtime.read(home)
    assert caught.value.code == "bad-runtime-file"
    assert TOKEN not in caught.value.detail + caught.value.hint + repr(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


# ------------------------------------------------------------------------------------------------- the runtime file


def test_what_is_written_is_read(fake, home):
    assert runtime.read(home) is None
    file = fake.write()
    assert runtime.read(home) == file
    fake.write(url="http://[::1]:8000")
    assert runtime.read(home).url == "http://[::1]:8000"


@posix
def test_it_is_private_whatever_was_there(fake, home, tmp_path):
    before = os.umask(0)
    try:
        fake.write()
        path = runtime.runtime_file(home)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        path.unlink()
        path.symlink_to(tmp_path / "victim")
        fake.write()
    finally:
        os.umask(before)
    assert not path.is_symlink()
    assert not (tmp_path / "victim").exists()
    assert [each.name for each in home.iterdir()] == ["daemon.json"]


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_file_that_is_open_to_others_is_refused(fake, home, mode):
    fake.write()
    runtime.runtime_file(home).chmod(mode)
    refused(home, f"daemon.json is open to other users .mode {mode:04o}, should be 0600")


@posix
def test_a_link_is_refused_even_to_a_good_file(fake, home, tmp_path):
    fake.write()
    path = runtime.runtime_file(home)
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    refused(home, "daemon.json is a symbolic link")
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    refused(home, "daemon.json is a symbolic link")


@posix
def test_a_link_that_comes_between_the_look_and_the_opening_is_refused(fake, home, tmp_path, monkeypatch):
    fake.write()
    path = runtime.runtime_file(home)
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    answers = iter([False, True])
    monkeypatch.setattr("pathlib.Path.is_symlink", lambda _: next(answers))
    refused(home, "daemon.json is a symbolic link")


@posix
def test_another_users_file_is_refused(fake, home, monkeypatch):
    fake.write()
    if os.geteuid() == 0:
        os.chown(runtime.runtime_file(home), 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    refused(home, "daemon.json belongs to another user")


@posix
def test_a_pipe_is_refused_and_not_waited_for(home):
    home.mkdir()
    os.mkfifo(runtime.runtime_file(home), 0o600)
    refused(home, "daemon.json is not an ordinary file")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not what a daemon writes"),
        ('{"token": "' + TOKEN + '"', "is not what a daemon writes"),
        ("[]", "is not what a daemon writes"),
        ('{"url": "http://127.0.0.1:1", "token": "' + TOKEN + '"}', "is not what a daemon writes .pid: Field required"),
        ("x" * 100_000, "is far too large"),
        ("\xff\xfe", "is not what a daemon writes"),
    ],
)
def test_what_no_daemon_writes_is_refused(home, text, sentence):
    home.mkdir()
    descriptor = os.open(runtime.runtime_file(home), os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="latin-1") as file:
        file.write(text)
    refused(home, sentence)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org:8000",
        "https://127.0.0.1:8000",
        "http://127.0.0.1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://127.0.0.1@example.org:80",
        "http://example.org@127.0.0.1:80",
        "http://127.0.0.1.example.org:80",
        "http://localhost.example.org:80",
        "http://203.0.113.7:8000",
        "http://0.0.0.0:8000",
        "http://127.0.0.1:80/elsewhere",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_address_elsewhere_is_refused(fake, home, url):
    fake.write(url=url)
    refused(home, "names an address that is not on this machine")


@pytest.mark.parametrize("token", ["", "two words", "two\nlines", "ünicode"])
def test_a_token_that_cannot_be_sent_is_refused(fake, home, token):
    fake.write(token=token)
    refused(home, "holds no usable token")


def test_only_its_own_daemon_removes_it(fake, home):
    fake.write()
    runtime.remove(home, "another")
    assert runtime.read(home) is not None
    runtime.remove(home, "one")
    assert runtime.read(home) is None
    runtime.remove(home, "one")


# ------------------------------------------------------------------------------------------------- a token's own file


@posix
def test_a_token_file_is_private_and_long_enough(tmp_path):
    path = tmp_path / "token"
    with pytest.raises(ScumbleError, match="There is no file"):
        runtime.read_token(path)
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o644)
    with pytest.raises(ScumbleError, match="is open to other users") as caught:
        runtime.read_token(path)
    assert caught.value.code == "unauthorized"
    assert "chmod 600" in caught.value.hint
    path.chmod(0o600)
    assert runtime.read_token(path) == TOKEN
    for text in ("", "short-of-sixteen"[:15], "with a space in the middle", "zwei\nzeilen-sind-zu-viel"):
        path.write_text(text)
        with pytest.raises(ScumbleError, match="holds no token: at least 16") as caught:
            runtime.read_token(path)
        assert not text or text not in caught.value.detail
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(ScumbleError, match="symbolic link"):
        runtime.read_token(link)


# ----------------------------------------------------------------------------------------------------------- finding


def test_a_live_daemon_is_found(fake, home):
    assert runtime.find(home) is None
    file = fake.write()
    assert runtime.find(home) == file
    assert fake.heard == [("GET", "/v1/health", f"Bearer {TOKEN}", fake.url.removeprefix("http://"))]


def test_no_proxy_is_asked(fake, home, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        fake.write()
        assert runtime.find(home) is not None


def test_no_redirection_is_followed(fake, home, tmp_path):
    other = Fake(tmp_path / "other")
    try:
        fake.says = (302, f"{other.url}/v1/health".encode())
        fake.write()
        assert runtime.find(home) is None
        assert not other.heard
    finally:
        other.end()


def test_a_file_left_behind_is_stale(fake, home):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    fake.write(url=f"http://127.0.0.1:{port}")
    assert runtime.find(home) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"name": "scumble", "protocol": 1, "instance": "two"}'),
        (200, b'{"name": "scumble", "protocol": 99}'),
        (200, b"<html>"),
        (200, b"[1]"),
        (200, b"\xff"),
        (401, b"{}"),
        (404, b"not here"),
        (500, b""),
    ],
)
def test_another_program_under_that_port_is_not_the_daemon(fake, home, status, body):
    fake.write()
    fake.says = (status, body)
    assert runtime.find(home) is None


def test_a_file_that_names_no_instance_proves_nothing(fake, home):
    fake.write(instance="")
    fake.health["instance"] = ""
    assert runtime.find(home) is None


def test_what_speaks_no_http_is_not_the_daemon(fake, home):
    with socket.create_server(("127.0.0.1", 0)) as server:
        fake.write(url=f"http://127.0.0.1:{server.getsockname()[1]}")

        def answer():
            connection, _ = server.accept()
            connection.sendall(b"220 mail.example.org ESMTP\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert runtime.find(home) is None
        thread.join()


def test_one_that_is_mute_is_stale_unless_it_holds_the_lock(fake, home):
    with socket.create_server(("127.0.0.1", 0)) as server:
        fake.write(url=f"http://127.0.0.1:{server.getsockname()[1]}")
        assert runtime.find(home, 0.1) is None
        with hold(runtime.lock_file(home)), pytest.raises(ScumbleError, match="does not answer in time") as caught:
            runtime.find(home, 0.1)
    assert caught.value.code == "unreachable"


def test_another_version_is_a_sentence(fake, home):
    fake.write(version="9.9", protocol=99)
    fake.health.update(version="9.9", protocol=99)
    with pytest.raises(ScumbleError, match=r"version 9.9 and speaks protocol 99, not 1\.") as caught:
        runtime.find(home)
    assert caught.value.code == "incompatible-daemon"
    assert "scumble stop" in caught.value.hint


def test_another_version_that_is_gone_is_only_stale(home):
    fake = Fake(home)
    fake.end()
    fake.write(version="9.9", protocol=99)
    assert runtime.find(home) is None


# ---------------------------------------------------------------------------------------------------------- asking


def test_a_refusal_comes_as_it_was_said(fake):
    problem = {"title": "T", "status": 503, "detail": "Full.", "code": "queue-full", "hint": "Wait."}
    fake.says = (503, json.dumps(problem).encode())
    with pytest.raises(ScumbleError) as caught:
        runtime.ask(fake.url, "/v1/jobs", TOKEN)
    assert (caught.value.code, caught.value.detail, caught.value.hint) == ("queue-full", "Full.", "Wait.")
    fake.says = (503, json.dumps({**problem, "code": "of-a-later-version"}).encode())
    with pytest.raises(ScumbleError) as caught:
        runtime.ask(fake.url, "/v1/jobs", TOKEN)
    assert (caught.value.code, caught.value.detail) == ("unreachable", "Full.")
    fake.says = (502, b"<html>Bad gateway")
    with pytest.raises(ScumbleError, match="answers with the status 502"):
        runtime.ask(fake.url, "/v1/jobs", TOKEN)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://127.0.0.1:x", "http://127.0.0.1:1"]
)
def test_what_is_no_address_or_does_not_answer_is_a_sentence(url):
    with pytest.raises(ScumbleError, match="does not answer") as caught:
        runtime.ask(url, "/v1/health", TOKEN)
    assert caught.value.code == "unreachable"


def test_a_token_with_a_line_break_is_not_sent_and_not_told(fake):
    with pytest.raises(ScumbleError) as caught:
        runtime.ask(fake.url, "/v1/health", f"{TOKEN}\r\nX-Other: 1")
    assert TOKEN not in str(caught.value)
    assert not fake.heard


def test_a_folder_before_the_path_is_kept(fake):
    fake.says = (200, b"{}")
    runtime.ask(f"{fake.url}/scumble/", "/v1/health", None)
    assert fake.heard[0][1:3] == ("/scumble/v1/health", None)


# ---------------------------------------------------------------------------------------------------------- starting

STUB = textwrap.dedent(
    """
    import json, os, psutil, secrets, signal, sys, threading, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from pathlib import Path
    from scumble import runtime
    from scumble.errors import ScumbleError
    from scumble.protocol import RuntimeFile
    from scumble.service.lock import hold

    def mourn(tests=psutil.Process(TESTS)):  # who ends it where the tests were killed
        while tests.is_running() and tests.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=mourn, daemon=True).start()
    home = Path(os.environ["SCUMBLE_HOME"])
    instance = secrets.token_hex(4)
    deaf = "deaf" in sys.argv
    health = {"name": "scumble", "version": "0", "protocol": 1, "instance": instance, "pid": os.getpid()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(health).encode()
            if self.path == "/v1/shutdown":
                if deaf:
                    time.sleep(600)
                threading.Thread(target=server.shutdown).start()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        do_POST = do_GET
        def log_message(self, *_):
            pass

    if "fail" in sys.argv:
        print("Error: The port is taken.", file=sys.stderr)
        print("Hint:  Take another.", file=sys.stderr)
        sys.exit(2)
    if "crash" in sys.argv:
        raise KeyError("why")
    if "mute" in sys.argv:
        sys.exit(9)
    try:
        with hold(runtime.lock_file(home)):
            time.sleep(0.2)
            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads = True
            signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
            print(*sys.argv[1:], os.getcwd(), flush=True)
            url = f"http://127.0.0.1:{server.server_port}"
            runtime.write(home, RuntimeFile(url=url, token="x" * 20, pid=os.getpid(), version="0", protocol=1,
                                            command=[], instance=instance))
            server.serve_forever(0.02)
            server.server_close()
            if "slow" in sys.argv:
                time.sleep(0.5)
            if "messy" not in sys.argv:
                runtime.remove(home, instance)
    except ScumbleError as error:
        print("Error:", error.detail, file=sys.stderr)
        sys.exit(error.exit_status)
    """
).replace("TESTS", str(os.getpid()))
COMMAND = [sys.executable, "-c", STUB]


@pytest.fixture
def stub(home):
    """A daemon's stand-in to be started; none is left."""

    def begin(*options, **settings):
        return runtime.start(home, options, 30, command=COMMAND, **settings)

    yield begin
    pid = runtime.holder(runtime.lock_file(home))
    if pid:
        with contextlib.suppress(OSError):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def test_it_is_started_once_and_then_reused(stub, home):
    file, is_new = stub("--port=0")
    assert is_new
    assert runtime.find(home) == file
    assert stub() == (file, False)
    said = runtime.start_log(home).read_text().split()
    assert said == ["--port=0", str(home)]
    if os.name != "nt":
        assert stat.S_IMODE(runtime.start_log(home).stat().st_mode) == 0o600
        assert os.getsid(file.pid) == file.pid != os.getsid(0)
    assert runtime.stop(home)


def test_a_stale_file_is_replaced(stub, home, fake):
    fake.write(url="http://127.0.0.1:1")
    file, is_new = stub()
    assert is_new
    assert file.instance != "one"
    assert runtime.stop(home)


def test_a_file_that_cannot_be_trusted_is_not_started_over(stub, home, fake):
    fake.write()
    runtime.runtime_file(home).chmod(0o644)
    with pytest.raises(ScumbleError, match="open to other users"):
        stub()
    assert not runtime.start_log(home).exists()


def test_two_starts_end_with_one_daemon_and_both_succeed(stub, home):
    found, barrier = [], threading.Barrier(4)

    def begin():
        barrier.wait()
        found.append(stub())

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({file.pid for file, _ in found}) == 1
    assert [is_new for _, is_new in found].count(True) == 1
    assert runtime.stop(home)


def test_one_that_is_ending_is_waited_for(stub, home):
    first, _ = stub("slow")
    thread = threading.Thread(target=runtime.stop, args=(home,))
    thread.start()
    while runtime.find(home) is not None:
        time.sleep(0.01)
    second, is_new = stub()
    thread.join()
    assert is_new
    assert second.instance != first.instance
    assert runtime.find(home) == second
    assert runtime.stop(home)


@pytest.mark.parametrize(
    ("how", "sentence", "hint"),
    [
        ("fail", "The daemon did not start: The port is taken.", "Take another."),
        ("crash", r"The daemon ended with status 1; its last words: KeyError: 'why'\.", "start.log"),
        ("mute", "The daemon ended with status 9; it said nothing", "start.log"),
    ],
)
def test_one_that_dies_has_its_last_words_told(stub, how, sentence, hint):
    with pytest.raises(ScumbleError, match="The port is taken"):
        stub("fail")
    with pytest.raises(ScumbleError, match=sentence) as caught:  # and not what the earlier one said
        stub(how)
    assert caught.value.code == "unreachable"
    assert hint in caught.value.hint


def test_one_that_does_not_come_up_is_told(home):
    words = [sys.executable, "-c", "import time; time.sleep(2)"]
    with pytest.raises(ScumbleError, match="did not answer within") as caught:
        runtime.start(home, timeout_s=0.3, command=words)
    assert caught.value.code == "unreachable"
    with pytest.raises(ScumbleError, match="cannot be started: No such file"):
        runtime.start(home, command=["/nowhere/python"])


def test_a_lock_that_is_held_by_a_mute_one_names_it(home):
    home.mkdir()
    with hold(runtime.lock_file(home)), pytest.raises(ScumbleError, match=rf"process {os.getpid()}\) did not answer"):
        runtime.start(home, timeout_s=0.2, command=COMMAND)
    assert not runtime.start_log(home).exists()


@posix
def test_it_lives_on_when_who_started_it_is_killed(home):
    code = (
        "from pathlib import Path; from scumble import runtime;"
        f"runtime.start(Path({str(home)!r}), command={COMMAND!r}); input()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True)
    with process:
        while runtime.find(home) is None:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert runtime.find(home) is not None
    assert runtime.stop(home)


@posix
def test_a_killed_daemon_is_replaced(stub, home):
    first, _ = stub()
    os.kill(first.pid, signal.SIGKILL)
    second, is_new = stub()
    assert is_new
    assert second.instance != first.instance
    assert runtime.stop(home)


def test_a_start_log_does_not_grow_for_ever(stub, home):
    (home / "logs").mkdir(parents=True)
    runtime.start_log(home).write_text("x" * 2_000_000)
    stub()
    assert runtime.start_log(home).stat().st_size < 1000
    assert runtime.stop(home)


# ---------------------------------------------------------------------------------------------------------- stopping


def test_stopping_nothing_is_no_error(home, fake):
    assert runtime.stop(home) is False
    fake.write(url="http://127.0.0.1:1")
    assert runtime.stop(home) is False
    assert not runtime.runtime_file(home).exists()


def test_a_daemon_is_stopped_with_its_token(fake, home):
    fake.write()
    assert runtime.stop(home) is True
    assert ("POST", "/v1/shutdown", f"Bearer {TOKEN}") in [each[:3] for each in fake.heard]
    assert not runtime.runtime_file(home).exists()


def test_one_of_another_version_can_be_stopped(fake, home):
    fake.write(protocol=99)
    fake.health["protocol"] = 99
    assert runtime.stop(home) is True


def test_it_waits_until_everything_is_saved(stub, home):
    stub("slow")
    began = time.monotonic()
    assert runtime.stop(home)
    assert time.monotonic() - began >= 0.5
    assert not runtime.is_taken(runtime.lock_file(home))
    assert not runtime.runtime_file(home).exists()


def test_one_that_is_just_starting_is_waited_for_and_stopped(stub, home):
    def begin():
        with contextlib.suppress(ScumbleError):  # it may end before it was seen
            stub()

    thread = threading.Thread(target=begin)
    thread.start()
    while not runtime.lock_file(home).exists() or not runtime.is_taken(runtime.lock_file(home)):
        time.sleep(0.01)
    assert runtime.read(home) is None
    assert runtime.stop(home)
    thread.join()


def test_one_that_another_follows_at_once_has_stopped_all_the_same(stub, home, monkeypatch):
    stub("slow")
    look = runtime._is_over

    def late(*values):
        while (pid := runtime.holder(runtime.lock_file(home))) in {None, values[1].pid}:
            if pid is None and not runtime.is_taken(runtime.lock_file(home)):
                stub()
            time.sleep(0.01)
        return look(*values)

    monkeypatch.setattr(runtime, "_is_over", late)
    assert runtime.stop(home, 20)
    monkeypatch.undo()
    assert runtime.find(home) is not None
    assert runtime.stop(home)


@posix
def test_one_that_does_not_hear_is_ended_by_a_signal(stub, home, monkeypatch):
    monkeypatch.setattr(runtime, "_SHUTDOWN_S", 0.2)
    stub("deaf")
    assert runtime.stop(home)
    assert not runtime.is_taken(runtime.lock_file(home))


@posix
def test_what_it_left_behind_is_removed(stub, home):
    stub("messy")
    assert runtime.stop(home)
    assert not runtime.runtime_file(home).exists()


def test_no_signal_goes_to_a_pid_that_was_not_confirmed(fake, home, monkeypatch):
    sent = []
    monkeypatch.setattr(os, "kill", lambda *values: sent.append(values))
    fake.refuses_to_stop = True
    fake.write(pid=os.getpid() + 1)
    with pytest.raises(ScumbleError, match=r"has not ended within 0 s\.") as caught:
        runtime.stop(home, 0.4)
    assert caught.value.code == "unreachable"
    assert sent == []
    fake.write()
    with pytest.raises(ScumbleError, match="has not ended"):
        runtime.stop(home, 0.4)
    assert sent == [(os.getpid(), signal.SIGTERM)]
