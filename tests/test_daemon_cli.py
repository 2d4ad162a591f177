"""The commands around the daemon, as a person or a script meets them."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner
from test_runtime import TOKEN, Fake

from scumble import daemon_cli, runtime
from scumble.cli import cli
from scumble.protocol import Device, Health, Job, JobList, State
from scumble.service.settings import Limits, Settings

posix = pytest.mark.skipif(os.name == "nt", reason="modes as POSIX has them")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "home"))
    for name in ("SCUMBLE_TOKEN", "SCUMBLE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def fake(home):
    fake = Fake(home)
    yield fake
    fake.end()
    fake.thread.join()


def scumble(*words, status=0):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    assert TOKEN not in result.output
    return result


@pytest.fixture
def settings(monkeypatch):
    """What `scumble serve` would serve with; nothing is served."""
    served = []
    module = type(sys)("scumble.service.serve")
    module.serve = lambda settings, **more: served.append((settings, more))
    monkeypatch.setitem(sys.modules, "scumble.service.serve", module)

    def given(*words):
        scumble("serve", *words)
        return served.pop()

    return given


def token_file(folder, text=TOKEN, mode=0o600):
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


# ------------------------------------------------------------------------------------------------------------- serve


def test_nothing_given_means_the_defaults(settings, home):
    found, more = settings()
    assert found == Settings(home=home, token=found.token)
    assert len(found.token) >= 43
    assert more["foreground"] is True
    assert more["command"] == [sys.executable, "-m", "scumble", "start"]
    assert settings()[0].token != found.token


def test_every_option_arrives(settings, tmp_path):
    token_file(tmp_path)
    words = "--port=8765 --token-file token --allow-host a.example --allow-host b.example --device cuda:0 --device cpu"
    words += " --idle-minutes 2.5 --queue 3 --keep-results 4 --keep-mb 5 --max-body-mb 6 --max-pixels 7 --host 0.0.0.0"
    found, more = settings(*words.split())
    assert found == Settings(
        home=tmp_path / "home",
        token=TOKEN,
        host="0.0.0.0",
        port=8765,
        allowed_hosts=("a.example", "b.example"),
        devices=("cuda:0", "cpu"),
        idle_s=150,
        limits=Limits(queue=3, results=4, results_bytes=5 * 2**20, body_bytes=6 * 2**20, pixels=7),
    )
    assert "--device=cuda:0" in more["command"]
    assert f"--token-file={tmp_path / 'token'}" in more["command"]
    assert TOKEN not in str(more["command"])


def test_the_command_that_is_told_starts_the_same(settings, tmp_path):
    token_file(tmp_path)
    first, more = settings("--token-file", "token", "--queue", 3, "--device", "cpu", "--background")
    assert more["foreground"] is False
    assert settings(*more["command"][4:])[0] == first


def test_the_token_of_the_environment_is_used_and_not_passed_on(settings, monkeypatch):
    monkeypatch.setenv("SCUMBLE_TOKEN", TOKEN)
    assert settings("--host", "0.0.0.0")[0].token == TOKEN
    assert "SCUMBLE_TOKEN" not in os.environ


def test_a_file_comes_before_the_environment(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("SCUMBLE_TOKEN", "another-token-of-sixteen")
    assert settings("--token-file", token_file(tmp_path))[0].token == TOKEN


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
@pytest.mark.parametrize("command", ["serve", "start"])
def test_an_open_address_demands_a_token(host, command, home):
    said = scumble(command, "--host", host, status=4).stderr
    assert f"Other machines can reach {host}" in said
    assert "--token-file" in said
    assert "SCUMBLE_TOKEN" in said
    assert not home.exists()


@posix
@pytest.mark.parametrize(
    ("text", "mode", "sentence"),
    [
        (TOKEN, 0o644, "is open to other users (mode 0644, should be 0600)"),
        (TOKEN[:15], 0o600, "holds no token: at least 16"),
        ("", 0o600, "holds no token: at least 16"),
        (f"{TOKEN} and more", 0o600, "without spaces"),
    ],
)
def test_a_token_file_that_is_no_good_is_refused(tmp_path, text, mode, sentence):
    path = token_file(tmp_path, text, mode)
    assert sentence in scumble("serve", "--token-file", path, status=4).stderr


def test_a_short_token_of_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("SCUMBLE_TOKEN", "short")
    said = scumble("serve", status=4).stderr
    assert "SCUMBLE_TOKEN holds no token" in said
    assert "short" not in said


@pytest.mark.parametrize(
    "words", [["--port", "70000"], ["--queue", "0"], ["--idle-minutes", "0"], ["--max-pixels", "x"]]
)
def test_a_number_out_of_range_is_refused(words):
    assert words[0] in scumble("serve", *words, status=2).stderr


def test_who_listens_to_all_is_told_how_to_encrypt(settings, monkeypatch, tmp_path):
    file = runtime.RuntimeFile(
        url="http://127.0.0.1:8765", token=TOKEN, pid=1, version="0.1", protocol=1, command=[], instance="x"
    )
    for words, is_told in ((["--host", "0.0.0.0", "--token-file", token_file(tmp_path)], True), ([], False)):
        _, more = settings(*words)
        runner = CliRunner()
        with runner.isolation() as (_, err, _all):
            more["on_ready"](file)
            said = err.getvalue().decode()
        lines = said.splitlines()
        assert lines[0].startswith("Scumble 0.1 listens at http://127.0.0.1:8765; its token is in ")
        assert lines[0].endswith("home/daemon.json.")
        assert ("ssh -L 8765:127.0.0.1:8765" in said) is is_told
        assert ("caddy reverse-proxy" in said) is is_told
        assert len(lines) == (5 if is_told else 1)
        assert TOKEN not in said


# ---------------------------------------------------------------------------------------------------- start and stop


def test_start_passes_its_options_on_and_says_where(monkeypatch, home):
    told = []

    def start(*values):
        told.append(values)
        file = runtime.RuntimeFile(
            url="http://127.0.0.1:1", token=TOKEN, pid=1, version="0.1", protocol=1, command=[], instance="x"
        )
        return file, len(told) == 1

    monkeypatch.setattr(runtime, "start", start)
    said = scumble("start", "--queue", 3, "--device", "cpu", "--device", "cuda")
    assert said.stdout == ""
    assert "listens at http://127.0.0.1:1" in said.stderr
    assert told == [(home, ["--device=cpu", "--device=cuda", "--queue=3"])]
    said = scumble("start").stderr
    assert "A daemon is running already at http://127.0.0.1:1.\n" in said
    assert "it keeps its own options" in scumble("start", "--queue", 3).stderr


def test_stop_says_whether_there_was_one(fake):
    fake.write()
    assert "The daemon has stopped." in scumble("stop").stderr
    assert "No daemon is running." in scumble("stop").stderr


# ------------------------------------------------------------------------------------------------------------ status


def _health(**fields):
    device = Device(
        name="cpu",
        description="A Processor",
        state="painting",
        job="3f2a91c0",
        memory_used_mb=812,
        memory_free_mb=11_240,
    )
    given = {
        "name": "scumble",
        "version": "0.1.0",
        "protocol": 1,
        "instance": "one",
        "pid": 4711,
        "uptime_s": 7500,
        "features": "vgg19-lite",
        "devices": [device],
        "queued": 2,
        "running": 1,
        "queue_limit": 256,
        "disk_free_mb": 30_100,
        "disk_used_mb": 120.4,
        "home": "/home/somebody/.scumble",
    }
    return Health(**{**given, **fields})


def test_status_is_a_few_readable_lines(fake):
    fake.write()
    fake.health = _health().model_dump(mode="json")
    assert scumble("status").stdout.splitlines() == [
        f"scumble 0.1.0 at {fake.url}, process 4711, up for 2 h 5 min",
        "Device    cpu, A Processor: painting, job 3f2a91c0, 812 MB in use, 11.2 GB free",
        "Features  vgg19-lite",
        "Jobs      1 running, 2 of 256 waiting",
        "Disk      120 MB in use, 30.1 GB free",
        "Folder    /home/somebody/.scumble",
    ]
    assert Health.model_validate_json(scumble("status", "--json").stdout) == _health()


def test_status_of_none_is_exit_status_3(home):
    for words in (["status"], ["status", "--json"], ["jobs"]):
        result = scumble(*words, status=3)
        assert f"No daemon is running in {home}." in result.stderr
        assert "scumble start" in result.stderr
        assert result.stdout == ""
    assert not home.exists()


def test_what_was_left_behind_is_not_running(fake):
    fake.write(instance="of a former life")
    scumble("status", status=3)


def test_a_remote_daemon_is_asked_with_its_own_token(fake, tmp_path, monkeypatch):
    fake.health = _health().model_dump(mode="json")
    path = token_file(tmp_path)
    assert "process 4711" in scumble("status", "--url", fake.url, "--token-file", path).stdout
    monkeypatch.setenv("SCUMBLE_URL", fake.url)
    monkeypatch.setenv("SCUMBLE_TOKEN", TOKEN)
    assert "process 4711" in scumble("status").stdout
    monkeypatch.setenv("SCUMBLE_TOKEN", "quite-another-token")
    scumble("status", status=3)  # the fake's 401 is no problem document
    fake.says = (200, b'{"name": "scumble", "version": "0.1.0", "protocol": 1}')
    monkeypatch.delenv("SCUMBLE_TOKEN")
    lines = scumble("status").stdout.splitlines()
    assert lines == [f"scumble 0.1.0 at {fake.url}", "It tells more to those who have its token."]
    assert fake.heard[-1][2] is None
    monkeypatch.delenv("SCUMBLE_URL")
    assert "--token-file belongs to --url" in scumble("status", "--token-file", path, status=2).stderr


def test_what_is_no_daemon_is_told(fake):
    fake.says = (200, b"<html>")
    assert "is no daemon" in scumble("status", "--url", fake.url, status=3).stderr
    assert "is no daemon" in scumble("jobs", "--url", fake.url, status=3).stderr


# -------------------------------------------------------------------------------------------------------------- jobs


def _job(id, **fields):
    given = {
        "id": id,
        "state": State.DONE,
        "phase": "finished",
        "progress": 1.0,
        "width": 640,
        "height": 480,
        "recipe": {"styles": [{"picture": "night.jpg"}, {"picture": "library:bands"}]},
        "created": datetime.now(UTC) - timedelta(minutes=5),
    }
    return Job(**{**given, **fields})


def test_jobs_are_a_table(fake):
    listed = JobList(
        jobs=[
            _job("3f2a91c05566aabb", state=State.RUNNING, progress=0.333),
            _job("0123456789abcdef", recipe={"styles": [{"picture": "\x1b[2Jbad\nname"}]}),
            _job("ffff", recipe={}, width=20_000, created=datetime.now(UTC) - timedelta(days=3)),
        ]
    )
    fake.write()
    fake.answers["/v1/jobs?limit=7"] = listed.model_dump_json().encode()
    fake.answers["/v1/jobs?limit=20"] = b'{"jobs": []}'
    assert scumble("jobs", "--limit", 7).stdout.splitlines() == [
        "ID                STATE    PROGRESS  SIZE       AGE     STYLES",
        "3f2a91c05566aabb  running  33 %      640×480    5 min   night.jpg, library:bands",
        "0123456789abcdef  done     100 %     640×480    5 min   ?[2Jbad?name",
        "ffff              done     100 %     20000×480  3 days",
    ]
    result = scumble("jobs")
    assert (result.stdout, result.stderr) == ("", "There are no jobs.\n")


# -------------------------------------------------------------------------------------------------------------- logs


def test_logs_shows_the_last_lines(home):
    assert "There is no log" in scumble("logs", status=2).stderr
    folder = home / "logs"
    folder.mkdir(parents=True)
    (folder / "daemon.log.1").write_text("".join(f"old {number}\n" for number in range(60)))
    (folder / "daemon.log").write_text("new 0\nnew\x851\n")
    assert scumble("logs", "-n", 3).stdout == "old 59\nnew 0\nnew\x851\n"
    assert scumble("logs").stdout.count("\n") == 50
    assert scumble("logs", "-n", 0).stdout == ""


def test_logs_follows_also_when_another_file_takes_its_place(tmp_path):
    path = tmp_path / "daemon.log"
    path.write_text("first\n")
    heard = []

    def follow():
        with daemon_cli._opened(path) as file:
            heard.extend(f"{line}\n" for line in daemon_cli._last_lines(path, file, 5))
            for text in daemon_cli._growing(path, file, 0.01):
                heard.append(text)
                if "end" in text:
                    break

    def until(text):
        deadline = time.monotonic() + 10
        while text not in "".join(heard):
            assert time.monotonic() < deadline, heard
            time.sleep(0.01)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    until("first")
    with path.open("a") as file:
        file.write("second\n")
    until("second")
    with path.open("a") as file:
        file.write("third\n")
    path.rename(tmp_path / "daemon.log.1")
    path.write_text("fourth\n")
    until("fourth")
    with path.open("a") as file:
        file.write("end\n")
    thread.join(10)
    assert "".join(heard).split() == ["first", "second", "third", "fourth", "end"]


# ------------------------------------------------------------------------------------------------------- as a whole


def test_help_needs_nothing_heavy():
    code = "import sys\nfrom click.testing import CliRunner\nfrom scumble.cli import cli\n"
    code += "for words in (['--help'], ['serve', '--help'], ['status', '--help']):\n"
    code += "    assert CliRunner().invoke(cli, words).exit_code == 0\n"
    code += "print({'torch', 'pydantic', 'numpy', 'rich', 'PIL', 'flask', 'http.client'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_the_commands_are_there():
    assert {"serve", "start", "stop", "status", "logs", "jobs"} <= set(cli.commands)
    assert all(isinstance(command, click.Command) and command.help for command in cli.commands.values())


@posix
def test_a_daemon_from_its_start_to_its_end(home):
    """The real one: started twice, asked, stopped; nothing that it leaves is open to others or holds its token."""
    pytest.importorskip("scumble.service.app")

    def run(*words, status=0):
        result = subprocess.run([sys.executable, "-m", "scumble", *words], capture_output=True, text=True, timeout=120)
        assert result.returncode == status, result.stderr
        return result

    starts = [
        subprocess.Popen([sys.executable, "-m", "scumble", "start", "--device=cpu"], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        said = [process.communicate(timeout=120)[1] for process in starts]
        assert [process.returncode for process in starts] == [0, 0], said
        file = runtime.find(home)
        assert re.search(rf"scumble 0\.1\.0 at {file.url}, process {file.pid}, up for \d+ s", run("status").stdout)
        assert "There are no jobs." in run("jobs").stderr
        assert "running already" in run("serve", status=3).stderr
        written = [path for path in home.rglob("*") if path.is_file() and path.name != "daemon.json"]
        assert {path.name for path in written} >= {"daemon.log", "start.log", "daemon.lock"}
        assert not any(file.token.encode() in path.read_bytes() for path in written)
        modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in [home, *home.rglob("*")]}
        assert modes == {0}
        assert file.token not in "".join(said)
    finally:
        assert "The daemon has stopped." in run("stop").stderr
    assert not runtime.runtime_file(home).exists()
    run("status", status=3)
    assert "Stopped" in run("logs").stdout


@pytest.fixture
def served(home):
    """The real daemon in the foreground, once it listens; its first line."""
    pytest.importorskip("scumble.service.app")
    running = []
    if hasattr(signal, "SIGHUP"):  # under nohup it is ignored, and what is ignored is inherited
        ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def serve(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "scumble", "serve", *words], stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        lines = []
        while not lines or "its token is in" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        return process, "".join(lines)

    yield serve
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, ours)
    for process in running:
        process.kill()
        process.communicate()


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(served, home, number):
    process, said = served("--port=0", "--device=cpu")
    file = runtime.find(home)
    assert f"Scumble {file.version} listens at {file.url}; its token is in {home}/daemon.json.\n" in said
    assert re.search(rf"^\S+ \S+ INFO  Scumble 0\.1\.0 listens at {file.url}, process {process.pid}$", said, re.M)
    assert file.command == [sys.executable, "-m", "scumble", "start", "--port=0", "--device=cpu"]
    assert (file.pid, file.protocol) == (process.pid, 1)
    process.send_signal(number)
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert said.rstrip().endswith("INFO  Stopped")
    assert file.token not in said
    assert "Traceback" not in said
    assert not runtime.runtime_file(home).exists()
    assert not runtime.is_taken(runtime.lock_file(home))


SIGNALLED = """
import signal, time
from scumble.service.serve import _stopped_by_signals

class Deaf:
    def stop(self):
        print("asked to", flush=True)

signal.signal(signal.SIGHUP, signal.SIG_IGN)
with _stopped_by_signals(Deaf()):
    print("up", flush=True)
    while True:
        time.sleep(0.1)
"""


@posix
def test_a_second_signal_ends_it_at_once_and_nohup_is_heard():
    with subprocess.Popen([sys.executable, "-c", SIGNALLED], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "up\n"
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == "asked to\n"
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 128 + signal.SIGINT
        finally:
            process.kill()


@posix
def test_after_a_kill_the_next_one_starts(served, home):
    process, _ = served("--device=cpu")
    process.kill()
    process.wait()
    assert runtime.runtime_file(home).exists()
    assert scumble("status", status=3)
    process, _ = served("--device=cpu")
    assert runtime.find(home).pid == process.pid


@posix
def test_a_port_that_is_taken_is_told_by_start(home):
    pytest.importorskip("scumble.service.app")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = scumble("start", "--port", port, "--device=cpu", status=3).stderr
    assert f"Error: The daemon did not start: Nothing can listen on 127.0.0.1, port {port}" in said
    assert not runtime.is_taken(runtime.lock_file(home))
    assert not runtime.runtime_file(home).exists()


def test_a_name_to_listen_under_becomes_a_number():
    address = pytest.importorskip("scumble.service.serve")._address
    assert address("localhost") in {"127.0.0.1", "::1"}
    assert address("192.0.2.1") == "192.0.2.1"
    assert address("::") == "::"
    assert address("no-such-host.invalid") == "no-such-host.invalid"
