"""Layers (optional content) that a PDF hides when it is opened: marked, so that they are not read as drawing.

pdfium leaves them out of its pictures, but tells of a page object only the marks around it, not the layer behind a
mark. So the document is read once more for its layers, and a copy gets a few objects appended, as the format allows: a
hidden layer's dictionary with the entry HIDDEN, and an empty form in place of a form or image on a hidden layer.
"""

from __future__ import annotations

import io
import logging
import re
import zlib
from collections.abc import Iterator
from typing import Any, Final

HIDDEN: Final = b"HiddenByDefault"  #: the entry of a hidden layer's dictionary; its value is 1

_MOST_INFLATED_BYTES: Final = 64 << 20
_MOST_OBJECTS: Final = 50_000
_MOST_DEPTH: Final = 30
_PACKED: Final = re.compile(rb"/Type\s*/ObjStm\b.{0,400}?stream\r?\n", re.DOTALL)

_log = logging.getLogger(__name__)


def with_hidden_marked(data: bytes) -> bytes | None:
    """The PDF with what its hidden layers hold marked or left out; None where it hides none, or hides how."""
    if not _has_layers(data):
        return None
    try:
        return _marked(data)
    except Exception:  # noqa: BLE001 - whatever a damaged document provokes in its reader: pdfium may still open it
        _log.warning("The layers of a PDF could not be read.", extra={"action": "layers_unread"}, exc_info=True)
        return None


def _has_layers(data: bytes) -> bool:
    """Whether the document lists layers, in plain or in packed objects."""
    if b"/OCProperties" in data:
        return True
    left = _MOST_INFLATED_BYTES
    for packed in _PACKED.finditer(data):
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(memoryview(data)[packed.end() :], left)
        except zlib.error:
            continue
        if b"/OCProperties" in text:
            return True
        left -= len(text)
        if left <= 0:
            break
    return False


def _marked(data: bytes) -> bytes | None:
    from pypdf import PdfReader  # takes a while to load, and few documents have layers

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        return None
    root: Any = reader.trailer["/Root"].get_object()
    properties = _resolved(root.get("/OCProperties"))
    if properties is None:
        return None
    search = _Search(_Visibility(properties))
    search.pages(root)
    return _appended(data, reader, search.changed) if search.changed else None


class _Visibility:
    """What is visible when a document is opened, as PDF 32000-1, 8.11 and pdfium have it."""

    def __init__(self, properties: Any) -> None:
        config = _resolved(properties.get("/D")) or {}
        self._shown = str(config.get("/BaseState", "/ON")) != "/OFF"
        self._on, self._off = (_numbers(config.get(key)) for key in ("/ON", "/OFF"))

    def hides(self, item: Any, depth: int = 0) -> bool:
        """Whether a layer, or a rule over layers, is hidden; `item` is its reference or its dictionary."""
        layer = _resolved(item)
        if depth > _MOST_DEPTH or not hasattr(layer, "get"):
            return False
        if layer.get("/Type") == "/OCMD":
            return not self._rule_holds(layer, depth)
        view = _resolved((_resolved(layer.get("/Usage")) or {}).get("/View")) or {}
        if "/ViewState" in view:
            return bool(view["/ViewState"] == "/OFF")
        number = getattr(item, "idnum", None)
        return number in self._off or (not self._shown and number not in self._on)

    def _rule_holds(self, rule: Any, depth: int) -> bool:
        if "/VE" in rule:
            return self._expression(rule["/VE"], depth + 1)
        layers = _items(rule, "/OCGs")
        shown = [not self.hides(layer, depth + 1) for layer in layers if _resolved(layer) is not None]
        if not shown:
            return True
        policy = str(rule.get("/P", "/AnyOn"))
        return {"/AllOn": all(shown), "/AnyOff": not all(shown), "/AllOff": not any(shown)}.get(policy, any(shown))

    def _expression(self, item: Any, depth: int) -> bool:
        parts = _resolved(item)
        if depth > _MOST_DEPTH or not isinstance(parts, list) or not parts:
            return not self.hides(item, depth)
        values = (self._expression(part, depth + 1) for part in list.__iter__(parts[1:]))
        operator = str(parts[0])
        if operator == "/Not":
            return not next(values, False)
        return all(values) if operator == "/And" else any(values)


class _Search:
    """Finds what belongs to hidden layers; `changed` says by object number what has to be written anew."""

    def __init__(self, visibility: _Visibility) -> None:
        self._visibility = visibility
        self._seen: set[int] = set()
        self.changed: dict[int, tuple[int, Any]] = {}

    def pages(self, root: Any) -> None:
        """Looks through all pages, and the forms that they draw."""
        waiting = [_child(root, "/Pages", None)]
        while waiting and len(self._seen) < _MOST_OBJECTS:
            node, owner = waiting.pop()
            if node is None or not self._is_new(node):
                continue
            waiting += [(_resolved(kid), kid) for kid in _items(node, "/Kids")]
            self._resources(node, owner, 0)

    def _is_new(self, item: Any) -> bool:
        key = id(item)
        new = key not in self._seen
        self._seen.add(key)
        return new

    def _resources(self, holder: Any, owner: Any, depth: int) -> None:
        resources, owner = _child(holder, "/Resources", owner)
        if resources is None or not self._is_new(resources) or depth > _MOST_DEPTH:
            return
        marks, at = _child(resources, "/Properties", owner)
        for _, item in _entries(marks):
            if self._visibility.hides(item):
                self._mark(item, at)
        things, _ = _child(resources, "/XObject", owner)
        for _, item in _entries(things):
            thing = _resolved(item)
            if not hasattr(thing, "get") or not hasattr(item, "idnum") or len(self._seen) > _MOST_OBJECTS:
                continue
            if "/OC" in thing and self._visibility.hides(thing.raw_get("/OC")):
                self.changed[item.idnum] = (item.generation, None)
            elif thing.get("/Subtype") == "/Form":
                self._resources(thing, item, depth + 1)

    def _mark(self, item: Any, owner: Any) -> None:
        from pypdf.generic import NameObject, NumberObject

        layer = _resolved(item)
        layer[NameObject("/" + HIDDEN.decode())] = NumberObject(1)
        place = item if hasattr(item, "idnum") else owner
        if place is not None:
            self.changed[place.idnum] = (place.generation, place.get_object())


def _resolved(item: Any) -> Any:
    return item.get_object() if hasattr(item, "get_object") else item


def _child(holder: Any, key: str, owner: Any) -> tuple[Any, Any]:
    """An entry's value, and the reference to the nearest object around it that has a number."""
    if key not in holder:
        return None, owner
    raw = holder.raw_get(key)
    value = _resolved(raw)
    return (value if hasattr(value, "get") else None), (raw if hasattr(raw, "idnum") else owner)


def _entries(holder: Any) -> Iterator[tuple[str, Any]]:
    """Names and unresolved values of a dictionary; none without one."""
    for key in list(holder or ()):
        yield key, holder.raw_get(key)


def _items(holder: Any, key: str) -> list[Any]:
    """The unresolved items of an entry that is a list, or is one such item itself."""
    if key not in holder:
        return []
    raw = holder.raw_get(key)
    value = _resolved(raw)
    return list(list.__iter__(value)) if isinstance(value, list) else [raw]


def _numbers(items: Any) -> set[int]:
    value = _resolved(items)
    return {item.idnum for item in list.__iter__(value) if hasattr(item, "idnum")} if isinstance(value, list) else set()


def _appended(data: bytes, reader: Any, changed: dict[int, tuple[int, Any]]) -> bytes:
    """The document with these objects written anew behind its end, as an incremental update."""
    header = max(0, data.find(b"%PDF-"))
    out = io.BytesIO()
    out.write(data + b"\n")
    places: dict[int, int] = {}
    for number, (generation, item) in sorted(changed.items()):
        places[number] = out.tell() - header
        out.write(b"%d %d obj\n" % (number, generation))
        if item is None:
            out.write(b"<< /Type /XObject /Subtype /Form /BBox [0 0 0 0] /Length 0 >>\nstream\n\nendstream")
        else:
            item.write_to_stream(out)
        out.write(b"\nendobj\n")
    before = int(re.findall(rb"startxref\s+(\d+)", data)[-1])
    root = reader.trailer.raw_get("/Root")
    size = max([int(reader.trailer["/Size"]), *(number + 1 for number in changed)])
    at = out.tell() - header
    entries = b"/Root %d %d R /Prev %d" % (root.idnum, root.generation, before)
    if data[header + before :].lstrip()[:4] == b"xref":
        out.write(b"xref\n")
        for number, place in places.items():
            out.write(b"%d 1\n%010d %05d n \n" % (number, place, changed[number][0]))
        out.write(b"trailer\n<< /Size %d %s >>\n" % (size, entries))
    else:  # a table that is a stream must be followed by another
        table = b"".join(
            b"\x01%s%s" % (p.to_bytes(5, "big"), changed[n][0].to_bytes(2, "big")) for n, p in places.items()
        )
        index = b" ".join(b"%d 1" % number for number in places)
        out.write(b"%d 0 obj\n<< /Type /XRef /Size %d %s /W [1 5 2] " % (size, size + 1, entries))
        out.write(b"/Index [%s] /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (index, len(table), table))
    out.write(b"startxref\n%d\n%%%%EOF\n" % at)
    return out.getvalue()
