"""Hidden layers of PDFs: what a viewer does not show when it opens the file is not read either."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from detection.document import PdfPage, open_document
from detection.pdflayers import with_hidden_marked
from models.blueprint import Blueprint

Write = Callable[[dict[int, bytes]], bytes]

SIDE = 100
SHOWN, HIDDEN, OTHER = 10, 11, 12  # the numbers of three layers
LAYERS = {
    SHOWN: b"<< /Type /OCG /Name (walls) >>",
    HIDDEN: b"<< /Type /OCG /Name (ceiling) >>",
    OTHER: b"<< /Type /OCG /Name (grid) >>",
}
OFF = b"/OFF [11 0 R]"


def _line(y: int, around: bytes = b"") -> bytes:
    """A line across the page at a height from its top, inside marks where given."""
    draw = b"10 %d m 90 %d l S" % (SIDE - y, SIDE - y)
    return b"%s BDC %s EMC\n" % (around, draw) if around else draw + b"\n"


def _stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(content), content)


def _form(content: bytes, entries: bytes = b"") -> bytes:
    return _stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 %d %d] %s" % (SIDE, SIDE, entries))


def _objects(
    content: bytes, config: bytes, resources: bytes = b"", more: dict[int, bytes] | None = None
) -> dict[int, bytes]:
    layers = b" ".join(b"%d 0 R" % number for number in LAYERS)
    font = b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    return {
        1: b"<< /Type /Catalog /Pages 2 0 R /OCProperties << /OCGs [%s] /D << %s >> >> >>" % (layers, config),
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R /Resources << %s %s >> >>"
        % (SIDE, SIDE, font, resources),
        4: _stream(content),
        **LAYERS,
        **(more or {}),
    }


def _written(objects: dict[int, bytes]) -> bytes:
    """The objects one by one, with a plain cross-reference table."""
    out = b"%PDF-1.5\n"
    places = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%d 1\n%010d 00000 n \n" % (n, p) for n, p in places.items())
    tail = b"xref\n0 1\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return out + tail % (table, max(objects) + 1, len(out))


def _packed(objects: dict[int, bytes]) -> bytes:
    """The objects that are no streams in one packed stream, with a cross-reference stream: as most writers do now."""
    plain = {n: b for n, b in objects.items() if b"stream" not in b}
    head, body = b"", b""
    for number, text in plain.items():
        head += b"%d %d " % (number, len(body))
        body += text + b" "
    pack, table = max(objects) + 1, max(objects) + 2
    entries = b"/Type /ObjStm /N %d /First %d /Filter /FlateDecode" % (len(plain), len(head))
    out, rows = b"%PDF-1.5\n", {0: b"\0" * 7}
    streams = {n: b for n, b in objects.items() if n not in plain}
    for number, text in {**streams, pack: _stream(zlib.compress(head + body), entries)}.items():
        rows[number] = b"\1" + len(out).to_bytes(4, "big") + b"\0\0"
        out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    for place, number in enumerate(plain):
        rows[number] = b"\2" + pack.to_bytes(4, "big") + place.to_bytes(2, "big")
    rows[table] = b"\1" + len(out).to_bytes(4, "big") + b"\0\0"
    index = b" ".join(b"%d 1" % number for number in rows)
    kind = b"/Type /XRef /Size %d /Root 1 0 R /W [1 4 2] /Index [%s]" % (table + 1, index)
    return out + b"%d 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        _stream(b"".join(rows.values()), kind),
        len(out),
    )


def _read(data: bytes) -> tuple[set[int], set[int], set[str], int]:
    """The heights of the lines that are read, of those that the picture shows, the words, and how many images."""
    with open_document(Blueprint.parse(data)) as document:
        page = next(iter(document.pages()))
        assert isinstance(page, PdfPage)
        read = {round(float(y)) for y in page.paths.xy[:, 1]}
        ink = page.raster(1.0).min(axis=2)[:, 60] < 200
        return read, {int(y) for y in np.flatnonzero(ink)}, {w.text for w in page.words}, len(page.paths.images)


def _agrees(read: Iterable[int], shown: set[int]) -> bool:
    """Whether each line that is read has ink, and each ink a line: a line at y inks the rows y - 1 or y."""
    lines = set(read)
    return all({y - 1, y} & shown for y in lines) and all({y, y + 1} & lines for y in shown)


MARKS = b"/Properties << /A 10 0 R /B 11 0 R /C 12 0 R /M 20 0 R >>"
THREE = _line(20) + _line(40, b"/OC /A") + _line(60, b"/OC /B") + _line(80, b"/OC /C")


@pytest.mark.parametrize("write", [_written, _packed])
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (b"", {20, 40, 60, 80}),
        (OFF, {20, 40, 80}),
        (b"/OFF [11 0 R 12 0 R]", {20, 40}),
        (b"/BaseState /OFF /ON [12 0 R]", {20, 80}),
        (b"/BaseState /OFF", {20}),
    ],
)
def test_lines_of_hidden_layers_are_not_read(write: Write, config: bytes, expected: set[int]) -> None:
    data = write(_objects(THREE, config, MARKS, {20: b"null"}))
    read, shown, _, _ = _read(data)
    assert read == expected
    assert _agrees(read, shown)


@pytest.mark.parametrize(
    ("rule", "is_shown"),
    [
        (b"/OCGs [10 0 R 11 0 R]", True),
        (b"/OCGs [10 0 R 11 0 R] /P /AllOn", False),
        (b"/OCGs [10 0 R 11 0 R] /P /AnyOff", True),
        (b"/OCGs [10 0 R 12 0 R] /P /AnyOff", False),
        (b"/OCGs [10 0 R 11 0 R] /P /AllOff", False),
        (b"/OCGs 11 0 R", False),
        (b"/OCGs [11 0 R] /P /AllOff", True),
        (b"/OCGs []", True),
        (b"/VE [/And 10 0 R [/Not 11 0 R]]", True),
        (b"/VE [/Or 11 0 R [/Not 10 0 R]]", False),
    ],
)
@pytest.mark.parametrize("direct", [False, True])
def test_rules_over_layers_decide(rule: bytes, is_shown: bool, direct: bool) -> None:
    member = b"<< /Type /OCMD %s >>" % rule
    marks = MARKS.replace(b"20 0 R", member) if direct else MARKS
    data = _written(_objects(_line(20) + _line(50, b"/OC /M"), OFF, marks, {} if direct else {20: member}))
    read, shown, _, _ = _read(data)
    assert read == ({20, 50} if is_shown else {20})
    assert _agrees(read, shown)


@pytest.mark.parametrize("write", [_written, _packed])
def test_forms_and_images_on_hidden_layers_are_left_out(write: Write) -> None:
    image = b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8"
    inner = b"/Resources << /XObject << /H 22 0 R /V 23 0 R >> >>"
    more = {
        21: _form(b"/H Do /V Do", inner),
        22: _form(_line(40), b"/OC 11 0 R"),
        23: _form(_line(60), b"/OC 10 0 R"),
        24: _stream(b"\xff", image + b" /OC 11 0 R"),
        25: _stream(b"\xff", image + b" /OC 10 0 R"),
    }
    content = _line(20) + b"/F Do q 5 0 0 5 0 0 cm /I Do Q q 5 0 0 5 0 90 cm /J Do Q"
    data = write(_objects(content, OFF, b"/XObject << /F 21 0 R /I 24 0 R /J 25 0 R >>", more))
    read, shown, _, images = _read(data)
    assert read == {20, 60}
    assert _agrees(read, shown)
    assert images == 1


def test_marks_and_words_inside_forms_are_followed() -> None:
    say = b"BT /F1 8 Tf 10 %d Td (%s) Tj ET\n"
    font = b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    inside = b"/OC /X BDC " + say % (85, b"fire") + b"EMC " + _line(60, b"/OC /X") + say % (85, b"door")
    more = {
        21: _form(inside, b"/Resources << %s /Properties << /X 11 0 R >> >>" % font),
        22: _form(say % (45, b"lamp") + _line(70), b"/Resources << %s >>" % font),
    }
    content = say % (15, b"room") + _line(20) + b"/F Do /OC /B BDC /G Do EMC /OC /B BDC " + say % (30, b"duct") + b"EMC"
    data = _written(_objects(content, OFF, MARKS + b" /XObject << /F 21 0 R /G 22 0 R >>", {20: b"null", **more}))
    read, shown, words, _ = _read(data)
    assert read == {20}
    assert not {59, 60} & shown
    assert words == {"room", "door"}


def test_documents_that_hide_nothing_are_left_as_they_are() -> None:
    assert with_hidden_marked(_written(_objects(THREE, b"", MARKS, {20: b"null"}))) is None
    assert with_hidden_marked(_packed(_objects(THREE, b"/OFF []", MARKS, {20: b"null"}))) is None


@pytest.mark.parametrize("cut", [b"/Kids [3 0 R]", b"/OFF [11 0 R]", b"startxref"])
def test_a_damaged_document_gets_no_marks_and_no_crash(cut: bytes) -> None:
    data = _written(_objects(THREE, OFF, MARKS, {20: b"null"}))
    marked = with_hidden_marked(data.replace(cut, cut[: len(cut) // 2]))
    assert marked is None or marked.startswith(b"%PDF")
