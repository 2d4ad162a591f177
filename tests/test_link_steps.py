"""Long work on the host's thread, in short steps."""

import plugins
from hypothesis import given
from hypothesis import strategies as st

plugins.link()
from krita_scumble.link import steps  # noqa: E402
from krita_scumble.link.pixels import Rect  # noqa: E402

ROWS = st.integers(1, 4000)


def _bands(box: Rect, start_px: int, whole: int) -> list[tuple[int, int]]:
    done: list[tuple[int, int]] = []
    for _ in steps.in_bands(box, start_px, lambda y, rows: done.append((y, rows)), whole):
        pass
    return done


@given(st.integers(1, 5000), ROWS, st.integers(1, 1 << 21), st.sampled_from((1, 64)))
def test_bands_cover_a_box_and_none_is_large(width: int, height: int, start_px: int, whole: int) -> None:
    """However fast the work is, which here does nothing, no band has more than a step may have."""
    done = _bands(Rect(3, 5, width, height), start_px, whole)
    assert [y for y, _ in done] == [sum(rows for _, rows in done[:index]) for index in range(len(done))]
    assert sum(rows for _, rows in done) == height
    assert all(rows % whole == 0 for _, rows in done[:-1])
    most = max(start_px, 1 << 20)
    assert all(rows * width <= max(most, whole * width) for _, rows in done)
