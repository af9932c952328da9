"""No plan that only measures is in the repository: not as bytes, not as a picture saved anew, not as its labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray
from tests.checkout import tracked

ROOT = Path(__file__).resolve().parents[2]
EVAL = ROOT.parent / "shared" / "eval"
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SIDE_PX = 40
ALIKE = 0.75  # copies that were scaled, turned and compressed reach 0.9; drawings of other plans stay below 0.6

Print = NDArray[np.float64]


@pytest.fixture(scope="module")
def plans() -> list[Path]:
    if not EVAL.is_dir():
        pytest.skip("the plans do not lie beside this checkout")
    files = [file for file in sorted(EVAL.rglob("*")) if file.is_file()]
    assert len(files) > 100
    return files


def digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def pages_of(file: Path) -> Iterator[NDArray[np.uint8]]:
    """Every picture that a file shows, grey, uint8 (h, w); none for what is no picture and no PDF."""
    if file.suffix.casefold() == ".pdf":
        document = pypdfium2.PdfDocument(file)
        for page in document:
            drawn = page.render(scale=1, grayscale=True).to_numpy()
            yield np.ascontiguousarray(drawn if drawn.ndim == 2 else drawn[:, :, 0])
        document.close()
    elif file.suffix.casefold() in PICTURES:
        picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        assert picture is not None, f"{file} cannot be read as a picture"
        yield picture


def fingerprints(grey: NDArray[np.uint8]) -> Print:
    """What a picture shows whatever its size, whole and without its margins: float (2, SIDE_PX * SIDE_PX)."""
    ink = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)[1]
    rows, columns = (np.flatnonzero(ink.mean(axis=axis) > 1) for axis in (1, 0))
    inner = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) and len(columns) else grey
    return np.stack([standardised(part) for part in (grey, inner)])


def standardised(grey: NDArray[np.uint8]) -> Print:
    """The picture made small, of mean 0 and length 1, so that a product is a correlation."""
    small = cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).astype(float)
    small = cv2.GaussianBlur(small, (0, 0), 0.8)
    small -= small.mean()
    return (small / max(1e-9, float(np.linalg.norm(small)))).ravel()


def likeness(picture: Print, others: Print) -> NDArray[np.float64]:
    """How alike a picture is to others, at most 1, turned and mirrored as suits best.

    Args:
        picture: its fingerprints, (2, n).
        others: those of the others, (m, 2, n).
    """
    best = np.zeros(len(others))
    for row, margins in enumerate(picture.reshape(2, SIDE_PX, SIDE_PX)):
        for flipped in (margins, margins[:, ::-1]):
            for turn in range(4):
                best = np.maximum(best, others[:, row] @ np.rot90(flipped, turn).ravel())
    return best


def outlines(value: Any) -> Iterator[str]:
    """Every outline of four points or more in a JSON value, as text that does not depend on how it was written."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from outlines(inner)
    elif isinstance(value, list):
        points = [
            p for p in value if isinstance(p, list) and len(p) == 2 and all(isinstance(c, int | float) for c in p)
        ]
        if len(points) == len(value) >= 4:
            yield json.dumps([[round(float(c), 1) for c in p] for p in points])
        else:
            for inner in value:
                yield from outlines(inner)


def outlines_of(files: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        if file.suffix == ".json":
            found |= dict.fromkeys(outlines(json.loads(file.read_text())), file)
    return found


@pytest.fixture(scope="module")
def prints(plans: list[Path]) -> tuple[list[Path], Print]:
    """The pages of the plans with their fingerprints, (m, 2, n)."""
    pages = [(file, fingerprints(page)) for file in plans for page in pages_of(file)]
    assert len(pages) > 100
    return [file for file, _ in pages], np.stack([fingerprint for _, fingerprint in pages])


def test_no_file_is_a_plan_byte_for_byte(plans: list[Path]) -> None:
    theirs = {digest(file): file.name for file in plans if file.stat().st_size}
    assert [(file, theirs[digest(file)]) for file in tracked() if digest(file) in theirs] == []


def test_no_labels_are_those_of_a_plan(plans: list[Path]) -> None:
    theirs = outlines_of(plans)
    assert len(theirs) > 1000
    ours = outlines_of(tracked())
    assert len(ours) > 50
    assert [(ours[same], theirs[same].name) for same in ours.keys() & theirs.keys()] == []


@pytest.mark.slow
def test_no_picture_shows_a_plan(prints: tuple[list[Path], Print]) -> None:
    names, theirs = prints
    shown = [(file, fingerprints(page)) for file in tracked() for page in pages_of(file)]
    assert len(shown) >= 5
    alike = []
    for file, own in shown:
        best = likeness(own, theirs)
        if best.max() > ALIKE:
            alike.append((file, names[int(best.argmax())].name, best.max()))
    assert alike == []


@pytest.mark.slow
def test_a_plan_saved_anew_would_be_known(prints: tuple[list[Path], Print], plans: list[Path]) -> None:
    names, theirs = prints
    known = 0
    pictures = [file for file in plans if file.suffix in PICTURES][::20]
    for turns, file in enumerate(pictures):
        (page,) = pages_of(file)
        smaller = cv2.resize(page, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        turned = np.ascontiguousarray(np.rot90(smaller, turns % 4))
        squeezed = cv2.imdecode(cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_GRAYSCALE)
        best = likeness(fingerprints(np.asarray(squeezed, np.uint8)), theirs)
        assert best[names.index(file)] > ALIKE, file.name
        known += 1
    assert known > 10


def drawing(seed: int) -> NDArray[np.uint8]:
    """Rooms drawn at random."""
    random = np.random.default_rng(seed)
    grey = np.full((300, 420), 255, np.uint8)
    for x, y in random.integers(0, 250, (12, 2)):
        cv2.rectangle(grey, (int(x), int(y)), (int(x + random.integers(30, 150)), int(y + 40)), 0, 5)
    return grey


def test_a_picture_is_known_though_turned_scaled_framed_and_compressed() -> None:
    others = np.stack([fingerprints(drawing(seed)) for seed in range(8)])
    for turn in range(4):
        framed = cv2.copyMakeBorder(drawing(3), 30, 9, 60, 15, cv2.BORDER_CONSTANT, value=255)
        small = cv2.resize(
            np.ascontiguousarray(np.rot90(framed, turn)), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA
        )
        saved = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE)
        best = likeness(fingerprints(np.asarray(saved, np.uint8)), others)
        assert best[3] > ALIKE
        assert np.delete(best, 3).max() < ALIKE


def test_outlines_are_known_however_they_are_written(tmp_path: Path) -> None:
    ring = [[1, 2], [3.04, 4], [5, 6.0], [7, 8]]
    (tmp_path / "a.json").write_text(json.dumps({"rooms": [{"polygon": ring, "label": "x"}]}, indent=3))
    (tmp_path / "b.json").write_text(json.dumps([[[1.0, 2.0], [3, 4.0], [5, 6], [7, 8.01]], ["x"]]))
    assert outlines_of([tmp_path / "a.json"]).keys() == outlines_of([tmp_path / "b.json"]).keys() != set()
