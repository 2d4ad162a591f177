"""Style pictures: what is read, what is refused, and what is kept of pictures without a file."""

import io
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import plugins
import pytest
from daemons import picture_file
from PIL import Image

from scumble.picture import decode

plugins.link()
from krita_scumble.link import styles  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.styles import Snapshots, read, sniff  # noqa: E402

PNG = picture_file()


def file_of(form):
    """A picture as Pillow writes it."""
    out = io.BytesIO()
    Image.fromarray(np.full((8, 9, 3), 90, np.uint8)).save(out, form)
    return out.getvalue()


def archive(**members):
    """A zip file, as Krita and MyPaint save their drawings."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mimetype", "application/x-krita")
        for name, data in members.items():
            file.writestr(name.replace("_", "."), data)
    return out.getvalue()


def refusal(path):
    """How `read` refuses a file."""
    with pytest.raises(LinkError) as raised:
        read(str(path))
    return raised.value


# -------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_pictures_are_read_as_they_are(tmp_path, form):
    path = tmp_path / "grüner Reiher.xyz"  # the ending does not matter
    path.write_bytes(file_of(form))
    assert read(str(path)) == (path.read_bytes(), "grüner Reiher")
    assert sniff(path.read_bytes()) == form.lower()
    assert decode(read(str(path))[0], name="style").size == (9, 8)  # by the daemon


@pytest.mark.parametrize("ending", ["kra", "ora"])
def test_a_drawing_is_read_by_the_picture_in_it(tmp_path, ending):
    path = tmp_path / f"drawing.{ending}"
    path.write_bytes(archive(mergedimage_png=PNG, preview_png=b"small"))
    assert read(str(path)) == (PNG, "drawing")


@pytest.mark.parametrize(
    "data",
    [archive(preview_png=PNG), archive(mergedimage_png=b"none"), archive(mergedimage_png=PNG)[:-40], b"PK\x03\x04junk"],
    ids=["not there", "no picture", "cut short", "no zip file"],
)
def test_a_drawing_without_a_picture(tmp_path, data):
    path = tmp_path / "drawing.kra"
    path.write_bytes(data)
    error = refusal(path)
    assert (error.code, "drawing.kra" in error.detail) == ("not-a-picture", True)


def test_a_drawing_that_is_damaged(tmp_path):
    whole = bytearray(archive(mergedimage_png=PNG))
    begin = whole.index(b"mergedimage.png") + 40
    whole[begin : begin + 200] = bytes(200)
    path = tmp_path / "drawing.kra"
    path.write_bytes(bytes(whole))
    assert refusal(path).code == "not-a-picture"


def test_a_drawing_that_unfolds_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(styles, "LARGEST_BYTES", 10_000)
    path = tmp_path / "bomb.kra"
    path.write_bytes(archive(mergedimage_png=PNG[:8] + bytes(1_000_000)))
    assert path.stat().st_size < 10_000
    assert refusal(path).code == "not-a-picture"


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a" + bytes(20), b"8BPS" + bytes(20), b"RIFF1234WAVE"])
def test_what_only_a_host_may_know(tmp_path, data):
    path = tmp_path / "thing.psd"
    path.write_bytes(data)
    assert refusal(path).code == "not-a-picture"


def test_what_is_not_there_or_cannot_be_read(tmp_path):
    assert refusal(tmp_path / "gone.png").code == "missing-style"
    assert refusal(tmp_path).code == "missing-style"
    assert refusal("a\0b").code == "missing-style"


def test_what_is_far_too_large_is_not_even_read(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(styles.LARGEST_BYTES + 1)
    assert "512 MB" in refusal(path).detail


# ------------------------------------------------------------------------------------------------------------ snapshots


def snapshot(number):
    """A PNG of its own."""
    return PNG + bytes([number])


def age(path, seconds):
    """Let a file be older."""
    about = path.stat()
    os.utime(path, (about.st_atime - seconds, about.st_mtime - seconds))


def test_a_snapshot_is_kept_once(tmp_path):
    kept = Snapshots(tmp_path / "a" / "snapshots")
    path = kept.keep(PNG)
    assert kept.keep(PNG) == path
    assert path.read_bytes() == PNG
    assert read(str(path))[0] == PNG
    assert list(path.parent.iterdir()) == [path]
    assert kept.keep(snapshot(1)) != path


@pytest.mark.skipif(os.name != "posix", reason="has other permissions")
def test_snapshots_are_the_users_alone(tmp_path):
    path = Snapshots(tmp_path / "snapshots").keep(PNG)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]


def test_the_oldest_snapshots_go(tmp_path):
    kept = Snapshots(tmp_path, kept=3)
    paths = [kept.keep(snapshot(number)) for number in range(3)]
    for index, path in enumerate(paths):
        age(path, 100 - index)
    kept.keep(snapshot(0))  # is used again, and so the newest
    last = kept.keep(snapshot(3))
    assert set(tmp_path.iterdir()) == {paths[0], paths[2], last}


def test_a_snapshot_that_is_none_or_cannot_be_kept(tmp_path):
    with pytest.raises(LinkError) as raised:
        Snapshots(tmp_path).keep(b"no picture")
    assert raised.value.code == "not-a-picture"
    (tmp_path / "file").touch()
    with pytest.raises(LinkError) as raised:
        Snapshots(tmp_path / "file").keep(PNG)
    assert raised.value.code == "cannot-save"


def test_half_a_file_is_never_there(tmp_path, monkeypatch):
    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(LinkError, match=r"cannot-save|No space"):
        Snapshots(tmp_path).keep(PNG)
    assert list(tmp_path.iterdir()) == []
