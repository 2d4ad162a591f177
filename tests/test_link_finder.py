"""Where a plug-in finds the daemon, which files it believes, and how it starts one; beside `scumble.runtime`."""

import contextlib
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from pathlib import Path

import plugins
import psutil
import pytest
from daemons import unborn
from fake_daemon import TOKEN, FakeDaemon, answer, hang_up, problem, words
from test_runtime import STUB

from scumble import runtime
from scumble.errors import ScumbleError
from scumble.service.lock import hold

plugins.link()
from krita_scumble.link import finder as finding  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.finder import Finder, clean_environment  # noqa: E402

posix = pytest.mark.skipif(os.name == "nt", reason="modes, owners and links as POSIX has them")
HEALTH = {"name": "scumble", "version": "9", "protocol": 1, "instance": "fake"}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    """No daemon but the test's own."""
    for name in ("SCUMBLE_URL", "SCUMBLE_TOKEN", "APPDIR", "SNAP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "scumble"))


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "scumble"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def finder(home):
    return Finder(home)


@pytest.fixture
def daemon(home):
    with FakeDaemon(home) as daemon:
        yield daemon


def written(home, **changes):
    told = {"url": "http://127.0.0.1:9", "token": TOKEN, "pid": 1, "version": "9", "protocol": 1, "command": []}
    path = home / "daemon.json"
    path.write_text(json.dumps({**told, "instance": "fake", **changes}))
    path.chmod(0o600)
    return path


def code_of(call):
    with pytest.raises(LinkError) as caught:
        call()
    return caught.value.code


# --------------------------------------------------------------------------------------------------------- the folder


def test_the_folder_is_the_daemons(monkeypatch, tmp_path):
    from scumble.home import home as daemons

    for told in (str(tmp_path / "x"), "~/y", ""):
        monkeypatch.setenv("SCUMBLE_HOME", told)
        assert finding.home() == daemons()
        assert Finder().home == daemons().absolute()
    assert Finder(tmp_path).home == tmp_path
    assert Finder(tmp_path).log_folder == runtime.start_log(tmp_path).parent


# -------------------------------------------------------------------------------------------------------- what is there


def test_a_daemon_is_found(finder, daemon):
    found = finder.find()
    assert (found.url, found.token, found.instance) == (daemon.url, TOKEN, "fake")
    assert (found.pid, found.version) == (1, "0")
    assert [str(asked) for asked in daemon.asked] == ["GET /v1/health"]
    assert TOKEN not in repr(found)


def test_no_file_is_no_daemon(finder, home):
    assert finder.find() is None
    home.rmdir()
    assert finder.find() is None


def test_a_file_left_behind_is_stale(finder, daemon):
    daemon.stop()
    assert finder.find() is None


@pytest.mark.parametrize(
    "mishap",
    [
        lambda asked: answer({**HEALTH, "instance": "another"}),
        lambda asked: answer({"name": "scumble"}),
        lambda asked: answer([]),
        words("<html>"),
        words("no", 404),
        problem("unauthorized"),
        hang_up,
    ],
)
def test_another_program_under_that_port_is_not_the_daemon(finder, daemon, mishap):
    daemon.once("GET /v1/health", mishap)
    assert finder.find() is None


def test_a_file_that_names_no_instance_proves_nothing(finder, daemon, home):
    for instance in ("", None):
        written(home, url=daemon.url, instance=instance)
        daemon.once("GET /v1/health", lambda asked, told=instance: answer({**HEALTH, "instance": told}))
        assert finder.find() is None


def test_one_that_is_mute_is_stale_unless_it_holds_the_lock(finder, daemon, home, monkeypatch):
    monkeypatch.setattr(finding, "_ASK_S", 0.2)
    slow = [lambda asked: time.sleep(0.6) or answer(HEALTH)] * 2
    daemon.once("GET /v1/health", *slow)
    assert not finder.is_held()
    assert finder.find() is None
    with hold(runtime.lock_file(home)):
        assert finder.is_held()
        assert code_of(finder.find) == "unreachable"
    assert not finder.is_held()


def test_looking_at_the_lock_does_not_take_it(finder, home):
    with hold(runtime.lock_file(home)):
        pass
    assert not finder.is_held()
    with hold(runtime.lock_file(home)):
        assert finder.is_held() and finder.is_held()


@posix
def test_two_who_look_do_not_see_each_other(finder, home):
    import fcntl

    with runtime.lock_file(home).open("w") as another:
        fcntl.flock(another, fcntl.LOCK_SH)
        assert not finder.is_held()


def test_another_version_is_a_sentence(finder, home):
    with FakeDaemon() as daemon:
        daemon.protocol = 2
        written(home, url=daemon.url, protocol=2, version="3.1")
        with pytest.raises(LinkError) as caught:
            finder.find()
    assert caught.value.code == "incompatible-daemon"
    assert "version 3.1 and speaks protocol 2, not 1" in caught.value.detail


def test_another_version_that_is_gone_is_only_stale(finder, home):
    written(home, protocol=7, url="http://127.0.0.1:9")
    assert finder.find() is None


# ------------------------------------------------------------------------------------------------------ what to believe


@posix
@pytest.mark.parametrize("mode", [0o644, 0o620, 0o604, 0o601])
def test_a_file_that_is_open_to_others_is_refused(finder, home, mode):
    written(home).chmod(mode)
    assert code_of(finder.find) == "bad-runtime-file"


@posix
def test_a_link_is_refused_even_to_a_good_file(finder, home, tmp_path):
    good = written(home).rename(tmp_path / "good.json")
    (home / "daemon.json").symlink_to(good)
    with pytest.raises(LinkError, match="is a symbolic link") as caught:
        finder.find()
    assert caught.value.code == "bad-runtime-file"


@posix
def test_another_users_file_is_refused(finder, home, monkeypatch):
    written(home)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert code_of(finder.find) == "bad-runtime-file"


@posix
def test_a_pipe_is_refused_and_not_waited_for(finder, home):
    os.mkfifo(home / "daemon.json", 0o600)
    assert code_of(finder.find) == "bad-runtime-file"


ADDRESSES = [
    "http://127.0.0.1:80",
    "http://localhost:8765/",
    "http://[::1]:80",
    "http://127.9.9.9:1",
    "https://127.0.0.1:80",
    "http://127.0.0.1",
    "http://127.0.0.1:0",
    "http://127.0.0.1:99999",
    "http://192.0.2.1:80",
    "http://example.org:80",
    "http://localhost.example.org:80",
    "http://me@127.0.0.1:80",
    "http://127.0.0.1:80/x",
    "http://127.0.0.1:80?x",
    "http://0.0.0.0:80",
    "http://[::]:80",
    "http://224.0.0.1:80",
    "file:///etc/passwd",
    "http://[::1",
    "",
]
NO_DAEMONS = [
    "", "{", "[]", "null", '{"url": "http://127.0.0.1:9"}', "\x00", "[" * 30_000, " " * 70_000 + "{}",
]  # fmt: skip


def believes(home, ours):
    """Whether that is believed: by the daemon's own client, or by the plug-ins."""
    try:
        if ours:
            Finder(home).find()
        else:
            runtime.read(home)
    except (LinkError, ScumbleError) as error:
        assert error.code == "bad-runtime-file"
        assert "secret" not in error.detail
        return False
    return True


@pytest.mark.parametrize("url", ADDRESSES)
def test_addresses_are_believed_as_the_daemons_client_does(home, url):
    written(home, url=url)
    assert believes(home, ours=True) == believes(home, ours=False) == (url in ADDRESSES[:4])


def test_an_address_of_this_machine_is_believed(home):
    for name in {each.address for group in psutil.net_if_addrs().values() for each in group if each.family == 2}:
        written(home, url=f"http://{name}:9")
        assert believes(home, ours=True) == believes(home, ours=False) is True


@pytest.mark.parametrize("token", ["", "a b", "se\ncret", "secret\u00e9", "ok"])
def test_tokens_are_believed_as_the_daemons_client_does(home, token):
    written(home, token=token)
    assert believes(home, ours=True) == believes(home, ours=False) == (token == "ok")


@pytest.mark.parametrize("text", NO_DAEMONS)
def test_what_no_daemon_writes_is_refused(home, text):
    path = written(home)
    path.write_text(text)
    assert not believes(home, ours=False)
    assert not believes(home, ours=True)


@pytest.mark.parametrize("field", ["url", "token", "pid", "version", "protocol", "command"])
def test_a_field_that_is_missing_or_of_another_kind_is_refused(home, field):
    written(home, **{field: {}})
    assert not believes(home, ours=False) and not believes(home, ours=True)
    path = written(home)
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != field}))
    assert not believes(home, ours=False) and not believes(home, ours=True)


# -------------------------------------------------------------------------------------------- one that is named outside


def test_the_environment_names_any_daemon(finder, daemon, monkeypatch):
    with FakeDaemon() as other:
        monkeypatch.setenv("SCUMBLE_URL", other.url + "/")
        monkeypatch.setenv("SCUMBLE_TOKEN", TOKEN)
        found = finder.find()
        assert (found.url, found.token) == (other.url, TOKEN)
        assert finder.start() == found
        assert finder.is_elsewhere and finder.is_held()
    assert code_of(finder.stop) == "unreachable"
    assert code_of(finder.find) == "unreachable"
    assert code_of(finder.start) == "unreachable"
    monkeypatch.setenv("SCUMBLE_TOKEN", "")
    assert code_of(finder.find) == "unauthorized"


def test_the_environments_daemon_may_be_of_another_version(finder, monkeypatch):
    with FakeDaemon() as other:
        monkeypatch.setenv("SCUMBLE_URL", other.url)
        monkeypatch.setenv("SCUMBLE_TOKEN", TOKEN)
        other.protocol = 3
        assert code_of(finder.find) == "incompatible-daemon"
        other.once("GET /v1/health", lambda asked: answer([]))
        assert code_of(finder.find) == "incompatible-daemon"
        monkeypatch.setenv("SCUMBLE_TOKEN", "wrong")
        assert code_of(finder.find) == "unauthorized"


# ------------------------------------------------------------------------------------------------------ what to start


def start_file(home, command, mode=0o600):
    path = home / "start.json"
    path.write_text(json.dumps({"command": command, "version": "0"}))
    path.chmod(mode)


@pytest.fixture
def no_programs(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(finding, "_places", lambda: ())


def test_the_command_is_the_running_daemons_then_the_start_files_then_the_paths(finder, home, monkeypatch, tmp_path):
    monkeypatch.setattr(finding, "_places", lambda: (str(tmp_path / "bin*" / "scumble"),))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert finder.command() is None
    programs = {name: tmp_path / name / "scumble" for name in ("path", "bin1")}
    for program in programs.values():
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n")
    assert finder.command() is None  # none can be run
    for name in ("bin1", "path"):
        programs[name].chmod(0o700)
        assert finder.command() == [str(programs[name]), "serve", "--background"]
    start_file(home, [sys.executable, "-m", "one"])
    assert finder.command() == [sys.executable, "-m", "one"]
    path = written(home, command=[sys.executable, "-m", "two"])
    assert finder.command() == [sys.executable, "-m", "two"]
    written(home, command=["/not/there", "-m", "two"])
    assert finder.command() == [sys.executable, "-m", "one"]
    path.write_text("{")
    assert finder.command() == [sys.executable, "-m", "one"]


def test_what_the_daemon_itself_writes_is_understood(finder, home, no_programs):
    from scumble import starter

    starter.write(home)
    assert finder.command() == list(starter.COMMAND)


@pytest.mark.parametrize("command", [[], "x", None, [3], ["scumble"], ["/not/there"], ["./x"], {}])
def test_no_command_is_run_that_is_none(finder, home, no_programs, command):
    start_file(home, command)
    assert finder.command() is None


@posix
def test_a_start_file_that_others_may_write_is_not_run(finder, home, no_programs):
    start_file(home, [sys.executable], 0o666)
    assert code_of(finder.command) == "bad-runtime-file"
    assert code_of(finder.start) == "bad-runtime-file"


def test_without_scumble_one_reads_how_to_install_it(finder, no_programs, monkeypatch):
    with pytest.raises(LinkError) as caught:
        finder.start()
    assert caught.value.code == "not-installed"
    assert "pip install scumble" in caught.value.hint and "scumble start" in caught.value.hint
    monkeypatch.setenv("SNAP", "/snap/krita/1")
    assert code_of(finder.start) == "no-daemon"


def test_an_environment_for_programs_of_the_system():
    given = {
        "PATH": "/tmp/.mount_krita/usr/bin:/usr/bin:/bin",
        "HOME": "/home/me",
        "LANG": "de_DE.UTF-8",
        "SCUMBLE_HOME": "/x",
        "CUDA_VISIBLE_DEVICES": "0",
        "OMP_NUM_THREADS": "2",
        "XDG_DATA_DIRS": "/tmp/.mount_krita/usr/share:/usr/share",
        "SSL_CERT_FILE": "/tmp/.mount_krita/cert.pem",
        "EMPTY": "",
        "NEAR": "/tmp/.mount_krita2/x",
        "PYTHONHOME": "/tmp/.mount_krita/usr",
        "PYTHONPATH": "/x",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": "/tmp/.mount_krita/usr/lib",
        "LD_LIBRARY_PATH_ORIG": "/opt/cuda/lib",
        "LD_PRELOAD": "x.so",
        "QT_PLUGIN_PATH": "/y",
        "QT_PLUGIN_PATH_ORIG": "",
        "QML2_IMPORT_PATH": "/y",
        "DYLD_LIBRARY_PATH": "/y",
        "APPIMAGE": "/home/me/krita.appimage",
        "APPDIR": "/tmp/.mount_krita",
        "ARGV0": "krita",
        "OWD": "/home/me",
    }
    before = dict(given)
    assert clean_environment(given) == {
        "PATH": "/usr/bin:/bin",
        "HOME": "/home/me",
        "LANG": "de_DE.UTF-8",
        "SCUMBLE_HOME": "/x",
        "CUDA_VISIBLE_DEVICES": "0",
        "OMP_NUM_THREADS": "2",
        "XDG_DATA_DIRS": "/usr/share",
        "EMPTY": "",
        "NEAR": "/tmp/.mount_krita2/x",
        "LD_LIBRARY_PATH": "/opt/cuda/lib",
    }
    assert given == before


# ------------------------------------------------------------------------------------------------------------ starting


@pytest.fixture
def typed():
    """This process's input is something that a child could read."""
    kept, (reading, writing) = os.dup(0), os.pipe()
    os.dup2(reading, 0)
    yield
    os.dup2(kept, 0)
    for each in (kept, reading, writing):
        os.close(each)


@pytest.fixture
def stub(home):
    """A daemon's stand-in that is started; none is left."""

    def begin(*options, **how):
        start_file(home, [sys.executable, "-c", STUB, *options])
        return Finder(home).start(timeout_s=30, **how)

    yield begin
    pid = runtime.holder(runtime.lock_file(home))
    if pid:
        with contextlib.suppress(OSError):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def test_it_is_started_once_and_then_reused(stub, home, finder):
    waits = []
    found = stub("--port=0", on_wait=lambda: waits.append(1))
    assert finder.find() == found == stub()
    assert found.url == runtime.find(home).url
    assert waits
    assert finder.command()[-1] == "--port=0" or finder.command()[0] == sys.executable
    if os.name != "nt":
        for path in (home, home / "logs"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE(runtime.start_log(home).stat().st_mode) == 0o600


def test_it_needs_nothing_of_the_host(stub, home, monkeypatch, typed):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    monkeypatch.setenv("SCUMBLE_HOME", "/another")
    child = psutil.Process(stub().pid)
    environment = child.environ()
    assert environment["SCUMBLE_HOME"] == str(home)
    assert not {"PYTHONHOME", "LD_LIBRARY_PATH"} & set(environment)
    assert child.cwd() == str(home)
    if os.name != "nt":
        assert os.getsid(child.pid) == child.pid
        assert str(Path(f"/proc/{child.pid}/fd/0").readlink()) == os.devnull


def test_two_starts_end_with_one_daemon_and_both_succeed(stub, home):
    found = []
    threads = [threading.Thread(target=lambda: found.append(stub())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found[0] == found[1]


def test_one_that_lost_a_race_to_another_that_died_is_tried_again(stub, home):
    """Its lock was held by one that is gone when it is looked for."""
    script = f"""
import pathlib, sys
seen = pathlib.Path("seen")
if not seen.exists():
    seen.touch()
    sys.exit("Error: A daemon is running already in here.")
exec({STUB!r})
"""
    start_file(home, [sys.executable, "-c", script])
    assert Finder(home).start(timeout_s=30).pid == runtime.find(home).pid


def test_one_that_always_loses_is_not_tried_for_ever(home, finder):
    start_file(home, [sys.executable, "-c", "raise SystemExit('Error: A daemon is running already in here.')"])
    with pytest.raises(LinkError, match="running already"):
        finder.start(timeout_s=30)


def test_a_killed_daemon_is_replaced(stub):
    first = stub("messy")
    psutil.Process(first.pid).kill()
    second = stub("messy")
    assert second.pid != first.pid and second.instance != first.instance


def test_a_mute_one_is_waited_for_and_not_started_over(home, finder):
    start_file(home, [sys.executable, "-c", STUB])
    with hold(runtime.lock_file(home)):
        began = time.monotonic()
        with pytest.raises(LinkError, match="within 1 s"):
            finder.start(timeout_s=1)
        assert time.monotonic() - began < 10
    assert not (home / "logs").exists()


@pytest.mark.parametrize(
    ("how", "detail", "hint"),
    [
        ("fail", "The daemon did not start: The port is taken.", "Take another."),
        ("crash", "The daemon ended with status 1; it said: KeyError: 'why'", "start.log has all it said."),
        ("mute", "The daemon ended with status 9; it said: nothing", "start.log has all it said."),
    ],
)
def test_one_that_dies_has_its_last_words_told(stub, how, detail, hint):
    with pytest.raises(LinkError) as caught:
        stub(how)
    assert caught.value.code == "unreachable"
    assert caught.value.detail.startswith(detail) and caught.value.hint.endswith(hint)


def test_one_that_cannot_be_run_is_a_sentence(home, finder, tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\0\1\2")
    program.chmod(0o700)
    start_file(home, [str(program)])
    with pytest.raises(LinkError, match="cannot be started"):
        finder.start()


def test_a_starter_that_ends_well_is_only_a_starter(stub, home):
    """`scumble start` ends when the daemon is up, and so does its process."""
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUB!r}], start_new_session=True)"
    start_file(home, [sys.executable, "-c", script])
    assert Finder(home).start(timeout_s=30).pid == runtime.find(home).pid


def test_waiting_can_be_called_off(home, finder):
    class CalledOffError(Exception):
        pass

    def call_off():
        raise CalledOffError

    start_file(home, [sys.executable, "-c", "pass"])
    with pytest.raises(CalledOffError):
        finder.start(on_wait=call_off)


def test_a_start_log_does_not_grow_for_ever(home, finder, monkeypatch):
    monkeypatch.setattr(finding, "_LOG_BYTES", 100)
    log = runtime.start_log(home)
    log.parent.mkdir(mode=0o700)
    log.write_text("x" * 200)
    start_file(home, [sys.executable, "-c", "print('y' * 50); raise SystemExit(2)"])
    with pytest.raises(LinkError, match="yyy"):
        finder.start()
    assert "x" not in log.read_text()


# ------------------------------------------------------------------------------------------------------------- stopping


def test_stopping_nothing_is_no_error(finder, home):
    finder.stop()
    written(home)
    finder.stop()


def test_it_waits_until_everything_is_saved(stub, finder, home):
    process = psutil.Process(stub("slow").pid)
    finder.stop()
    assert not finder.is_held()
    assert not psutil.wait_procs([process], timeout=10)[1]


def test_one_of_another_version_can_be_stopped(home, finder):
    start_file(home, [sys.executable, "-c", STUB.replace('"protocol": 1', '"protocol": 2')])
    assert code_of(lambda: finder.start(timeout_s=30)) == "incompatible-daemon"
    finder.stop()
    assert not finder.is_held()


def test_one_that_does_not_hear_is_told(stub, finder, monkeypatch):
    stub("deaf")
    monkeypatch.setattr(finding, "_ASK_S", 0.3)
    with pytest.raises(LinkError, match="has not ended within 1 s") as caught:
        finder.stop(timeout_s=1)
    assert "scumble stop" in caught.value.hint


# ----------------------------------------------------------------------------------------------------------- a real one


def test_a_real_daemon_is_started_found_and_stopped(tmp_path, monkeypatch):
    with unborn(tmp_path / "real") as real:
        for name, value in real.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONHOME", "/nowhere")
        real.folder.mkdir()
        real.temporary.mkdir()
        finder = Finder()
        finder.home.mkdir(mode=0o700)
        start_file(finder.home, [sys.executable, "-m", "scumble", "serve", "--background"])
        try:
            found = finder.start()
            assert found == finder.find()
            assert psutil.Process(found.pid).cwd() == str(finder.home)
            # what it writes itself starts one, too: `scumble start`, which ends when the daemon is up
            assert "start" in finder.command()
            finder.stop()
            assert finder.find() is None and not (finder.home / "daemon.json").exists()
            again = finder.start()
            assert again.pid != found.pid
            psutil.Process(again.pid).kill()
            assert finder.find() is None
            assert finder.start().pid != again.pid
        finally:
            runtime.stop(finder.home)


def test_a_real_daemon_that_cannot_start_says_why(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for how in ("serve", "start"):
            start_file(home, [sys.executable, "-m", "scumble", how, f"--port={port}"])
            with pytest.raises(LinkError) as caught:
                Finder(home).start()
            assert caught.value.detail.startswith("The daemon did not start: ") and str(port) in caught.value.detail
            assert caught.value.detail.count("did not start") == 1
            assert "--port" in caught.value.hint
