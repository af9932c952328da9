"""Measures the engine on labelled plans: room F1 by the plans' own scorer, seconds a plan, peak memory.

    python benchmarks/accuracy.py [--sets r3d navpal] [--only STEM ...] [--limit N] [--jobs 1|2] [--out DIR]
                                  [--engine engine|contours] [--worst N] [--no-save]

The plans lie beside the project (`--plans`, by default ../shared/eval/plans) and never inside it. One fresh process
a set does the work, so that the peak memory of a set is its own; with `--jobs 1` OpenCV has two threads, with
`--jobs 2` two processes have one each (times are then not comparable). Predictions go to
DIR/<engine>/<set>/<stem>.json.
A whole run of a set is kept in benchmarks/results/accuracy-<engine>.json; `--no-save` keeps it out.

`contours` is what a plain attempt gives, for comparison: adaptive threshold, contours, area filter. A run of the engine
that is kept runs it too and prints its F50 beside.

The figures are those of the plans' own scorer, on purpose: `location-detection evaluate` works out the same ones by an
implementation of its own, and shows names, areas, calibration and pictures besides.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
DEFAULT_PLANS = ROOT.parent / "shared" / "eval" / "plans"
RESULTS = ROOT / "benchmarks" / "results"
SUFFIXES = (".png", ".jpg", ".pdf")


@dataclass(frozen=True)
class Run:
    """What one plan cost: wall seconds, the process's peak so far, rooms found, or why there are none."""

    stem: str
    seconds_s: float
    peak_rss_mb: float
    rooms: int
    error: str | None


def main() -> int:
    """The exit status: 0, or 1 when a plan could not be processed."""
    args = parse_args()
    stems_of = {name: plans_of(args.plans / name, args.only, args.limit) for name in args.sets}
    stems_of = {name: files for name, files in stems_of.items() if files}
    if not stems_of:
        print(f"no plans of {', '.join(args.sets)} under {args.plans}", file=sys.stderr)
        return 2
    kept = not (args.no_save or args.only or args.limit)
    rows, failed = run_engine(args.engine, stems_of, args)
    plain: dict[str, dict[str, Any]] = {}
    if kept and args.engine == "engine":
        print("\nthe same plans by contours:")
        plain, _ = run_engine("contours", stems_of, args)
        print()
    print_summary(rows, plain)
    for line in failed:
        print(f"failed  {line}")
    if kept:
        save(args.engine, args, rows)
        if plain:
            save("contours", args, plain)
    return 1 if failed else 0


def run_engine(
    engine: str, files_of: dict[str, list[Path]], args: argparse.Namespace
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What an engine scored and cost, set by set, and the plans that it failed on."""
    out = args.out / engine
    runs = {name: run_set(name, engine, files, out / name, args) for name, files in files_of.items()}
    scores = score(args, out, files_of)
    rows = {name: {**scores.get(name, {}), **cost(runs[name])} for name in runs}
    return rows, [f"{name}/{run.stem}: {run.error}" for name in runs for run in runs[name] if run.error]


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=Path, default=DEFAULT_PLANS)
    parser.add_argument("--sets", nargs="+", help="by default every set")
    parser.add_argument("--only", nargs="+", metavar="STEM", help="only these plans")
    parser.add_argument("--limit", type=int, help="at most this many plans a set, evenly spread over it")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1)
    parser.add_argument("--engine", choices=("engine", "contours"), default="engine")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "accuracy")
    parser.add_argument("--worst", type=int, default=0, help="name the N worst plans of each set")
    parser.add_argument("--slowest", type=int, default=0, help="name the N slowest plans of each set")
    parser.add_argument("--debug", type=Path, help="write one picture a step of every plan below this folder")
    parser.add_argument("--no-save", action="store_true", help="keep the figures out of benchmarks/results")
    args = parser.parse_args()
    if not args.plans.is_dir():
        parser.error(f"there are no plans at {args.plans}; name their folder with --plans")
    args.sets = args.sets or sorted(p.name for p in args.plans.iterdir() if p.is_dir())
    return args


def plans_of(folder: Path, only: list[str] | None, limit: int | None) -> list[Path]:
    """The labelled plans of a set, sorted by name."""
    sources = [json.loads(f.read_text())["source"] for f in sorted(folder.glob("*.rooms.json"))]
    stems = {Path(source).stem for source in sources}
    files = sorted(f for f in folder.iterdir() if f.suffix in SUFFIXES and f.stem in stems)
    if only:
        files = [f for f in files if f.stem in only]
    if limit and len(files) > limit:
        files = [files[i * len(files) // limit] for i in range(limit)]
    return files


def run_set(name: str, engine: str, files: list[Path], out: Path, args: argparse.Namespace) -> list[Run]:
    """Process every plan of a set and write its prediction."""
    out.mkdir(parents=True, exist_ok=True)
    work = partial(run_plan, out=out, engine=engine, threads=2 // args.jobs, debug=args.debug and args.debug / name)
    runs: list[Run] = []
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        for run in pool.map(work, files):
            runs.append(run)
            if sys.stderr.isatty():
                print(f"\r{name} {len(runs)}/{len(files)} {run.stem[:40]:40}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    for run in sorted(runs, key=lambda r: -r.seconds_s)[: args.slowest]:
        print(f"slow    {name}/{run.stem}: {run.seconds_s:.2f} s, {run.rooms} rooms")
    return runs


def run_plan(file: Path, *, out: Path, engine: str, threads: int, debug: Path | None) -> Run:
    """One plan, measured from its bytes to its JSON text; runs in a child process."""
    find = find_with_engine if engine == "engine" else find_with_contours
    target = out / f"{file.stem}.json"
    target.unlink(missing_ok=True)
    data, rooms, error = file.read_bytes(), 0, None
    prepare(threads)
    start = time.perf_counter()
    try:
        text = find(data, threads, debug and debug / file.stem)
        rooms = sum(len(page["rooms"]) for page in json.loads(text)["pages"])
        target.write_text(text)
    except Exception as cause:  # noqa: BLE001 - a plan that fails is a figure too, and the rest goes on
        last = traceback.extract_tb(cause.__traceback__)[-1]
        error = f"{type(cause).__name__}: {cause} ({Path(last.filename).name}:{last.lineno})"
    seconds_s = time.perf_counter() - start
    return Run(file.stem, seconds_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, rooms, error)


def prepare(threads: int) -> None:
    """Import what the first plan would otherwise pay for."""
    if str(SRC) not in sys.path:
        sys.path.insert(0, str(SRC))
    import cv2

    cv2.setNumThreads(threads)
    import pypdfium2  # noqa: F401
    import shapely  # noqa: F401


def find_with_engine(data: bytes, threads: int, debug: Path | None) -> str:
    """The floorplan's JSON text by the project's own engine."""
    import cv2

    from detection.engine import detect
    from detection.settings import Settings
    from models.blueprint import Blueprint

    def draw(name: str, picture: Any) -> None:
        assert debug is not None
        debug.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(debug / f"{len(list(debug.iterdir())):02d}_{name}.png"), picture)

    if debug is not None and debug.exists():
        for old in debug.glob("*.png"):
            old.unlink()
    return detect(Blueprint.parse(data), Settings(threads=threads), debug=draw if debug else None).to_json()


def find_with_contours(data: bytes, _threads: int, _debug: Path | None) -> str:
    """What a plain contour detector finds: adaptive threshold, gaps closed, contours, area filter."""
    import cv2
    import numpy as np

    pages = []
    for number, (grey, units_per_px) in enumerate(_decode_plain(data), start=1):
        ink = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 10)
        walls = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        contours, _ = cv2.findContours(255 - walls, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        rooms = []
        for contour in contours:
            if not 0.002 <= cv2.contourArea(contour) / grey.size <= 0.5:
                continue
            x, y, w, h = cv2.boundingRect(contour)
            if x <= 1 or y <= 1 or x + w >= grey.shape[1] - 1 or y + h >= grey.shape[0] - 1:
                continue
            ring = cv2.approxPolyDP(contour, 0.01 * cv2.arcLength(contour, True), True)[:, 0]
            if len(ring) >= 3:
                rooms.append({"polygon": (ring * units_per_px).tolist()})
        pages.append({"page": number, "rooms": rooms})
    return json.dumps({"pages": pages})


def _decode_plain(data: bytes) -> list[tuple[Any, float]]:
    """Grey uint8 (h, w) of every page with the page units one pixel is long."""
    import cv2
    import numpy as np
    import pypdfium2

    if not data.startswith(b"%PDF"):
        return [(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), 1.0)]
    scale = 1.5
    document = pypdfium2.PdfDocument(data)
    return [(_grey(page, scale), 1 / scale) for page in document]


def _grey(page: Any, scale: float) -> Any:
    import numpy as np

    picture = page.render(scale=scale, grayscale=True).to_numpy()
    return np.ascontiguousarray(picture if picture.ndim == 2 else picture[:, :, 0])


def score(args: argparse.Namespace, out: Path, files_of: dict[str, list[Path]]) -> dict[str, Any]:
    """The figures of the plans' own scorer, set by set; its table is printed as it comes."""
    file = out / "score.json"
    stems = sorted({f.stem for files in files_of.values() for f in files})
    command = [sys.executable, str(args.plans.parent / "score.py"), str(out), "--plans", str(args.plans)]
    command += ["--set", *files_of, "--worst", str(args.worst), "--json", str(file)]
    if args.only or args.limit:
        command += ["--only", *stems]
    sys.stdout.flush()
    subprocess.run(command, check=True)
    scores: dict[str, Any] = json.loads(file.read_text())
    return scores


def cost(runs: list[Run]) -> dict[str, Any]:
    """Seconds a plan at the median and the 95th percentile, and the peak memory."""
    times = sorted(run.seconds_s for run in runs)
    return {
        "seconds_p50_s": round(times[len(times) // 2], 3),
        "seconds_p95_s": round(times[min(len(times) - 1, int(0.95 * len(times)))], 3),
        "seconds_max_s": round(times[-1], 3),
        "peak_rss_mb": round(max(run.peak_rss_mb for run in runs)),
        "failed": sum(run.error is not None for run in runs),
    }


def print_summary(rows: dict[str, dict[str, Any]], plain: dict[str, dict[str, Any]]) -> None:
    """How good and how dear the rooms of each set were, beside what contours find where that was measured."""
    print(
        f"{'set':14}{'F50':>7}{'F70':>7}{'F85':>7}{'split':>7}{'merged':>8}{'contours F50':>14}"
        f"{'p50 s':>8}{'p95 s':>8}{'max s':>8}{'peak MB':>9}{'failed':>8}"
    )
    for name, row in rows.items():
        beside = f"{plain[name]['F50']:.3f}" if name in plain else "-"
        print(
            f"{name:14}{row['F50']:7.3f}{row['F70']:7.3f}{row['F85']:7.3f}{row['split']:7}{row['merged']:8}{beside:>14}"
            f"{row['seconds_p50_s']:8.2f}{row['seconds_p95_s']:8.2f}{row['seconds_max_s']:8.2f}"
            f"{row['peak_rss_mb']:9}{row['failed']:8}"
        )


def save(engine: str, args: argparse.Namespace, rows: dict[str, dict[str, Any]]) -> None:
    """Keep the sets' figures, with the day they were taken, beside those of earlier runs of other sets."""
    file = RESULTS / f"accuracy-{engine}.json"
    day = datetime.now(UTC).date().isoformat()
    known = json.loads(file.read_text()) if file.exists() else {"sets": {}}
    known["machine"] = machine()
    known["sets"].update(
        {
            name: {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
            | {"jobs": args.jobs, "date": day}
            for name, row in rows.items()
        }
    )
    RESULTS.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    print(f"kept in {file.relative_to(ROOT)}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "arch": platform.machine(),
        "cpu": cpu_name(),
        "python": platform.python_version(),
        "opencv": importlib.metadata.version("opencv-python-headless"),
        "numpy": importlib.metadata.version("numpy"),
    }


def cpu_name() -> str:
    """What the processor calls itself, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
