"""What the daemon's log holds, and what it must not."""

import logging
import os
import re
import stat
import sys
import threading
import warnings

import pytest

from scumble.errors import ScumbleError
from scumble.service import logs
from scumble.service.logs import HIDDEN, Form, PrivateFile, job_context, keep

TOKEN = "s3cr3t-T0ken_of-the-daemon"
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO |WARN |ERROR|FATAL|DEBUG) (\[job [0-9a-f]+\] )?\S")
log = logging.getLogger("scumble.test")


@pytest.fixture
def written(tmp_path):
    """The log's text so far, of a log that is kept during the test."""
    with keep(tmp_path / "logs", TOKEN):
        yield lambda: (tmp_path / "logs" / "daemon.log").read_text("utf-8")


def test_a_line_says_when_how_bad_and_about_which_job(written):
    log.info("plain")
    with job_context("3f2a91c05566aabb"):
        log.warning("%d of %d", 3, 4)
        with job_context("0123456789abcdef"):
            log.error("inner")
        log.error("outer again")
    log.critical("after")
    log.debug("unheard")
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(
        rf"{when} INFO  plain\n"
        rf"{when} WARN  \[job 3f2a91c05566aabb\] 3 of 4\n"
        rf"{when} ERROR \[job 0123456789abcdef\] inner\n"
        rf"{when} ERROR \[job 3f2a91c05566aabb\] outer again\n"
        rf"{when} FATAL after\n",
        written(),
    )


def test_a_job_belongs_to_its_thread(written):
    with job_context("aaaa"):
        thread = threading.Thread(target=log.info, args=("elsewhere",))
        thread.start()
        thread.join()
    assert "[job" not in written()


class Odd:
    def __repr__(self):
        return f"<odd {TOKEN}>"


def _fail(text):
    raise ValueError(f"it was {text}")


@pytest.mark.parametrize(
    "say",
    [
        lambda: log.info("the token is %s", TOKEN),
        lambda: log.info(f"in the text: x{TOKEN}x"),
        lambda: log.info("in a dictionary: %r", {"Authorization": f"Bearer {TOKEN}"}),
        lambda: log.info("in an object: %s", Odd()),
        lambda: log.info("in bytes: %r", TOKEN.encode()),
        lambda: log.info("%s", TOKEN, stack_info=True),
        lambda: warnings.warn(TOKEN, stacklevel=1),
        lambda: logging.getLogger("waitress").error("Task %s", TOKEN),
    ],
)
def test_the_token_is_in_no_line(written, capsys, say):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)  # catch_warnings has put back how they are shown
        say()
    assert HIDDEN in written()
    assert TOKEN not in written()
    assert TOKEN not in capsys.readouterr().err


@pytest.mark.parametrize("text", ["too many arguments", "too few: %s %s", "of the wrong kind: %d"])
def test_a_badly_put_event_is_told_and_without_the_token(tmp_path, text, capsys):
    handler = PrivateFile(tmp_path / "daemon.log")  # not pytest's own, which raises
    handler.setFormatter(Form(TOKEN))
    handler.handle(logging.LogRecord("x", logging.INFO, "x", 1, text, (TOKEN,), None))
    handler.close()
    assert f"{text} ('{HIDDEN}',)" in (tmp_path / "daemon.log").read_text()
    assert capsys.readouterr().err == ""


def test_the_token_is_in_no_traceback(written):
    try:
        try:
            _fail(TOKEN)
        except ValueError as error:
            raise RuntimeError(f"because of {TOKEN}") from error
    except RuntimeError:
        log.exception("failed")
    assert written().count(HIDDEN) == 2
    assert "ValueError: it was [hidden]" in written()
    assert TOKEN not in written()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_end_of_a_thread_is_told_without_the_token(written, capsys):
    thread = threading.Thread(target=_fail, args=(TOKEN,), name="painter-7")
    thread.start()
    thread.join()
    assert "The thread painter-7 has ended" in written()
    assert "ValueError: it was [hidden]" in written()
    assert TOKEN not in written() + capsys.readouterr().err


@pytest.mark.parametrize(
    "token",
    [
        "with'quote-and-so-on",
        "with'both\"quote-and-so-on",
        'with"double-quotes"',
        "with\\backslash-es",
        "a+b/c=d?e&f%g",
    ],
)
def test_a_token_of_odd_letters_is_hidden_in_every_spelling(token):
    import json
    from urllib.parse import quote

    form = Form(token)
    for text in (token, repr(token), json.dumps(token), quote(token, safe=""), repr({"t": token})):
        line = form.format(logging.LogRecord("x", logging.INFO, "x", 1, "it is %s", (text,), None))
        assert token not in line
        assert "quote-and" not in line
        assert "double" not in line
        assert "backslash" not in line
        assert HIDDEN in line


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer other",
        "authorization: other",
        "Authorization: Strange other",
        "Authorization:other",
        "{'Authorization': 'Bearer other'}",
        "[('Authorization', 'Bearer other')]",
        "{b'authorization': b'Basic other'}",
        "Proxy-Authorization: Basic other",
        "got Bearer other",
        "bearer  other",
        "HTTP_AUTHORIZATION=Bearer other",
    ],
)
def test_credentials_of_others_are_hidden_too(text):
    line = Form(TOKEN).format(logging.LogRecord("x", logging.INFO, "x", 1, text, (), None))
    assert "other" not in line
    assert HIDDEN in line


def test_what_is_no_credential_stays():
    line = Form(TOKEN).format(
        logging.LogRecord("x", logging.INFO, "x", 1, "The token is missing, be careful", (), None)
    )
    assert line.endswith("INFO  The token is missing, be careful")


FORGED = "2026-11-21 11:30:12 INFO  all is well"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_line_break_forges_no_line(written, end):
    log.info("a name: %s", f"x{end}{FORGED}")
    with job_context(f"a{end}{FORGED}"):
        log.info("a job")
    try:
        _fail(f"x{end}{FORGED}")
    except ValueError:
        log.exception("failed")
    lines = written().splitlines()
    assert len([line for line in lines if LINE.match(line)]) == 3
    assert all(LINE.match(line) or line.startswith("    ") for line in lines)


def test_a_terminal_is_not_driven(written):
    log.info("\x1b[2J\x07 – ü 画 \ud800")
    assert r"\x1b[2J\x07 – ü 画 \ud800" in written()


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="modes as POSIX has them")
def test_files_are_private_and_few_also_after_rotation(tmp_path):
    before = os.umask(0)
    try:
        handler = PrivateFile(tmp_path / "daemon.log", file_bytes=2000, files=3)
        handler.setFormatter(Form(TOKEN))
        for number in range(200):
            handler.emit(logging.LogRecord("x", logging.INFO, "x", 1, f"line {number} {'.' * 40}", (), None))
        handler.close()
    finally:
        os.umask(before)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    assert {_mode(file) for file in files} == {0o600}
    assert all(file.stat().st_size <= 2000 for file in files)
    assert "line 199 " in files[0].read_text()


def test_two_megabytes_five_times(tmp_path):
    with keep(tmp_path, TOKEN):
        (handler,) = [each for each in logging.getLogger().handlers if isinstance(each, PrivateFile)]
        assert (handler.maxBytes, handler.backupCount) == (2 * 2**20, 4)


@pytest.mark.skipif(os.name == "nt", reason="modes and links as POSIX has them")
def test_a_log_that_others_could_read_is_closed_to_them_and_a_link_not_followed(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o755)
    (folder / "daemon.log").touch()
    (folder / "daemon.log").chmod(0o644)
    with keep(folder, TOKEN):
        pass
    assert (_mode(folder), _mode(folder / "daemon.log")) == (0o700, 0o600)
    (folder / "daemon.log").unlink()
    (folder / "daemon.log").symlink_to(tmp_path / "victim")
    with pytest.raises(ScumbleError) as caught, keep(folder, TOKEN):
        pass
    assert caught.value.code == "cannot-write"
    assert not (tmp_path / "victim").exists()


def test_stderr_hears_it_in_the_foreground_only(tmp_path, capsys):
    with keep(tmp_path, TOKEN, foreground=True):
        log.info("aloud %s", TOKEN)
    with keep(tmp_path, TOKEN):
        log.info("silent")
    heard = capsys.readouterr().err
    assert heard.endswith("INFO  aloud [hidden]\n")
    assert heard.count("\n") == 1
    assert len((tmp_path / "daemon.log").read_text().splitlines()) == 2


def test_everything_is_put_back(tmp_path):
    def state():
        root = logging.getLogger()
        return root.level, list(root.handlers), threading.excepthook, warnings.showwarning

    logging.getLogger().setLevel(logging.WARNING)
    before = state()
    with pytest.raises(ZeroDivisionError), keep(tmp_path, TOKEN, foreground=True):
        assert state() != before
        raise ZeroDivisionError
    assert state() == before


def test_a_full_disk_costs_lines_and_nothing_else(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    with keep(tmp_path, TOKEN):
        monkeypatch.setattr(PrivateFile, "shouldRollover", full)
        log.info("lost %s", TOKEN)
        monkeypatch.undo()
        log.info("kept")
    assert capsys.readouterr().err == ""
    assert "kept" in (tmp_path / logs.FILE).read_text()


def test_no_torch_and_no_flask_for_any_of_this():
    import subprocess

    code = (
        "import sys, scumble.runtime, scumble.locks, scumble.service.lock, scumble.service.logs;"
        "print({'torch', 'flask', 'waitress', 'numpy', 'requests'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
