"""`location-detection evaluate`: tables, JSON and the page; bad plans beside good ones; wrong usage."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.unit.evaluation.labelled import box, coco, draw_plan, labelme, own, write
from typer.testing import CliRunner, Result

from cli.main import app
from models.floorplan import Floorplan

from .conftest import Run

NASTY = "<script>alert(1)</script>&\"'[bold]{{ 7*7 }}"


def invoke(*arguments: object) -> Result:
    return CliRunner(env={"TERMINAL_WIDTH": "200"}).invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """Two sets in three formats, every room of which the engine finds."""
    root = tmp_path / "plans"
    (root / "one" / "images").mkdir(parents=True)
    (root / "two").mkdir()
    pictures = {f"{name}.png": draw_plan(root / "one" / "images" / f"{name}.png") for name in "ab"}
    write(root / "one" / "all.json", coco(pictures))
    write(root / "two" / "c.json", labelme("c.png", draw_plan(root / "two" / "c.png", 3)))
    write(root / "two" / "d.rooms.json", own("d.png", [*draw_plan(root / "two" / "d.png", 1), box(2, 282, 270, 318)]))
    return root


class Parts(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parts_of(file: Path) -> Parts:
    parts = Parts()
    parts.feed(file.read_text(encoding="utf-8"))
    return parts


def test_the_tables_and_the_json_say_the_same(plans: Path, run_cli: Run, tmp_path: Path) -> None:
    done = run_cli("evaluate", plans, "--json", tmp_path / "figures.json")
    assert (done.returncode, done.stderr) == (0, b"")
    record = json.loads((tmp_path / "figures.json").read_text())
    assert {name: (row["plans"], row["true"], row["F50"]) for name, row in record["sets"].items()} == {
        "one": (2, 4, 1.0),
        "two": (2, 5, pytest.approx(8 / 9)),
    }
    assert record["mean"]["F50"] == pytest.approx(17 / 18)
    assert record["failed"] == record["notes"] == []
    assert [(plan["file"], plan["hits"][0]) for plan in record["plans"]] == [
        ("a.png", 2),
        ("b.png", 2),
        ("c.png", 3),
        ("d.png", 1),
    ]
    lines = {line.split()[0]: line.split() for line in done.stdout.decode().splitlines() if line.split()}
    assert lines["mean"][:6] == ["mean", "of", "2", "0.900", "0.944", lines["mean"][5]]
    rows = [line.split() for line in done.stdout.decode().splitlines() if line.split()[:1] == ["two"]]
    assert rows[0][:7] == ["two", "2", "5", "4", "1.000", "0.800", "0.889"]
    assert float(rows[1][-3]) == pytest.approx(record["cost"]["sets"]["two"]["seconds_p50_s"], abs=0.006)


def without_cost(file: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(file.read_text())
    assert record.pop("cost")["plans_s"]
    return record


def without_times(file: Path) -> str:
    text = re.sub(r"\d threads a process, [0-9T:+-]+", "", file.read_text())
    text = re.sub(r", \d+\.\d\d s\b", "", text)
    return re.sub(r"(<td>[0-9.]+</td>){3}</tr>", "", text)


@pytest.mark.slow
def test_equal_plans_give_equal_files_but_for_times(plans: Path, run_cli: Run, tmp_path: Path) -> None:
    for name, jobs in (("first", 1), ("second", 2)):
        files = ("--json", tmp_path / f"{name}.json", "--html", tmp_path / f"{name}.html", "--out", tmp_path / name)
        assert run_cli("evaluate", plans, "--jobs", jobs, *files).returncode == 0
    assert without_cost(tmp_path / "first.json") == without_cost(tmp_path / "second.json")
    assert without_times(tmp_path / "first.html") == without_times(tmp_path / "second.html")
    found = {file.relative_to(tmp_path / "first").as_posix(): file for file in (tmp_path / "first").rglob("*.json")}
    assert sorted(found) == ["one/a.json", "one/b.json", "two/c.json", "two/d.json"]
    assert all((tmp_path / "second" / name).read_bytes() == file.read_bytes() for name, file in found.items())
    assert Floorplan.from_json(found["two/c.json"].read_text()).room_count == 3


def test_bad_plans_stop_nothing_and_are_listed(plans: Path, run_cli: Run, tmp_path: Path) -> None:
    write(plans / "two" / "broken.json", "{")
    write(plans / "two" / "gone.json", own("gone.png", [box(0, 0, 9, 9)]))
    (plans / "two" / "odd.png").write_text("just words\n")
    write(plans / "two" / "odd.json", own("odd.png", [box(0, 0, 9, 9)]))
    write(plans / "notes.json", {"hello": 1})
    eight = [(50, 50), (240, 270), (240, 50), (50, 270)]
    draw_plan(plans / "eight.png", 1)
    write(plans / "eight.json", own("eight.png", [eight]))
    done = run_cli("evaluate", plans, "--json", tmp_path / "f.json", "--html", tmp_path / "f.html")
    assert done.returncode == 1
    said = done.stderr.decode().splitlines()
    assert [line for line in said if line.startswith("note: ")] == [
        "note: notes.json: no labels in a format known here (our own, COCO, labelme); left out",
        "note: plans/eight.png page 1: room 1 crosses itself; repaired (50 % of what it encloses was kept)",
    ]
    failed = [line for line in said if line.startswith("failed: ")]
    assert len(failed) == 3
    assert failed[0].startswith("failed: two/broken.json: it is broken JSON: ")
    assert failed[1].startswith("failed: two/gone.json: its picture 'gone.png' is missing")
    assert failed[2].startswith("failed: two/odd.png page 1: The file is not a PNG, JPG or PDF")
    assert failed[2].endswith("(counts as nothing found)")
    record = json.loads((tmp_path / "f.json").read_text())
    assert [problem["counts_as_nothing_found"] for problem in record["failed"]] == [False, False, True]
    assert [f"note: {note}" for note in record["notes"]] == said[:2]
    assert record["sets"]["two"]["plans"] == 3
    assert record["sets"]["one"]["F50"] == 1.0
    text = "".join(parts_of(tmp_path / "f.html").text)
    assert "Failed (3)" in text
    assert "Notes (2)" in text
    assert text.count("Counts as a plan on which nothing was found.") == 1
    assert text.count("Is in no figure.") == 2


def test_the_page_stands_alone_and_shows_the_worst_first(plans: Path, run_cli: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run_cli("evaluate", plans, "--html", page).returncode == 0
    parts = parts_of(page)
    tags = {tag for tag, _ in parts.tags}
    assert tags.isdisjoint({"script", "iframe", "object", "embed", "form", "base"})
    for tag, attributes in parts.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    policy = next(a["content"] for t, a in parts.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    pictures = [attributes for tag, attributes in parts.tags if tag == "img"]
    assert [(picture["alt"] or "").split(" ")[0] for picture in pictures] == ["d.png", "c.png", "a.png", "b.png"]
    assert pictures[0]["alt"] == "d.png page 1: 1 of 2 rooms found, 1 given, 0 split, 0 merged"
    for picture in pictures:
        encoded = (picture["src"] or "").removeprefix("data:image/webp;base64,")
        shown = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
        assert max(shown.shape[:2]) == 720
    assert {"circle", "polyline"} <= tags


def test_names_are_shown_as_they_are_and_do_nothing(tmp_path: Path, run_cli: Run) -> None:
    root = tmp_path / "plans"
    name = NASTY.replace("/", "\u2044")
    (root / name).mkdir(parents=True)
    rings = draw_plan(root / name / f"{name}.png")
    write(root / name / "a.json", labelme(f"{name}.png", [*rings, [(0, 0), (5, 5)]]))
    write(root / name / "\x1b[31mred.json", own("none\x07.png", rings))
    done = run_cli("evaluate", root, "--html", tmp_path / "page.html", "--json", tmp_path / "f.json")
    assert done.returncode == 1
    assert name[:12] in done.stdout.decode()
    assert "[bold]" in done.stdout.decode()
    assert b"\x1b" not in done.stdout + done.stderr
    page = (tmp_path / "page.html").read_bytes()
    assert b"\x1b" not in page
    assert b"\x07" not in page
    parts = parts_of(tmp_path / "page.html")
    assert "script" not in {tag for tag, _ in parts.tags}
    assert f"{name}/{name}.png" in "".join(parts.text)
    assert json.loads((tmp_path / "f.json").read_text())["plans"][0]["set"] == name


def test_a_name_that_is_no_text_stops_nothing(tmp_path: Path, run_cli: Run) -> None:
    folder = tmp_path / "plans" / "caf\udce9"
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("this file system takes text only")
    write(folder / "a.json", own("a.png", draw_plan(folder / "a.png")))
    done = run_cli("evaluate", tmp_path / "plans", "--html", tmp_path / "page.html", "--json", tmp_path / "f.json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "caf\ufffd" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_limit_pages_and_settings_of_the_engine(plans: Path, tmp_path: Path) -> None:
    done = invoke(plans, "--limit", 1, "--engine", "threads=1", "--engine", "max_side_px=600", "--json", tmp_path / "f")
    assert done.exit_code == 0
    record = json.loads((tmp_path / "f").read_text())
    assert [plan["file"] for plan in record["plans"]] == ["a.png", "c.png"]
    assert (record["settings"]["max_side_px"], record["cost"]["threads"]) == (600, 1)
    alone = invoke(plans, "--set", "two", "--json", tmp_path / "g")
    assert alone.exit_code == 0
    assert list(json.loads((tmp_path / "g").read_text())["sets"]) == ["two"]
    unknown = invoke(plans, "--set", "three")
    assert unknown.exit_code == 2
    assert "there is no set 'three'; there are: one, two" in " ".join(unknown.stderr.replace("│", " ").split())
    nothing = invoke(plans, "--pages", "2")
    assert nothing.exit_code == 1
    assert "error: none of the plans is on the pages asked for" in nothing.stderr


def test_no_plans_at_all_says_what_is_taken(tmp_path: Path) -> None:
    draw_plan(tmp_path / "a.png")
    done = invoke(tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "there are no labelled plans in" in done.stderr
    assert "COCO's or labelme's" in done.stderr
    write(tmp_path / "a.json", "{")
    done = invoke(tmp_path)
    assert done.exit_code == 1
    assert "failed: a.json: it is broken JSON" in done.stderr
    assert "error: not one plan can be used; see above" in done.stderr


def test_many_notes_are_cut_short_on_the_terminal_alone(tmp_path: Path) -> None:
    ring = draw_plan(tmp_path / "a.png", 1)[0]
    write(tmp_path / "a.json", own("a.png", [ring, *[[(0, 0), (5, 5)]] * 30]))
    done = invoke(tmp_path, "--json", tmp_path / "out")
    assert done.exit_code == 0
    assert len(done.stderr.splitlines()) == 21
    assert done.stderr.splitlines()[-1] == "note: and 10 more; --json and --html list them all"
    assert len(json.loads((tmp_path / "out").read_text())["notes"]) == 30


def test_predictions_of_equal_stems_do_not_meet(tmp_path: Path) -> None:
    root = tmp_path / "plans"
    root.mkdir()
    for name in ("a.png", "a.jpg"):
        write(root / f"{name}.json", own(name, draw_plan(root / name, 2 if name == "a.png" else 3)))
    shutil.copy(root / "a.png", root / "b.png")
    (root / "b.png").write_bytes(b"no picture")
    write(root / "b.json", own("b.png", [box(0, 0, 9, 9)]))
    write(tmp_path / "out" / "plans" / "b.json", "from an earlier run")
    assert invoke(root, "--out", tmp_path / "out").exit_code == 1
    found = {file.name: Floorplan.from_json(file.read_text()).room_count for file in (tmp_path / "out/plans").iterdir()}
    assert found == {"a.json": 3, "a.png.json": 2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "does not exist"),
        ((".", "--pages", "0"), "pages must look like 1-3,7"),
        ((".", "--limit", "0"), "greater than or equal to 1"),
        ((".", "--engine", "speed=9"), "'speed=9' is not NAME=VALUE with NAME one of max_side_px"),
        ((".", "--engine", "threads"), "'threads' is not NAME=VALUE"),
        ((".", "--engine", "threads=many"), "threads is a setting of type int, not 'many'"),
        ((".", "--engine", "threads=0"), "threads must be in 1..64, not 0"),
        ((".", "--html", "nowhere/page.html"), "there is no folder nowhere to write page.html into"),
    ],
)
def test_wrong_usage_of_evaluate_is_said(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_shows_the_page_under_its_policy(plans: Path, run_cli: Run, tmp_path: Path) -> None:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("there is no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    page_file = tmp_path / "page.html"
    assert run_cli("evaluate", plans, "--html", page_file).returncode == 0
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        said, asked = [], []
        page.on("console", lambda line: said.append(line.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        assert page.locator("figure img").count() == 4
        assert page.evaluate(
            "[...document.images].every(i => i.complete && Math.max(i.naturalWidth, i.naturalHeight) === 720)"
        )
        assert page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]
