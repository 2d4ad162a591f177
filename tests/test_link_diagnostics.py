"""The self-test against a fake daemon and a real one, and what a report says and does not say."""

import json
import sys

import plugins
import pytest
from daemons import running as running_daemon
from fake_daemon import TOKEN, FakeDaemon, answer, done, failed, problem

plugins.link()
from krita_scumble.link import diagnostics  # noqa: E402
from krita_scumble.link.daemon import Daemon, Device, Health  # noqa: E402
from krita_scumble.link.diagnostics import log_folder, report, self_test  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.finder import Finder  # noqa: E402
from krita_scumble.link.pixels import npy  # noqa: E402

HEALTH = {"name": "scumble", "version": "3", "protocol": 1, "instance": "fake"}
CPU = {"name": "cpu", "description": "A processor", "state": "ready"}


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "jane.doe"))
    for name in ("SCUMBLE_URL", "SCUMBLE_TOKEN", "SCUMBLE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "jane.doe" / ".scumble").mkdir(mode=0o700, parents=True)


@pytest.fixture
def fake(tmp_path):
    with FakeDaemon(tmp_path / "jane.doe" / ".scumble") as fake:
        fake.story = [done()]
        fake.once("GET /v1/health", *[lambda asked: answer({**HEALTH, "devices": [CPU]})] * 2)
        yield fake


def only_inside(fake):
    """The fake's picture, changed where it is selected alone."""
    from krita_scumble.link.pixels import Plane

    content = diagnostics._gradient(3, 5)
    data = bytearray(content.data)
    box = diagnostics._BOX
    for y in range(box.y, box.bottom):
        begin = y * content.stride + 4 * box.x
        data[begin : begin + 4] = b"abcd"
    changed = b"".join(npy(Plane(content.width, content.height, 4, 1, data)))
    fake.once("GET /v1/jobs/job-1/result", lambda asked: (200, "application/x-npy", changed, {}))


def told(checks):
    return [(check.name, check.ok) for check in checks]


def test_all_is_well(fake):
    only_inside(fake)
    checks = self_test(Daemon(Finder()))
    assert told(checks) == [("Daemon", True), ("Devices", True), ("Painting", True)]
    assert fake.url in checks[0].text
    assert checks[1].text == "A processor"
    assert "fake" in checks[2].text
    assert "DELETE /v1/jobs/job-1" in [str(asked) for asked in fake.asked]


def test_what_changes_all_is_found_out(fake):
    checks = self_test(Daemon(Finder()))
    assert not checks[-1].ok and "outside the selection" in checks[-1].text


def test_what_changes_nothing_is_found_out(fake):
    same = b"".join(npy(diagnostics._gradient(3, 5)))
    fake.once("GET /v1/jobs/job-1/result", lambda asked: (200, "application/x-npy", same, {}))
    checks = self_test(Daemon(Finder()))
    assert not checks[-1].ok and "Nothing inside" in checks[-1].text


def test_another_size_is_found_out(fake):
    fake.once(
        "GET /v1/jobs/job-1/result",
        lambda asked: (200, "application/x-npy", b"".join(npy(diagnostics._selection())), {}),
    )
    checks = self_test(Daemon(Finder()))
    assert not checks[-1].ok and "another size" in checks[-1].text


def test_the_first_failure_is_the_last_check(fake, monkeypatch):
    fake.story = [failed("out-of-memory", "It needs 9 GB.")]
    checks = self_test(Daemon(Finder()))
    assert told(checks)[1:] == [("Devices", True), ("Painting", False)]
    assert "9 GB" in checks[-1].text
    assert "DELETE /v1/jobs/job-1" in [str(asked) for asked in fake.asked]
    fake.once("POST /v1/jobs", problem("queue-full", "It is full."))
    fake.once("GET /v1/health", *[lambda asked: answer({**HEALTH, "devices": [CPU]})] * 2)
    assert "It is full" in self_test(Daemon(Finder()))[-1].text
    broken = {**CPU, "state": "failed"}
    fake.once("GET /v1/health", *[lambda asked: answer({**HEALTH, "devices": [broken]})] * 2)
    assert told(self_test(Daemon(Finder()))) == [("Daemon", True), ("Devices", False)]
    monkeypatch.setattr(Finder, "command", lambda self: None)
    fake.stop()
    checks = self_test(Daemon(Finder()))
    assert told(checks) == [("Daemon", False)]
    assert "pip install scumble" in checks[0].text


def test_a_report_tells_what_a_helper_needs(fake, tmp_path):
    health = Health("3.1", 1, features="vgg19", devices=(Device("cpu", "A processor", "ready", "", 812.4),), queued=2)
    error = LinkError("out-of-memory", f"{tmp_path}/jane.doe/x.png with {TOKEN} in /media/jane.doe/disk.")
    text = report("Krita 5.2.9", health, error)
    for said in (
        "Krita 5.2.9",
        "3.1",
        "vgg19",
        "A processor",
        "812 MB free",
        "2 queued",
        "(out-of-memory)",
        "~/.scumble",
    ):
        assert said in text
    assert sys.version.split()[0] in text
    for hidden in (TOKEN, "jane.doe", str(tmp_path)):
        assert hidden not in text
    assert "~/x.png with (token) in /media/(user)/disk." in text


def test_a_report_without_a_daemon(monkeypatch):
    assert "it has not answered" in report("Krita 5", None, None)
    monkeypatch.setenv("SCUMBLE_URL", "https://me:secret@far.example/x")
    monkeypatch.setenv("SCUMBLE_TOKEN", "hush-hush")
    text = report("Krita 5", None, LinkError("internal", "hush-hush"))
    assert "https://far.example/x" in text
    assert "secret" not in text and "hush" not in text


def test_a_report_says_which_plug_in_it_is(monkeypatch, tmp_path):
    assert "not installed by Scumble" in report("Krita 5", None, None)
    link = tmp_path / "scumble" / "link"
    link.mkdir(parents=True)
    (link.parent / "installed.json").write_text(json.dumps({"version": "7.8"}))
    monkeypatch.setattr(diagnostics, "__file__", str(link / "diagnostics.py"))
    assert "plug-in 7.8 in Krita 5" in report("Krita 5", None, None)


def test_the_logs_are_where_the_daemon_writes_them(tmp_path, monkeypatch):
    assert log_folder() == tmp_path / "jane.doe" / ".scumble" / "logs"
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path))
    assert log_folder() == tmp_path / "logs"


def test_a_real_daemon_passes(tmp_path):
    with running_daemon(tmp_path / "real") as real:
        daemon = Daemon(Finder(real.home))
        checks = self_test(daemon)
        assert all(check.ok for check in checks), checks
        assert len(checks) == 3
        assert real.ask("GET", "/v1/jobs").json == {"jobs": []}
        assert (real.home / "logs").is_dir()
        text = report("Krita", daemon.health(), None)
        assert real.token not in text and real.file.version in text
