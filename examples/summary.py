"""Prints what `make demo` found: a line a page, beside the number of rooms that were really drawn there.

python examples/summary.py RESULTS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent


def main(results: Path) -> None:
    """Print the table for every floorplan in `results`."""
    print(f"\n{'plan':12}{'page':>5}{'drawn':>7}{'found':>7}  {'picture'}")
    for file in sorted(results.glob("*.json")):
        pages = json.loads(file.read_text())["pages"]
        for page in pages:
            number = page["page"]
            drawn = rooms_drawn(file.stem, number)
            part = "" if len(pages) == 1 else f".page{number}"
            picture = results / f"{file.stem}{part}.overlay.png"
            where = picture if picture.exists() else "-"
            print(f"{file.stem:12}{number:5}{drawn if drawn is not None else '?':>7}{len(page['rooms']):7}  {where}")
    print(f"\nThe rooms as JSON: {results}/<plan>.json")


def rooms_drawn(stem: str, page: int) -> int | None:
    """How many rooms the example's truth has on the page, if there is a truth."""
    for name in (f"{stem}.p{page}.rooms.json", f"{stem}.rooms.json"):
        truth = EXAMPLES / name
        if truth.exists():
            return len(json.loads(truth.read_text())["rooms"])
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
