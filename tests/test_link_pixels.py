"""Planes beside what numpy and Pillow make of the same bytes."""

import io
import threading
import time

import numpy as np
import plugins
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

plugins.link()
from krita_scumble.link import pixels  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.pixels import Plane, Rect  # noqa: E402

TYPES = {1: np.dtype("u1"), 2: np.dtype("<u2"), 4: np.dtype("<f4")}
DEPTHS = sorted(TYPES)
PX = st.integers(-20, 20)
SIDE = st.integers(0, 15)
RECTS = st.builds(Rect, PX, PX, SIDE, SIDE)


@pytest.fixture(autouse=True)
def narrow_bands(monkeypatch):
    """Small pictures have several bands, and a last one that is not whole."""
    monkeypatch.setattr(pixels, "BAND_BYTES", 200)


def array(width=13, height=9, channels=4, depth=1, seed=0):
    rng = np.random.default_rng(seed)
    if depth == 4:
        return rng.random((height, width, channels), np.float32).astype("<f4")
    return rng.integers(0, 256**depth, (height, width, channels)).astype(TYPES[depth])


def plane(values, **more):
    height, width, channels = values.shape
    return Plane(width, height, channels, values.dtype.itemsize, values.tobytes(), **more)


def values(of):
    return np.frombuffer(bytes(of.data), TYPES[of.depth]).reshape(of.height, of.width, of.channels)


def mask_of(rows):
    return plane(np.asarray(rows, np.uint8)[..., None])


# ---------------------------------------------------------------------------------------------------------- rectangles


def cells(rect):
    return {(x, y) for x in range(rect.x, rect.right) for y in range(rect.y, rect.bottom)}


@given(RECTS, RECTS)
def test_what_lies_in_both(one, other):
    both = one.intersected(other)
    assert cells(both) == cells(one) & cells(other)
    assert both.is_empty == (not cells(both)) and both.width >= 0 and both.height >= 0


@given(RECTS, RECTS)
def test_the_smallest_that_holds_both(one, other):
    union = cells(one) | cells(other)
    united = one.united(other)
    if not union:
        assert united.is_empty
        return
    xs, ys = {x for x, _ in union}, {y for _, y in union}
    assert (united.x, united.y, united.right, united.bottom) == (min(xs), min(ys), max(xs) + 1, max(ys) + 1)


def test_growing_moving_and_telling():
    rect = Rect(-3, 4, 10, 5)
    assert rect.grown(2) == Rect(-5, 2, 14, 9)
    assert rect.grown(-3).is_empty and rect.grown(-3).height == 0
    assert rect.moved(3, -4) == Rect(0, 0, 10, 5)
    assert rect.as_dict() == {"x": -3, "y": 4, "width": 10, "height": 5}
    assert Rect.from_dict(rect.as_dict()) == rect
    with pytest.raises(KeyError):
        Rect.from_dict({"x": 1})


# -------------------------------------------------------------------------------------------------------------- planes


@pytest.mark.parametrize(
    "given", [(2, 2, 4, 1, bytes(15)), (2, 2, 2, 1, bytes(8)), (2, 2, 4, 3, bytes(48)), (-2, -2, 1, 1, bytes(4))]
)
def test_a_plane_that_is_none_is_refused(given):
    with pytest.raises(ValueError, match="bytes"):
        Plane(*given)


def test_a_plane_takes_any_bytes_and_does_not_show_them():
    for data in (bytes(8), bytearray(8), memoryview(bytes(8)), memoryview(bytes(8)).cast("H")):
        made = Plane(2, 1, 4, 1, data)
        assert (made.stride, made.pixel_bytes, made.rect) == (8, 4, Rect(0, 0, 2, 1))
        assert "data" not in repr(made)


@pytest.mark.parametrize("depth", DEPTHS)
def test_red_and_blue_change_places(depth):
    given = array(depth=depth)
    expected = given[..., [2, 1, 0, 3]]
    assert bytes(pixels.swapped(given.tobytes(), depth)) == expected.tobytes()
    assert bytes(pixels.swapped(memoryview(given.tobytes()), depth)) == expected.tobytes()


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_orders(depth, channels):
    given = array(channels=channels, depth=depth)
    turned = given if channels == 1 else given[..., [2, 1, 0, 3][:channels]]
    as_bgr = plane(given, is_bgr=True)
    as_rgb = pixels.rgb(as_bgr)
    assert not as_rgb.is_bgr and np.array_equal(values(as_rgb), turned)
    assert pixels.rgb(as_rgb) is as_rgb
    back = pixels.bgr(as_rgb)
    assert np.array_equal(values(back), given) and back.is_bgr == (channels != 1)
    assert pixels.bgr(back) is back


@pytest.mark.parametrize("depth", DEPTHS)
def test_alpha(depth):
    given = array(depth=depth)
    assert np.array_equal(values(pixels.alpha(plane(given))), given[..., 3:])
    full = 1.0 if depth == 4 else 256**depth - 1
    assert (values(pixels.alpha(plane(given[..., :3]))) == full).all()


@pytest.mark.parametrize("depth", [1, 2])
def test_upside_down(depth):
    given = array(channels=1, depth=depth)
    assert np.array_equal(values(pixels.inverted(plane(given))), np.iinfo(TYPES[depth]).max - given)


def test_floats_are_no_mask_to_turn_upside_down():
    with pytest.raises(ValueError, match="integers"):
        pixels.inverted(plane(array(channels=1, depth=4)))


@given(st.sampled_from(DEPTHS), st.sampled_from([1, 3, 4]), RECTS)
def test_a_part(depth, channels, rect):
    given = array(channels=channels, depth=depth)
    source = plane(given, is_bgr=True)
    if rect.intersected(source.rect) != rect:
        with pytest.raises(ValueError, match="within"):
            pixels.cropped(source, rect)
        return
    part = pixels.cropped(source, rect)
    assert part.is_bgr
    assert np.array_equal(values(part), given[rect.y : rect.bottom, rect.x : rect.right])


# ---------------------------------------------------------------------------------------------------------------- .npy


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(13, 9), (1, 1), (12345, 3)])
def test_numpy_reads_what_is_written(depth, channels, size):
    given = array(*size, channels=channels, depth=depth)
    head, data = pixels.npy(plane(given))
    assert len(head) % 64 == 0
    read = np.load(io.BytesIO(head + bytes(data)), allow_pickle=False)
    assert read.dtype == given.dtype and np.array_equal(read, given)


def test_what_is_written_is_rgb_and_not_copied():
    given = array()
    told = pixels.npy(plane(given, is_bgr=True))
    assert np.array_equal(np.load(io.BytesIO(b"".join(told))), given[..., [2, 1, 0, 3]])
    source = plane(given)
    assert pixels.npy(source)[1] is source.data


def saved(values, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, values, version=version, allow_pickle=False)
    return file.getvalue()


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("version", [None, (1, 0), (2, 0), (3, 0)])
def test_what_numpy_writes_is_read(depth, version):
    for channels in (1, 3, 4):
        given = array(channels=channels, depth=depth)
        read = pixels.from_npy(saved(given, version))
        assert np.array_equal(values(read), given) and read.depth == depth
    flat = array(channels=1, depth=depth)[..., 0]
    read = pixels.from_npy(saved(flat, version))
    assert read.channels == 1 and np.array_equal(values(read)[..., 0], flat)


def test_what_is_read_is_not_copied():
    data = bytearray(saved(array()))
    read = pixels.from_npy(data)
    data[-1] ^= 0xFF
    assert values(read)[-1, -1, -1] == data[-1]


def not_pictures():
    good = saved(array())
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9, 13, 4), }"
    assert good.count(header + b"    ") == 1

    def telling(text):
        room = len(header) + 4
        return good.replace(good[10 : 10 + room], text.ljust(room)[:room])

    pickled = io.BytesIO()
    np.save(pickled, np.array([{}]), allow_pickle=True)
    return {
        "nothing": b"",
        "cut in its header": good[:40],
        "cut in its data": good[:-1],
        "too long": good + b"\0",
        "another file": b"\x89PNG\r\n\x1a\n" + good,
        "of Fortran": saved(np.asfortranarray(array())),
        "of pickles": pickled.getvalue(),
        "of doubles": saved(np.zeros((3, 3))),
        "big-endian": saved(np.zeros((3, 3), ">u2")),
        "of two channels": saved(np.zeros((3, 3, 2), np.uint8)),
        "of one dimension": saved(np.zeros(9, np.uint8)),
        "of four": saved(np.zeros((1, 3, 3, 3), np.uint8)),
        "of an unknown version": good[:6] + b"\x09" + good[7:],
        "negative": telling(header.replace(b"(9, 13", b"(-9,-13")),
        "of bools": telling(header.replace(b"(9, 13, 4)", b"(True,117,4)")),
        "of a bool less": telling(header.replace(b"False", b"[]").replace(b"(9, 13, 4)", b"(1.0,117,4)")),
        "a call": telling(b"__import__('os').getpid()"),
        "deep": good[:8] + (4000).to_bytes(2, "little") + b"(" * 4000,
        "of a huge header": good[:6] + b"\x02\x00" + (2**31).to_bytes(4, "little") + good[10:],
        "no dictionary": telling(b"[1, 2, 3]"),
        "of a long header": good[:8] + (20_000).to_bytes(2, "little") + header.ljust(20_000) + good[128:],
        "only its magic": good[:6],
    }


@pytest.mark.parametrize("what", not_pictures())
def test_what_is_no_plane_is_refused(what):
    with pytest.raises(LinkError) as caught:
        pixels.from_npy(not_pictures()[what])
    assert caught.value.code == "not-a-picture"


def test_what_is_changed_above_would_be_good():
    for data, why in ((saved(array()), "as it is"), (saved(array(), (2, 0)), "with a long length")):
        assert pixels.from_npy(data).width == 13, why


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data):
    for begin in (b"", b"\x93NUMPY\x01\x00", saved(array())[:30]):
        with pytest.raises(LinkError):
            pixels.from_npy(begin + data)


# --------------------------------------------------------------------------------------------------------------- masks


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 8)), max_size=6), st.sampled_from([1, 2]))
def test_bounds(points, depth):
    rows = np.zeros((9, 13, 1), TYPES[depth])
    for x, y in points:
        rows[y, x] = 256 ** (depth - 1)
    found = pixels.bounds(plane(rows))
    if not points:
        assert found is None
        return
    ys, xs, _ = np.nonzero(rows)
    assert found == Rect(xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)


def disc(edge_px, size=200):
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - size / 2, columns - size / 2)
    return np.rint(255 * np.clip((0.35 * size - distance) / edge_px + 0.5, 0, 1))


@pytest.mark.parametrize(("edge_px", "is_soft"), [(0.01, False), (1, False), (6, True), (40, True)])
@pytest.mark.parametrize("size", [40, 200])
def test_a_soft_mask_is_told_from_an_antialiased_one(edge_px, is_soft, size):
    assert pixels.is_soft(mask_of(disc(edge_px, size))) is is_soft


def test_many_hard_edges_are_not_soft():
    rows = np.full((300, 300), 255)
    rows.flat[: 300 * 300 : 40] = 128  # more than one antialiased outline has, but few of all
    assert not pixels.is_soft(mask_of(rows))
    rows.flat[: 300 * 300 : 20] = 128
    assert pixels.is_soft(mask_of(rows))


def test_masks_without_an_edge():
    assert not pixels.is_soft(mask_of(np.zeros((30, 30))))
    assert not pixels.is_soft(mask_of(np.full((30, 30), 255)))
    assert pixels.is_soft(mask_of(np.full((30, 30), 128)))


def test_a_deep_mask_is_soft_alike():
    for edge_px, is_soft in ((1, False), (40, True)):
        deep = (disc(edge_px) * 257).astype("<u2")[..., None]
        assert pixels.is_soft(plane(deep)) is is_soft


# ------------------------------------------------------------------------------------------------------------ pictures


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(13, 9), (1, 1), (300, 2)])
def test_pillow_reads_the_png(channels, size):
    given = array(*size, channels=channels)
    data = pixels.png(plane(given))
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("PNG", {1: "L", 3: "RGB", 4: "RGBA"}[channels])
    assert np.array_equal(np.asarray(image).reshape(given.shape), given)


def test_a_png_is_rgb_of_eight_bits():
    given = array(depth=2)
    image = Image.open(io.BytesIO(pixels.png(plane(given, is_bgr=True))))
    assert np.array_equal(np.asarray(image), (given >> 8)[..., [2, 1, 0, 3]])


def test_a_png_of_floats_is_off_by_no_more_than_one():
    given = array(depth=4)
    given[0, 0], given[0, 1] = [-1, 0, 1, 2], [np.nan, np.inf, -np.inf, 0.5]
    shown = np.asarray(Image.open(io.BytesIO(pixels.png(plane(given))))).astype(float)
    expected = 255 * np.clip(np.nan_to_num(given, posinf=1, neginf=0), 0, 1)
    assert np.abs(shown - expected).max() <= 1.01
    assert shown[0, 0].tolist() == [0, 0, 255, 255]


def test_a_png_without_pixels_is_refused():
    with pytest.raises(ValueError, match="pixels"):
        pixels.png(Plane(0, 4, 1, 1, b""))


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("longest", [1, 4, 5, 12, 13, 99])
def test_every_nth_pixel(depth, channels, longest):
    given = array(channels=channels, depth=depth)
    step = next(n for n in range(1, 14) if -(-13 // n) <= longest)
    small = pixels.scaled_down(plane(given, is_bgr=channels != 1), longest)
    assert np.array_equal(values(small), given[::step, ::step])
    assert small.is_bgr == (channels != 1)


# --------------------------------------------------------------------------------------------------- twelve megapixels


@pytest.fixture(scope="module")
def large():
    width, height = 4000, 3000
    data = np.random.default_rng(0).integers(0, 256, (height, width, 4), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[500:2500, 600:3500] = 255
    return plane(data, is_bgr=True), mask_of(mask)


class Watch:
    """How long this process's other threads had to wait at the longest, in s."""

    def __enter__(self):
        self.longest, self._is_over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        time.sleep(0.01)
        return self

    def __exit__(self, *_):
        time.sleep(0.01)
        self._is_over.set()
        self._thread.join()

    def _look(self):
        last = time.perf_counter()
        while not self._is_over.wait(0.001):
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now


LONG = {
    "swapped": lambda picture, mask: pixels.swapped(picture.data, 1),
    "npy": lambda picture, mask: pixels.npy(picture),
    "cropped": lambda picture, mask: pixels.cropped(picture, Rect(300, 200, 3000, 2500)),
    "alpha": lambda picture, mask: pixels.alpha(picture),
    "bounds": lambda picture, mask: pixels.bounds(mask),
    "is_soft": lambda picture, mask: pixels.is_soft(mask),
    "inverted": lambda picture, mask: pixels.inverted(mask),
    "scaled_down": lambda picture, mask: pixels.scaled_down(picture, 256),
}


def test_bands_are_short_and_cover_everything(monkeypatch):
    monkeypatch.undo()
    assert pixels.BAND_BYTES <= 2**20
    for count, size, whole in ((0, 1, 1), (1, 4, 1), (5_000_000, 1, 1), (3_000_003, 4, 3), (999, 2**21, 1)):
        bands = list(pixels._bands(count, size, whole))
        assert [each for band in bands for each in range(*band)] == list(range(count))
        assert all((end - begin) * size <= max(pixels.BAND_BYTES, size * whole) for begin, end in bands)
        assert all((end - begin) % whole == 0 for begin, end in bands[:-1])


@pytest.mark.parametrize("what", LONG)
def test_twelve_megapixels_keep_nobody_waiting(what, large, monkeypatch):
    monkeypatch.undo()  # bands as they are
    waits, times = [], []
    for _ in range(3):
        with Watch() as watch:
            began = time.perf_counter()
            LONG[what](*large)
            times.append(time.perf_counter() - began)
        waits.append(watch.longest)
    # A loop over pixels in Python takes ten times as long; one call for all of them holds the lock throughout.
    assert min(times) < 1.0
    assert min(waits) < max(0.15, 0.5 * min(times))
