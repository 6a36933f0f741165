"""The access review in a real browser: on screen, in the dark, on paper, and on something narrow."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.support.chromium import Chromium
from tests.support.reviews import crowd, day, longest, mia, osei, page, review

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as opened:
        yield opened


class Picture:
    """A PNG as Chromium writes it: 8 bits, RGB or RGBA."""

    def __init__(self, file: Path) -> None:
        data, at, packed = file.read_bytes(), 8, b""
        while at < len(data):
            (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
            if kind == b"IHDR":
                self.width, self.height, depth, colour = struct.unpack(">IIBB", data[at + 8 : at + 18])
                assert (depth, colour) in ((8, 2), (8, 6))
                self._pixel = 3 if colour == 2 else 4
            elif kind == b"IDAT":
                packed += data[at + 8 : at + 8 + length]
            at += 12 + length
        self.lines = self._lines(zlib.decompress(packed))

    def _lines(self, raw: bytes) -> list[bytes]:
        size, pixel = self.width * self._pixel, self._pixel
        lines, above = [], bytes(size)
        for start in range(0, len(raw), size + 1):
            how, line = raw[start], bytearray(raw[start + 1 : start + 1 + size])
            for i in range(size) if how else ():
                left = line[i - pixel] if i >= pixel else 0
                corner = above[i - pixel] if i >= pixel else 0
                line[i] = (line[i] + _guess(how, left, above[i], corner)) & 255
            above = bytes(line)
            lines.append(above)
        return lines

    @property
    def ground(self) -> tuple[int, ...]:
        """The colour of the first pixel, where the page has its margin."""
        return tuple(self.lines[0][:3])

    @property
    def written(self) -> int:
        """How many lines of pixels are not all ground."""
        empty = self.lines[0][: self._pixel] * self.width
        return sum(line != empty for line in self.lines)


def _guess(how: int, left: int, up: int, corner: int) -> int:
    """What a filter of PNG takes a byte to be (PNG specification, 9.2)."""
    if how == 1:
        return left
    if how == 2:
        return up
    if how == 3:
        return (left + up) // 2
    best = left + up - corner
    return min((left, up, corner), key=lambda byte: abs(best - byte))


def test_on_screen_it_is_as_large_as_the_window_and_full_of_words(chromium, tmp_path):
    chromium.screenshot(page(osei()), tmp_path / "light.png", 1280, 1600)
    picture = Picture(tmp_path / "light.png")
    assert (picture.width, picture.height) == (1280, 1600)
    assert picture.written > 800
    assert picture.ground == (255, 255, 255)


def test_in_the_dark_it_is_dark(chromium, tmp_path):
    chromium.screenshot(page(osei()), tmp_path / "dark.png", 1280, 900, dark=True)
    picture = Picture(tmp_path / "dark.png")
    assert picture.written > 400
    assert max(picture.ground) < 64


@pytest.mark.parametrize("width", [1280, 1024, 768, 500])
@pytest.mark.parametrize(
    "told", [osei, mia, longest, lambda: crowd(300)], ids=["account", "person", "longest", "300 members"]
)
def test_nothing_stands_out_of_the_window(chromium, told, width):
    measured = chromium.measure(page(told()), width)
    assert measured.window == width
    assert measured.width <= width
    assert (measured.outside, measured.cut) == (0, 0)


def test_the_measure_sees_what_stands_out(chromium):
    wide = (
        page(osei())
        .replace("<main>", '<main><p class="wide">wide</p>')
        .replace("</style>", ".wide{width:1400px}</style>")
    )
    measured = chromium.measure(wide, 1280)
    assert measured.width > 1280
    assert measured.outside >= 1


def test_printed_it_has_all_of_it_in_landscape_with_headings_on_each_page(chromium, tmp_path):
    chromium.print_to_pdf(page(osei(), since=day(10)), tmp_path / "osei.pdf")
    pages = PdfReader(tmp_path / "osei.pdf").pages
    assert 3 <= len(pages) <= 8
    for sheet in pages:
        assert sheet.mediabox.width > sheet.mediabox.height
    texts = [" ".join(sheet.extract_text().split()) for sheet in pages]
    assert "Dr. Ama Osei" in texts[0]
    assert "Who could do what" in texts[0]
    assert "policy-service audit verify" in texts[-1]
    assert f"page 1 of {len(pages)}" in texts[0]


def test_printed_no_member_is_lost_and_the_matrix_keeps_its_headings(chromium, tmp_path):
    chromium.print_to_pdf(page(crowd(60)), tmp_path / "crowd.pdf")
    texts = [" ".join(sheet.extract_text().split()) for sheet in PdfReader(tmp_path / "crowd.pdf").pages]
    matrix = [text for text in texts if "Claims" in text]
    assert len(matrix) >= 3
    assert all("Invoices" in text for text in matrix)
    for number in range(59):
        assert any(f"user-{number:03}" in text for text in matrix)


def test_an_empty_review_can_be_looked_at_too(chromium):
    measured = chromium.measure(page((review(checkpoint=""), [])), 1280)
    assert measured.outside == 0


@pytest.mark.parametrize("name", ["access-review.png", "access-review-dark.png"])
def test_the_picture_in_the_documentation_is_of_the_width_that_it_says(name):
    file = ROOT / "docs" / "images" / name
    assert file.stat().st_size < 300_000
    assert struct.unpack(">I", file.read_bytes()[16:20]) == (1280,)
