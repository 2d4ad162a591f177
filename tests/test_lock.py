"""One daemon for one folder, whatever happens to the process that holds the lock."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from scumble.errors import ScumbleError
from scumble.locks import holder, is_taken
from scumble.service.lock import hold

HOLDING = """
import sys, time
from pathlib import Path
from scumble.service.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "daemon.lock"


@pytest.fixture
def other(path):
    """Another process that holds the lock."""
    words = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_refused_at_once_and_told_who_is_the_first(path, other):
    began = time.monotonic()
    with pytest.raises(ScumbleError, match=rf"running already in {path.parent} \(process {other.pid}\)") as caught:
        hold(path).__enter__()
    assert caught.value.code == "daemon-running"
    assert time.monotonic() - began < 1
    assert holder(path) == other.pid


def test_it_is_free_after_the_block_and_was_not_within(path):
    assert not is_taken(path)
    with hold(path):
        assert is_taken(path)
        assert holder(path) == os.getpid()
        with pytest.raises(ScumbleError), hold(path):
            pass
        assert is_taken(path)
    assert not is_taken(path)
    assert holder(path) is None
    with pytest.raises(ZeroDivisionError), hold(path):
        raise ZeroDivisionError
    with hold(path):
        pass


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_holder_frees_it(path, other):
    assert is_taken(path)
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert not is_taken(path)
    with hold(path):
        assert holder(path) == os.getpid()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_child_does_not_inherit_it(path):
    """Not even one that takes over whatever descriptors it can: a worker that outlives the daemon blocks no other."""
    code = f"""
import os, subprocess, sys
from pathlib import Path
from scumble.service.lock import hold
with hold(Path({str(path)!r})):
    child = subprocess.Popen([sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
                             close_fds=False)
    os.kill(os.getpid(), 9)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "up\n"
        process.wait()
        assert process.returncode == -9
        assert not is_taken(path)


def test_a_look_is_no_daemon(path, monkeypatch):
    """Somebody who looks whether the lock is taken holds it for an instant; a daemon waits that out."""
    import threading

    from scumble.locks import open_lock, take

    descriptor = open_lock(path)
    take(descriptor)
    threading.Timer(0.04, os.close, [descriptor]).start()
    with hold(path):
        pass


@pytest.mark.skipif(os.name == "nt", reason="modes and links as POSIX has them")
def test_it_is_private_and_no_link(path, tmp_path):
    path.touch(mode=0o644)
    path.chmod(0o644)
    with hold(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    with hold(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(ScumbleError, match="cannot be opened") as caught, hold(path):
        pass
    assert caught.value.code == "cannot-write"
    assert victim.read_text() == "precious"


def test_no_lock_is_not_taken(tmp_path):
    assert not is_taken(tmp_path / "nothing" / "daemon.lock")
    assert holder(tmp_path / "nothing") is None
