"""The doctor: a healthy machine, and every way in which one is not; what it says holds no secrets."""

import json
import os
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import click
import pytest
from helpers import ship
from made_plugins import OWN

from scumble import doctor, installing, probe
from scumble import report as report_of
from scumble.cli import cli
from scumble.hosts import Host, Program
from scumble.installing import places_of
from scumble.report import Line, Mark, Report, Section

TOKEN = "Zk3-a_secretTOKENsecret-9aaBBccDDeeFF00112233"

DEVICE = {
    "device": "cuda:0",
    "name": "Some GPU",
    "bfloat16": True,
    "cores": 4,
    "usable": 4,
    "threads": 4,
    "memory_free": 6 * 2**30,
    "memory": 8 * 2**30,
    "capability": [8, 6],
    "driver": "580.1",
}
GOOD = (
    {"torch": {"version": "2.15.0", "cuda": "13.2", "hip": None}},
    {"device": DEVICE},
    {"weights": [], "features": "scumble-lite (procedural paintings)"},
    {"convolution": {"float32": 1e-6, "bfloat16": 1e-2}},
)


def child(*said, then=""):
    """The command of a child that says so and then does that."""
    text = "\n".join(json.dumps(each) for each in said)
    code = f"import os, signal, sys, time\nprint({text!r}, flush=True)\n{then}"
    return [sys.executable, "-c", code]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr("scumble.hosts.find", list)
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


def examined(home, probe=None, **more):
    return doctor.examine(home, probe=probe or child(*GOOD), **more)


def line(report, title, label):
    """The only line of that section with that label."""
    (found,) = [each for each in section(report, title).lines if each.label == label]
    return found


def section(report, title):
    (found,) = [each for each in report.sections if each.title == title]
    return found


def runtime_file(home, **changes):
    path = home / "daemon.json"
    fields = {"url": "http://127.0.0.1:9", "token": TOKEN, "pid": 4, "version": "0", "protocol": 1, "command": ["x"]}
    path.write_text(json.dumps({**fields, "instance": "abc", **changes}))
    path.chmod(0o600)
    return path


def test_a_healthy_machine(home):
    heard = []
    report = examined(home, on_section=heard.append)
    assert report.is_good and tuple(heard) == report.sections
    assert not report.count(Mark.WARNING), report_of.plain_text(report)
    assert report.verdict == "All is well."
    assert line(report, "Device", "auto takes").text == "cuda:0: Some GPU"
    assert line(report, "Device", "memory").text == "6.0 of 8.0 GiB free"
    assert "580.1" in line(report, "Device", "driver").text and "8.6" in line(report, "Device", "driver").text
    assert "float32 and bfloat16" in line(report, "Device", "probe").text
    assert "numpy 2" in line(report, "Versions", "packages").text


def test_the_real_probe_works(home):
    report = doctor.examine(home, probe=[sys.executable, "-m", "scumble.probe", "cpu"])
    assert line(report, "Device", "probe").mark is Mark.OK, report_of.plain_text(report)
    assert line(report, "Device", "auto takes").text.startswith("cpu: ")
    assert line(report, "Weights", "ImageNet").mark is Mark.NOTE


def test_the_real_probe_tells_of_our_own_features(home, monkeypatch, capsys):
    monkeypatch.setenv("SCUMBLE_HOME", str(home))
    monkeypatch.setattr("scumble.engine.embedded.FOLDER", home / "embedded")
    ship(home / "embedded")
    assert probe.main("cpu") == 0
    report = examined(home, child(*map(json.loads, capsys.readouterr().out.splitlines())))
    assert line(report, "Weights", "scumble-lite").text == "3 MB, as it came with Scumble"
    assert line(report, "Weights", "auto takes").text == "scumble-lite (procedural paintings)"
    assert report.is_good


def test_the_device_is_tried_though_the_features_are_damaged(home, monkeypatch, capsys):
    monkeypatch.setenv("SCUMBLE_HOME", str(home))
    monkeypatch.setattr("scumble.engine.embedded.FOLDER", home / "embedded")
    file = ship(home / "embedded")
    file.write_bytes(file.read_bytes()[:1000])
    assert probe.main("cpu") == 0
    report = examined(home, child(*map(json.loads, capsys.readouterr().out.splitlines())))
    assert line(report, "Device", "probe").mark is Mark.OK
    assert line(report, "Weights", "scumble-lite").mark is Mark.BAD
    assert "Install Scumble again" in line(report, "Weights", "scumble-lite").hint


# ------------------------------------------------------------------------------------------------------- the device


def probed(home, command, limit_s=20.0):
    report = examined(home, command, probe_s=limit_s)
    found = line(report, "Device", "probe")
    assert found.mark is Mark.BAD and found.hint and not report.is_good
    assert section(report, "Log").lines  # the sections after it are still looked at
    return found


def error(text, kind="RuntimeError"):
    return {"error": {"kind": kind, "text": text}}


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("CUDA error: no kernel image is available for execution on the device", "too old or too new", "--device cpu"),
        ("The NVIDIA driver on your system is too old (found version 11040).", "driver is too old", "Update"),
        ("CUDA out of memory. Tried to allocate 2 MiB", "not enough memory", "Close"),
        ("No module named 'torch'", "not installed", "Install Scumble again"),
        ("libcudart.so.13: cannot open shared object file: No such file", "cannot be loaded", "torch"),
    ],
)
def test_known_complaints_get_a_sentence_and_a_hint(home, text, sentence, hint):
    for command in (child(*GOOD[:2], error(text), then="sys.exit(1)"), child(then=f"sys.exit({text!r})")):
        found = probed(home, command)
        assert sentence in found.text and hint in found.hint and text[:60] in found.text


def test_an_unknown_complaint_is_quoted(home):
    found = probed(home, child(*GOOD[:1], error("the moon is full"), then="sys.exit(1)"))
    assert "the moon is full" in found.text and "before the device was found" in found.text
    found = probed(home, child(then="print('odd thing', file=sys.stderr); sys.exit(3)"))
    assert "status 3" in found.text and "odd thing" in found.text and "before torch was loaded" in found.text


@pytest.mark.parametrize(("name", "hint"), [("SIGSEGV", "driver"), ("SIGILL", "processor"), ("SIGKILL", "memory")])
def test_a_crash_by_a_signal(home, name, hint):
    found = probed(home, child(*GOOD[:2], then=f"os.kill(os.getpid(), signal.{name})"))
    assert name in found.text and "before the convolution was done" in found.text and hint in found.hint


def test_a_crash_on_windows():
    assert doctor._crash(0xC0000005)[0] == "SIGSEGV" and doctor._crash(-1073741819)[0] == "SIGSEGV"
    assert doctor._crash(1) is None and doctor._crash(0) is None


def test_a_hang_ends_at_the_limit_with_all_its_children(home, tmp_path):
    began = time.monotonic()
    note = tmp_path / "pid"
    fork = f"pid = os.fork()\nif pid: open({str(note)!r}, 'w').write(str(pid))\ntime.sleep(60)"
    found = probed(home, child(*GOOD[:2], then=fork), limit_s=1.5)
    assert "hung" in found.text and "before the convolution was done" in found.text
    assert time.monotonic() - began < 15
    for _ in range(100):
        if not is_running(int(note.read_text())):
            return
        time.sleep(0.05)
    raise AssertionError("the grandchild lives on")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("off", [0.2, 1e9, float("nan")])
def test_wrong_numbers(home, off):
    found = probed(home, child(*GOOD[:3], {"convolution": {"float32": 1e-6, "bfloat16": off}}))
    assert "wrong numbers in bfloat16" in found.text and "float32 and" not in found.text


@pytest.mark.parametrize("command", [["/no/such/program"], [sys.executable, "-c", "print('[1]\\nhello\\n{')"]])
def test_a_child_that_says_nothing_sensible(home, command):
    assert "before torch was loaded" in probed(home, command).text


def test_a_gpu_that_torch_does_not_see(home, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if name == "nvidia-smi" else None)
    report = examined(home, child(GOOD[0], {"device": {**DEVICE, "device": "cpu"}}, *GOOD[2:]))
    assert line(report, "Device", "GPU").mark is Mark.WARNING
    assert not [each for each in section(examined(home), "Device").lines if each.label == "GPU"]


def test_little_memory(home):
    report = examined(home, child(GOOD[0], {"device": {**DEVICE, "memory_free": 2**28}}, *GOOD[2:]))
    assert line(report, "Device", "memory").mark is Mark.WARNING


@pytest.mark.parametrize(("native", "start"), [(True, "native"), (False, "not native")])
def test_bfloat16(home, native, start):
    report = examined(home, child(GOOD[0], {"device": {**DEVICE, "bfloat16": native}}, *GOOD[2:]))
    assert line(report, "Device", "bfloat16").text.startswith(start)


# -------------------------------------------------------------------------------------------------- other sections


def test_a_missing_and_a_wrong_package(home, monkeypatch):
    real = doctor.importlib.metadata.version

    def version(name):
        if name == "waitress":
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return {"torchvision": "0.1.0", "torch": "2.15.0+cu132"}.get(name) or real(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    report = examined(home)
    missing, wrong = line(report, "Versions", "waitress"), line(report, "Versions", "torchvision")
    assert missing.mark is Mark.BAD and missing.hint.startswith("pip install 'waitress") and not report.is_good
    assert wrong.mark is Mark.WARNING and "pip install 'torchvision==" in wrong.hint
    assert "torch 2.15.0+cu132" in line(report, "Versions", "packages").text


@pytest.mark.parametrize(("name", "title"), [("hosts", "Krita and GIMP"), ("runtime", "Daemon")])
def test_a_section_that_fails_says_so(home, monkeypatch, name, title):
    monkeypatch.setitem(sys.modules, f"scumble.{name}", None)
    monkeypatch.delattr(f"scumble.{name}", raising=False)
    report = examined(home)
    (found,) = section(report, title).lines
    assert found.mark is Mark.BAD and name in found.text and "Install Scumble again" in found.hint
    assert len(report.sections) == 7


def test_weights(home):
    kept = [
        {"name": "vgg19", "size": 80_000_000, "state": "ok", "detail": ""},
        {"name": "vgg16", "size": 60_000_000, "state": "damaged", "detail": "It is damaged."},
        {"name": "own", "size": 1, "state": "unrecorded", "detail": "No SHA-256."},
    ]
    report = examined(home, child(*GOOD[:2], {"weights": kept}, GOOD[3]))
    assert [each.mark for each in section(report, "Weights").lines] == [Mark.OK, Mark.BAD, Mark.WARNING]
    assert "scumble weights download vgg16" in line(report, "Weights", "vgg16").hint


def test_weights_without_torch(home, monkeypatch):
    monkeypatch.setattr("scumble.engine.embedded.FOLDER", home / "embedded")
    ship(home / "embedded")
    (home / "weights").mkdir()
    (home / "weights" / "vgg19.safetensors").touch()
    report = examined(home, child(then="sys.exit(1)"))
    assert "scumble-lite.safetensors, vgg19.safetensors" in line(report, "Weights", "weights").text


@pytest.fixture
def found_hosts(monkeypatch):
    """The hosts on this machine, to be filled."""
    found = []
    monkeypatch.setattr("scumble.hosts.find", lambda *_: found)
    return found


def host(program, home, version=None, channel="installed"):
    """One of a program, with its own folder and, for Krita, its settings in `home`."""
    settings = home / "kritarc" if program is Program.KRITA else None
    version = version or {Program.KRITA: "5.2.9", Program.GIMP: "3.0.4"}[program]
    return Host(program, channel, home / "program", version, (home / "its",), settings)


def test_hosts_that_are_too_old_or_not_there(home, found_hosts):
    found_hosts.append(host(Program.KRITA, home, "4.4.8", "flatpak"))
    report = examined(home)
    assert line(report, "Krita and GIMP", "Krita").mark is Mark.WARNING
    assert "5.1 or later" in line(report, "Krita and GIMP", "Krita").hint
    assert line(report, "Krita and GIMP", "GIMP") == Line(Mark.NOTE, "GIMP", "was not found.")
    found_hosts[:] = [host(Program.GIMP, home, "2.99.18")]
    found = line(examined(home), "Krita and GIMP", "GIMP")
    assert found.mark is Mark.WARNING and "2.99.18" in found.text and "3.0 or later" in found.hint


def test_a_gimp_that_does_not_tell_its_version(home, found_hosts, plugin_tree):
    first = replace(host(Program.GIMP, home), version=None, folders=())
    found_hosts.append(first)
    assert "started once" in plugin(home).text
    found_hosts[0] = replace(first, folders=(home / "GIMP/3.0", home / "GIMP/3.2"))
    told = [each.text for each in section(examined(home), "Krita and GIMP").lines if each.label == "plug-in"]
    assert told == [f"It is not in {home}/GIMP/{name}/plug-ins." for name in ("3.0", "3.2")]


@pytest.fixture
def place(home, found_hosts, program):
    """The place of the program's one host on this machine."""
    found_hosts.append(host(program, home))
    return places_of(found_hosts[0])[0]


@pytest.fixture
def again(program):
    """What puts it right."""
    return f"scumble install {program.name.lower()}"


def plugin(home, label="plug-in"):
    return line(examined(home), "Krita and GIMP", label)


def test_the_plugin(home, place, plugin_bundle, program, again):
    found = plugin(home)
    assert found.mark is Mark.NOTE and found.hint == again
    installing.install(place, plugin_bundle)
    assert plugin(home) == Line(Mark.OK, "plug-in", f"version {plugin_bundle.version} in {place.folder}/{OWN[program]}")
    labels = [each.label for each in section(examined(home), "Krita and GIMP").lines]
    assert ("turned on" in labels) == (program is Program.KRITA)


@pytest.mark.parametrize("program", [Program.KRITA], ids=str)
def test_whether_it_is_turned_on(home, place, plugin_bundle, again):
    installing.install(place, plugin_bundle)
    found = plugin(home, "turned on")
    assert found.mark is Mark.WARNING and str(place.settings) in found.text and found.hint == again
    installing.turn_on(place)
    assert plugin(home, "turned on").mark is Mark.OK


@pytest.mark.parametrize("version", ["0.0.1", None])
def test_another_version_of_the_plugin(home, place, plugin_bundle, plugin_tree, version, again):
    installing.install(place, replace(plugin_bundle, version=version or plugin_bundle.version))
    (plugin_tree / "link/text.py").write_bytes(b"HELLO = 2")
    found = plugin(home)
    assert found.mark is Mark.WARNING and found.hint == again
    assert (f"version {version}" if version else "another build") in found.text and plugin_bundle.version in found.text


def test_a_plugin_that_is_damaged_or_foreign(home, place, plugin_bundle, program, again):
    installing.install(place, plugin_bundle)
    own = place.folder / OWN[program]
    (own / "__init__.py").unlink()
    found = plugin(home)
    assert found.mark is Mark.WARNING and "__init__.py is missing" in found.text and found.hint == again
    (own / "installed.json").unlink()
    found = plugin(home)
    assert found.mark is Mark.WARNING and "not put there by Scumble" in found.text and "Move" in found.hint


@pytest.mark.parametrize("program", [Program.GIMP], ids=str)
def test_a_plugin_that_may_not_be_run(home, place, plugin_bundle, again):
    installing.install(place, plugin_bundle)
    (place.folder / "plug-ins/scumble/scumble.py").chmod(0o644)
    found = plugin(home)
    assert found.mark is Mark.WARNING and "scumble.py may not be run" in found.text and found.hint == again


@pytest.mark.parametrize("program", [Program.KRITA], ids=str)
def test_settings_that_cannot_be_read(home, place, plugin_bundle):
    installing.install(place, plugin_bundle)
    place.settings.mkdir()
    told = [each for each in section(examined(home), "Krita and GIMP").lines if each.label == "plug-in"]
    assert [each.mark for each in told] == [Mark.OK, Mark.WARNING] and "kritarc cannot be read" in told[1].text


@pytest.mark.usefixtures("place")
def test_sources_that_are_not_whole(home, plugin_tree, program):
    name = {Program.KRITA: "krita/scumble.desktop", Program.GIMP: "gimp/scumble/scumble.py"}[program]
    (plugin_tree / name).unlink()
    assert name in plugin(home).text and "Install Scumble again" in plugin(home).hint


def test_a_stale_runtime_file(home):
    runtime_file(home)
    report = examined(home)
    assert line(report, "Daemon", "runtime file").mark is Mark.OK
    assert line(report, "Daemon", "daemon").mark is Mark.WARNING and "gone" in line(report, "Daemon", "daemon").text


@pytest.mark.parametrize("live", [True, False])
def test_a_live_and_an_unreachable_daemon(home, monkeypatch, live):
    from scumble import runtime
    from scumble.errors import ScumbleError

    def find(home, timeout_s):
        if live:
            return runtime.read(home)
        raise ScumbleError("unreachable", "It does not answer in time.")

    runtime_file(home)
    monkeypatch.setattr(runtime, "find", find)
    found = line(examined(home), "Daemon", "daemon")
    assert found.mark is (Mark.OK if live else Mark.BAD) and found.text.startswith("It ") and bool(found.hint) != live


def test_a_runtime_file_that_others_can_read(home):
    runtime_file(home).chmod(0o644)
    report = examined(home)
    found = line(report, "Daemon", "runtime file")
    assert found.mark is Mark.BAD and "0644" in found.text and found.hint
    assert TOKEN not in json.dumps(report.as_dict())


def test_no_loopback(home, monkeypatch):
    def refuse(*_, **__):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(doctor.socket, "create_server", refuse)
    found = line(examined(home), "Daemon", "loopback")
    assert found.mark is Mark.BAD and "not permitted" in found.text


@pytest.mark.parametrize(("free_mb", "mark"), [(100, Mark.BAD), (1000, Mark.WARNING), (9000, Mark.OK)])
def test_disk_space(home, monkeypatch, free_mb, mark):
    usage = types.SimpleNamespace(free=free_mb * 1e6)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert line(examined(home), "Disk", "disk").mark is mark


def test_folders_and_their_sizes(home):
    (home / "store" / "deep").mkdir(parents=True)
    (home / "store" / "deep" / "a").write_bytes(bytes(2_500_000))
    (home / "store" / "b").write_bytes(bytes(500_000))
    assert line(examined(home), "Disk", "store/").text == "3.0 MB in 2 files"


def test_a_home_that_is_open_or_not_there(home):
    home.chmod(0o755)
    assert line(examined(home), "Disk", "folder").mark is Mark.WARNING
    report = examined(home / "not" / "yet")
    assert report.is_good and "not there yet" in line(report, "Disk", "folder").text


def test_a_home_that_cannot_be_written(home, monkeypatch):
    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor, "_child", lambda *_: (0, "\n".join(json.dumps(each) for each in GOOD), ""))
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    found = line(examined(home), "Disk", "writing")
    assert found.mark is Mark.BAD and "Read-only" in found.text and "SCUMBLE_HOME" in found.hint


def test_the_log_is_counted_and_its_last_events_shown(home):
    (home / "logs").mkdir()
    lines = ["2026-11-21 11:30:12 INFO  started"]
    lines += [f"2026-11-21 11:31:{n:02} WARN  [job 3f] slow {n}" for n in range(7)]
    lines += ["2026-11-21 11:32:00 ERROR broken", "    ERROR in a traceback", "WARNING is a word"]
    (home / "logs" / "daemon.log").write_text("\n".join(lines))
    report = examined(home)
    found = section(report, "Log").lines
    assert found[0].mark is Mark.WARNING and "1 error, 7 warnings in 11 lines" in found[0].text
    assert [each.text[-6:] for each in found[1:]] == ["slow 4", "slow 5", "slow 6", "broken"]
    (home / "logs" / "daemon.log").write_text("\n".join(lines[:3]))
    assert line(examined(home), "Log", "log").mark is Mark.OK


# ------------------------------------------------------------------------------------------------------- redacting


def test_the_token_is_never_told(home, monkeypatch):
    (home / "logs").mkdir()
    own = "short-token-of-env"
    monkeypatch.setenv("SCUMBLE_TOKEN", own)
    runtime_file(home)
    log = f"2026-11-21 11:32:00 ERROR {TOKEN} and {own} and Authorization: Bearer hush\n"
    (home / "logs" / "daemon.log").write_text(log)
    for report in (examined(home), report_of.redacted(examined(home), home)):
        text = report_of.plain_text(report) + json.dumps(report.as_dict())
        assert "ERROR [hidden] and [hidden]" in text and "Bearer [hidden]" in text
        assert TOKEN not in text and own not in text and "hush" not in text


def one(text, hint=""):
    return Report((Section("x", (Line(Mark.OK, "label", text, hint),)),))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/vera/.scumble and /home/verandah", "~/.scumble and /home/verandah"),
        ("/home/vera", "~"),
        ("Vera on atelier.local, not veranda or primavera", "USER on HOST, not veranda or primavera"),
        ("Atelier: up", "HOST: up"),
        ("5dJx0sYb3Qk9ZpLmN2vR7tWc", "[hidden]"),
        ("0123456789abcdef0123456789abcdef", "[hidden]"),
        ("linux-6.1.0-18-cloud-amd64-x86_64-with-glibc2", "linux-6.1.0-18-cloud-amd64-x86_64-with-glibc2"),
        ("Qwertyuiopasdfghjklzxcvbnmqwerty", "Qwertyuiopasdfghjklzxcvbnmqwerty"),
    ],
)
def test_names_and_folders_are_redacted(home, monkeypatch, text, shown):
    monkeypatch.setattr(doctor.socket, "gethostname", lambda: "atelier.local")
    monkeypatch.setattr(report_of.getpass, "getuser", lambda: "vera")
    monkeypatch.setattr(doctor.os.path, "expanduser", lambda _: "/home/vera")
    (found,) = report_of.redacted(one(text, text), home).sections[0].lines
    assert (found.text, found.hint) == (shown, shown)


def test_who_has_no_name_is_redacted_too(home, monkeypatch):
    def fail():
        raise OSError("no name")

    monkeypatch.setattr(report_of.getpass, "getuser", fail)
    monkeypatch.setattr(doctor.os.path, "expanduser", lambda path: path)
    assert report_of.redacted(one("a ~ b"), home) == one("a ~ b")
    monkeypatch.setattr(doctor.os.path, "expanduser", lambda _: "/")
    assert report_of.redacted(one("/ and /tmp"), home) == one("/ and /tmp")


# --------------------------------------------------------------------------------------------------------- showing


def test_lines_are_aligned_and_wrapped():
    lines = (Line(Mark.OK, "one", "short"), Line(Mark.BAD, "two", "word " * 40, "do " * 40))
    text = click.unstyle(report_of.section_text(Section("Title", lines), width=80))
    rows = text.splitlines()
    assert rows[1] == "Title" and rows[2].startswith("  ok      one") and rows[3].startswith("  bad     two")
    assert {row.index(word) for row, word in zip(rows[2:4], ("short", "word"), strict=True)} == {25}
    assert all(len(row) <= 80 for row in rows) and all(row.startswith(" " * 25) for row in rows[4:])
    assert sum("→" in row for row in rows) == 1


def test_the_verdict_counts():
    report = Report((Section("x", tuple(Line(mark, "a", "b") for mark in (*Mark, Mark.WARNING))),))
    assert report.verdict == "1 thing is bad, 2 warnings." and not report.is_good
    assert one("x").verdict == "All is well."


def fake(folder, name, code):
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
    path.chmod(0o755)


def test_the_clipboard(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("WAYLAND_DISPLAY", "w")
    assert report_of.copy("text") is None
    out = tmp_path / "out"
    keep = f"open({str(out)!r}, 'wb').write(sys.stdin.buffer.read())"
    fake(tmp_path, "xsel", keep)
    assert report_of.copy("täxt") == "xsel" and out.read_text() == "täxt"
    fake(tmp_path, "wl-copy", "sys.exit(1)")
    fake(tmp_path, "xclip", f"assert sys.argv[1:] == ['-selection', 'clipboard']; {keep}")
    assert report_of.copy("second") == "xclip" and out.read_text() == "second"
    monkeypatch.delenv("DISPLAY")
    assert report_of.copy("third") is None


@pytest.fixture
def quick(home, monkeypatch):
    """The command line's doctor, with a child that is well; `probe` may be changed."""
    asked = {"probe": child(*GOOD)}
    real = doctor.examine
    monkeypatch.setattr(doctor, "examine", lambda home, **more: real(home, **asked, **more))
    monkeypatch.setenv("SCUMBLE_HOME", str(home))
    return asked


def called(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", *words])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_the_command(quick, capsys):
    status, out, _ = called(capsys)
    assert status == 0 and "All is well." in out and "\x1b" not in out and "  ok      probe" in out
    quick["probe"] = child(*GOOD[:2], then="os.abort()")
    status, out, _ = called(capsys)
    assert status == 1 and "1 thing is bad." in out and "SIGABRT" in out


def test_the_command_as_json(quick, capsys):
    quick["probe"] = child(*GOOD[:2], then="os.abort()")
    status, out, _ = called(capsys, "--json")
    data = json.loads(out)
    assert status == 1 and data["is_good"] is False
    marks = {each["mark"] for section in data["sections"] for each in section["lines"]}
    assert {"ok", "bad", "note"} <= marks


def test_the_command_copies_what_it_prints(quick, home, capsys, monkeypatch):
    kept = []
    monkeypatch.setattr(doctor, "copy", lambda text: kept.append(text) or "xclip")
    monkeypatch.setattr(doctor.os.path, "expanduser", lambda _: str(home))
    monkeypatch.setattr(os, "environ", {**os.environ, "HOME": str(home)})
    _, out, err = called(capsys, "--copy")
    assert kept[0].strip() == out.strip() and "xclip" in err
    assert str(home) not in out and "~/daemon.json" in out
