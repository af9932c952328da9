"""A blueprint as pages: what is on each, in page units, and its picture at any scale."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, Protocol

import cv2
import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from detection.images import decode_image
from detection.morphology import resized
from detection.pdf import Paths, Word, display_matrix, read_paths
from detection.pdflayers import with_hidden_marked
from detection.pdftext import read_words
from detection.regions import ByteImage
from models.blueprint import MAX_PAGE_SIDE_PT, MAX_PAGES, Blueprint, BlueprintFormat, PageSelection
from utils.errors import FileTooLargeError, InvalidFileFormatError, InvalidRequestError

MAX_RASTER_PIXELS: Final = 40_000_000
_TAIL_BYTES: Final = 4096
_DRAWN_SEGMENTS: Final = 100  # fewer than these is a frame and a stamp, not a drawing
_COVER_GRID: Final = 64

PageKind = Literal["vector", "scan", "mixed", "picture"]


class Page(Protocol):
    """One page as displayed; positions on it are in its unit, origin top left, y down."""

    @property
    def number(self) -> int:
        """The page's place in the document, from 1."""

    @property
    def width(self) -> float:
        """The width in the page's unit."""

    @property
    def height(self) -> float:
        """The height in the page's unit."""

    @property
    def unit(self) -> Literal["px", "pt"]:
        """Pixels of a picture, points of a PDF."""

    @property
    def kind(self) -> PageKind:
        """`picture` is an image file; a PDF's page is `vector` (drawn), `scan` (photographed) or `mixed`."""

    @property
    def words(self) -> list[Word]:
        """The words of the text layer; a picture has none."""

    @property
    def paths(self) -> Paths | None:
        """What the page draws with the pen; None for a picture."""

    @property
    def message(self) -> str | None:
        """What of the page could not be read, in a sentence."""

    def raster(self, scale: float) -> ByteImage:
        """The page drawn at about `scale` pixels a unit: uint8 (h, w, 3), BGR.

        The scale is lowered where the picture would exceed MAX_RASTER_PIXELS: reckon with the array's own shape.
        """


@dataclass(frozen=True)
class PicturePage:
    """The one page of an image file."""

    image: ByteImage
    number: int = 1
    unit: Literal["px", "pt"] = "px"
    kind: PageKind = "picture"
    paths: Paths | None = None
    message: str | None = None

    @property
    def width(self) -> float:
        """The width in pixels."""
        return float(self.image.shape[1])

    @property
    def height(self) -> float:
        """The height in pixels."""
        return float(self.image.shape[0])

    @property
    def words(self) -> list[Word]:
        """Nothing: a picture has no text layer."""
        return []

    def raster(self, scale: float) -> ByteImage:
        """The picture at about `scale` times its size: uint8 (h, w, 3), BGR; itself, not a copy, at 1."""
        scale = _bounded(scale, self.width, self.height)
        size = (max(1, round(self.width * scale)), max(1, round(self.height * scale)))
        if size == (self.image.shape[1], self.image.shape[0]):
            return self.image
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return resized(self.image, *size, method)


class PdfPage:
    """One page of a PDF; readable until its document yields the next or is closed."""

    unit: Final[Literal["px", "pt"]] = "pt"

    def __init__(self, page: Any, number: int, hides: bool = False) -> None:
        self._page, self._hides = page, hides
        self.number: Final = number
        _, self.width, self.height = display_matrix(page.raw)

    @cached_property
    def paths(self) -> Paths:
        """What the page draws with the pen."""
        return read_paths(self._page.raw, self._hides)

    @cached_property
    def words(self) -> list[Word]:
        """The words of the text layer."""
        return read_words(self._page.raw, self._hides)

    @cached_property
    def kind(self) -> PageKind:
        """By how much the page draws and how much of it images cover."""
        drawn = len(self.paths.xy) >= _DRAWN_SEGMENTS
        covered = _cover(self.paths, self.width, self.height)
        if drawn:
            return "mixed" if covered >= 0.25 else "vector"
        return "scan" if covered >= 0.05 else "vector"

    @property
    def message(self) -> str | None:
        """That the drawing was too large to be read whole, else None."""
        return None if self.paths.complete else "The page's drawing is too large; a part of it was left out."

    def raster(self, scale: float) -> ByteImage:
        """The page drawn at about `scale` pixels a point: uint8 (h, w, 3), BGR."""
        bitmap = self._page.render(scale=_bounded(scale, self.width, self.height), rev_byteorder=False)
        try:
            array = bitmap.to_numpy()
            if array.ndim == 2 or array.shape[2] == 1:
                return cv2.cvtColor(array, cv2.COLOR_GRAY2BGR)  # type: ignore[no-any-return]
            return np.ascontiguousarray(array[:, :, :3]).copy()
        finally:
            bitmap.close()


@dataclass(frozen=True)
class BrokenPage:
    """A page that cannot be read; the others can."""

    number: int
    width: float
    height: float
    message: str | None
    unit: Literal["px", "pt"] = "pt"
    kind: PageKind = "vector"
    paths: Paths | None = None

    @property
    def words(self) -> list[Word]:
        """Nothing could be read."""
        return []

    def raster(self, scale: float) -> ByteImage:
        """A white page."""
        scale = _bounded(scale, self.width, self.height)
        size = max(1, round(self.height * scale)), max(1, round(self.width * scale))
        return np.full((*size, 3), 255, dtype=np.uint8)


class Document:
    """The selected pages of a blueprint; a context manager, as it may hold an open PDF."""

    def __init__(self, numbers: list[int], source: Any, hides: bool = False) -> None:
        self.numbers: Final = tuple(numbers)
        self._source, self._hides = source, hides

    def __enter__(self) -> Document:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file."""
        if not isinstance(self._source, PicturePage):
            self._source.close()

    def pages(self) -> Iterator[Page]:
        """The selected pages one by one; each is closed when the next is asked for.

        Raises:
            InvalidFileFormatError: not one of the pages can be read.
        """
        if isinstance(self._source, PicturePage):
            yield self._source
            return
        broken = 0
        for number in self.numbers:
            try:
                raw = self._source[number - 1]
            except pypdfium2.PdfiumError:
                broken += 1
                if broken == len(self.numbers):
                    raise _invalid(f"Page {number} of the PDF cannot be read.", page=number) from None
                yield BrokenPage(number, *_page_size(self._source, number), "This page is damaged and cannot be read.")
                continue
            yield PdfPage(raw, number, self._hides)
            raw.close()  # a page that the loop breaks off at stays readable until the document is closed


def open_document(blueprint: Blueprint, selection: PageSelection = PageSelection()) -> Document:  # noqa: B008
    """The pages of a blueprint, opened with bounds and not yet read.

    Raises:
        InvalidFileFormatError: damaged, encrypted or without pages.
        FileTooLargeError: more pages are selected, or larger ones, than the limits allow.
        InvalidRequestError: the document has none of the selected pages.
    """
    if blueprint.format is not BlueprintFormat.PDF:
        return Document(_selected(selection, 1), PicturePage(decode_image(blueprint.data, blueprint.format)))
    source, hides = _open_pdf(blueprint.data)
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(source.close)
        if len(source) == 0:
            raise _invalid("The PDF has no pages.")
        numbers = _selected(selection, len(source))
        if len(numbers) > MAX_PAGES:
            raise FileTooLargeError(
                f"The PDF has {len(numbers)} pages to read; at most {MAX_PAGES} are read at once.",
                limit="max_pages",
                value=MAX_PAGES,
                pages=len(numbers),
            )
        for number in numbers:
            _check_page_size(number, *_page_size(source, number))
        on_failure.pop_all()
    return Document(numbers, source, hides)


def _open_pdf(data: bytes) -> tuple[Any, bool]:
    """The opened PDF, and whether layers in it are marked as hidden."""
    tail = data[-_TAIL_BYTES:]
    if b"%%EOF" not in tail and b"startxref" not in tail:
        raise _invalid("The PDF is truncated: its end is missing.")
    try:
        source = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise _invalid("The PDF is encrypted; remove its password first.") from error
        raise _invalid("The PDF is damaged and cannot be opened.") from error
    marked = with_hidden_marked(data)
    if marked is not None:
        with contextlib.suppress(pypdfium2.PdfiumError):
            copy = pypdfium2.PdfDocument(marked)
            if len(copy) == len(source):
                source.close()
                return copy, True
            copy.close()
    return source, False


def _invalid(message: str, **details: Any) -> InvalidFileFormatError:
    return InvalidFileFormatError(message, seen="pdf", **details)


def _selected(selection: PageSelection, count: int) -> list[int]:
    numbers = selection.of(count)
    if not numbers:
        wrong = f"The document has {count} page{'s' if count > 1 else ''}; {selection} is not among them."
        raise InvalidRequestError(wrong, fields={"options.pages": wrong})
    return numbers


def _page_size(source: Any, number: int) -> tuple[float, float]:
    """The displayed width and height in pt; US Letter where the page does not even tell that."""
    size = pdfium.FS_SIZEF()
    found = pdfium.FPDF_GetPageSizeByIndexF(source.raw, number - 1, size)
    return (size.width, size.height) if found and size.width > 0 and size.height > 0 else (612.0, 792.0)


def _check_page_size(number: int, width_pt: float, height_pt: float) -> None:
    if max(width_pt, height_pt) > MAX_PAGE_SIDE_PT:
        raise FileTooLargeError(
            f"Page {number} is {width_pt:.0f} x {height_pt:.0f} pt; a side may have at most {MAX_PAGE_SIDE_PT:.0f} pt.",
            limit="max_page_side_pt",
            value=MAX_PAGE_SIDE_PT,
            page=number,
        )


def _bounded(scale: float, width: float, height: float) -> float:
    return min(scale, math.sqrt(MAX_RASTER_PIXELS / (width * height)))


def _cover(paths: Paths, width: float, height: float) -> float:
    """The share of the page that images cover, counted on a coarse grid."""
    grid = np.zeros((_COVER_GRID, _COVER_GRID), dtype=bool)
    per_unit = _COVER_GRID / np.array([width, height, width, height])
    for x0, y0, x1, y1 in np.rint(paths.images * per_unit).astype(int):
        grid[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    covered: float = np.count_nonzero(grid) / grid.size
    return covered
