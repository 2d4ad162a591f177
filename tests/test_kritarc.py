"""Krita's settings file: what counts as turned on, and that every byte that is not ours stays."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scumble.kritarc import change, forgotten, is_on, read, turned_on

ODD = (
    b"# a comment\n\nversion=1\n[python]x\n[MainWindow]\nState=AAAA/wAAAAD9\xff\xfe\x00=\n  spaced = out \n=nothing\n"
    b"enable_scumble=false\nno sign\n[advanced][python]\nenable_scumble=false\n"
)


@pytest.mark.parametrize(
    ("data", "is_so"),
    [
        (b"", False),
        (b"[python]\nenable_scumble=true\n", True),
        (b"[python]\r\nenable_scumble=true\r\n", True),
        (b" [python] \n enable_scumble = TRUE ", True),
        (b"[python][$i]\nenable_scumble[$i]=1", True),
        (b"[python]\nenable_scumble=false\n", False),
        (b"[python]\nenable_scumble=\n", False),
        (b"[python]\nenable_scumble\n", False),
        (b"[python]\nenable_scumbled=true\n", False),
        (b"[other]\nenable_scumble=true\n", False),
        (b"[python]\nx=1\n[other]\nenable_scumble=true\n", False),
        (b"[python][sub]\nenable_scumble=true\n", False),
        (b"enable_scumble=true\n[python]\n", False),
        (b"[python]\nenable_scumble=true\n[python]\nenable_scumble=false\n", False),
        (b"[python]\nenable_scumble=false\n[a]\nb=c\n[python]\nx=y\nenable_scumble=on\n", True),
    ],
)
def test_what_is_on(data, is_so):
    assert is_on(data) is is_so


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"[python]\nenable_scumble=true\n"),
        (ODD, ODD + b"\n[python]\nenable_scumble=true\n"),
        (b"[a]\nb=c", b"[a]\nb=c\n\n[python]\nenable_scumble=true\n"),
        (b"[a]\r\nb=\xe9\r\n", b"[a]\r\nb=\xe9\r\n\r\n[python]\r\nenable_scumble=true\r\n"),
        (b"[python]\nenable_x=true\n[z]\n", b"[python]\nenable_scumble=true\nenable_x=true\n[z]\n"),
        (b"[a]\r\n[python]\r\nx=1\r\n", b"[a]\r\n[python]\r\nenable_scumble=true\r\nx=1\r\n"),
        (b"[a]\n[python]", b"[a]\n[python]\nenable_scumble=true\n"),
        (b"[python]\nenable_scumble=false\nx=1\n", b"[python]\nenable_scumble=true\nx=1\n"),
        (b"[python]\r\nx=1\r\nenable_scumble=no\r\n", b"[python]\r\nx=1\r\nenable_scumble=true\r\n"),
        (b"[python]\nx=1\nenable_scumble=no", b"[python]\nx=1\nenable_scumble=true"),
        (b"[python]\n enable_scumble = true\n", b"[python]\n enable_scumble = true\n"),
    ],
)
def test_turning_it_on_changes_one_line(before, after):
    assert turned_on(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ODD, ODD),
        (b"[python]\nx=1\nenable_scumble=true\ny=2\n", b"[python]\nx=1\ny=2\n"),
        (b"[python]\nenable_scumble=true\n[b]\n[python]\nenable_scumble=no", b"[python]\n[b]\n[python]\n"),
        (b"[other]\nenable_scumble=true\n", b"[other]\nenable_scumble=true\n"),
    ],
)
def test_forgetting_takes_our_lines_alone(before, after):
    assert forgotten(before) == after


LINES = st.sampled_from(
    [b"[python]", b" [python][$i]", b"[a]", b"", b"enable_scumble=false", b" enable_scumble = true", b"x=\xff\r", b"["]
)


@given(st.lists(LINES), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_whatever_stands_there(lines, end, is_ended):
    data = end.join(lines) + (end if is_ended else b"")
    after = turned_on(data)
    assert is_on(after) and turned_on(after) == after
    assert not is_on(forgotten(after)) and b"".join(forgotten(data).split()) in b"".join(forgotten(after).split())


def test_a_file_is_changed_whole_and_keeps_its_mode(tmp_path):
    path = tmp_path / "kritarc"
    path.write_bytes(ODD)
    path.chmod(0o640)
    assert change(path, turned_on) and not change(path, turned_on)
    assert path.read_bytes() == ODD + b"\n[python]\nenable_scumble=true\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["kritarc"]


def test_a_file_that_is_not_there_is_made(tmp_path):
    path = tmp_path / "config" / "kritarc"
    assert read(path) == b"" and not change(path, forgotten) and not path.parent.exists()
    assert change(path, turned_on) and is_on(path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_is_followed(tmp_path):
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "kritarc", tmp_path / "kritarc"
    real.write_bytes(b"[a]\n")
    link.symlink_to(real)
    assert change(link, turned_on)
    assert link.is_symlink() and is_on(real.read_bytes())
