"""The page in a real Chromium, against the real server: a plan goes in, and its rooms are seen, read and saved."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TOKEN = "a-token-of-the-page-test"
FOUND_MS = 60_000  # a busy machine may take its time
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => console.error("refused", event.violatedDirective));
"""

OpenPage = Callable[..., Any]


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[str]:
    """The address of `location-detection serve` with one worker, in a process of its own."""
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--data", str(folder), "--workers", "1"]
    quiet = {"PYTHONPATH": str(ROOT / "src"), "POWERTOOLS_LOG_LEVEL": "CRITICAL", **environment}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **quiet})
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, f"the server did not start: {said}"
        yield found[0]
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that all tests of this module may use."""
    with serving(tmp_path_factory.mktemp("page")) as url:
        yield url


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """Opens an address in a fresh context; at the end, nothing may have been refused, logged as error or thrown.

    Answers from 400 up, which the browser logs by itself, are let pass where `refusals` is set.
    """
    contexts: list[Any] = []
    troubles: list[str] = []

    def open_(url: str, *, refusals: bool = False, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 850}, **options})
        contexts.append(context)
        context.add_init_script(REPORT_VIOLATIONS)
        page = context.new_page()

        def listen(message: Any) -> None:
            expected = refusals and message.text.startswith("Failed to load resource")
            if message.type in ("error", "warning") and not expected:
                troubles.append(message.text)

        page.on("console", listen)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []


def send(page: Any, file: Path) -> None:
    """Choose the file and wait for its rooms."""
    page.set_input_files("#file", str(file))
    page.locator("#result").wait_for(timeout=FOUND_MS)


def drop(page: Any, file: Path) -> None:
    """Let the file fall on the page and wait for its rooms."""
    transfer = page.evaluate_handle(
        "([bytes, name]) => { const transfer = new DataTransfer();"
        " transfer.items.add(new File([new Uint8Array(bytes)], name)); return transfer; }",
        [list(file.read_bytes()), file.name],
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#drop", kind, {"dataTransfer": transfer})
    page.locator("#result").wait_for(timeout=FOUND_MS)


def result_of(page: Any, url: str) -> dict[str, Any]:
    """The floorplan that the API has for the job in the page's address."""
    with urllib.request.urlopen(f"{url}/api/v1/jobs/{page.url.partition('#')[2]}/result", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def saved(page: Any, button: str) -> tuple[str, bytes]:
    """The name and the content of what the button downloads."""
    with page.expect_download() as waiting:
        page.click(button)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def is_plain(room: dict[str, Any]) -> bool:
    """Whether the room fills the box around it, so that the box's middle is in it."""
    xs, ys = zip(*room["polygon"], strict=True)
    area = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs))) / 2
    return not room["holes"] and abs(area) > 0.9 * (max(xs) - min(xs)) * (max(ys) - min(ys))


def center(room: dict[str, Any]) -> tuple[float, float]:
    """The middle of the box around the room."""
    xs, ys = zip(*room["polygon"], strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def test_a_plan_of_two_pages_is_seen_read_and_saved(service: str, open_page: OpenPage) -> None:
    page = open_page(service)
    assert page.locator("#choose").is_visible()
    send(page, EXAMPLES / "office.pdf")
    plan = result_of(page, service)
    rooms = [sheet["rooms"] for sheet in plan["pages"]]
    assert len(rooms) == 2
    assert all(rooms)
    assert page.locator("#result-title").inner_text() == f"{len(rooms[0]) + len(rooms[1])} rooms found"
    assert page.locator("path.room").count() == len(rooms[0]) == page.locator("#rooms [role=option]").count()

    # The picture lies below the rooms and is really there.
    page.wait_for_selector("#plan[aria-busy=false]")
    picture = page.locator("#plan image").get_attribute("href")
    assert picture.startswith("blob:")
    natural = page.evaluate(
        "async (url) => { const image = new Image(); image.src = url; await image.decode();"
        " return [image.naturalWidth, image.naturalHeight]; }",
        picture,
    )
    sheet = plan["pages"][0]
    assert natural[0] / natural[1] == pytest.approx(sheet["width"] / sheet["height"], rel=0.01)

    # A pointer on a plain room: its name and confidence, and its place in the list.
    index, room = next((i, r) for i, r in enumerate(rooms[0]) if r["name_hint"] and is_plain(r))
    box = page.locator("#plan svg").bounding_box()
    x, y = center(room)
    page.mouse.move(box["x"] + x * box["width"] / sheet["width"], box["y"] + y * box["height"] / sheet["height"])
    page.locator("#tip").wait_for()
    words = page.locator("#tip").inner_text()
    assert room["name_hint"] in words
    assert f"{100 * room['confidence']:.0f} %" in words
    assert "active" in page.locator("#rooms [role=option]").nth(index).get_attribute("class")
    page.mouse.move(1, 1)
    page.locator("#tip").wait_for(state="hidden")

    # What is saved: the very document of the API, and the rooms drawn over the picture.
    name, content = saved(page, "#save-json")
    assert name == "office.json"
    assert json.loads(content) == plan
    name, content = saved(page, "#save-svg")
    assert name == "office.page1.overlay.svg"
    drawing = ET.fromstring(content)
    titles = [title.text or "" for title in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == len(rooms[0])
    assert room["name_hint"] in titles[index]
    image = drawing.find("{http://www.w3.org/2000/svg}image")
    assert image is not None
    assert str(image.get("href")).startswith("data:image/png;base64,")
    name, content = saved(page, "#save-png")
    assert name == "office.page1.overlay.png"
    assert list(struct.unpack(">II", content[16:24])) == natural


def test_everything_is_reached_with_the_keyboard(service: str, open_page: OpenPage) -> None:
    page = open_page(service)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    send(page, EXAMPLES / "office.pdf")
    plan = result_of(page, service)
    first, second = (sheet["rooms"] for sheet in plan["pages"])
    assert page.evaluate("document.activeElement.id") == "result-title"

    def tab_to(condition: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({json.dumps(condition)})"):
                return
        pytest.fail(f"the Tab key does not lead to {condition}")

    tab_to("[role=tab]")
    assert page.get_by_role("tab", selected=True).inner_text() == f"Page 1 ({len(first)} rooms)"
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", selected=True).inner_text() == f"Page 2 ({len(second)} rooms)"
    assert page.evaluate("document.activeElement.id") == "tab-2"
    assert page.get_by_role("tabpanel").get_attribute("aria-labelledby") == "tab-2"
    page.wait_for_selector("#plan[aria-busy=false]")
    assert page.locator("path.room").count() == len(second)
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", selected=True).get_attribute("id") == "tab-1"
    page.keyboard.press("End")

    tab_to("path.room")
    page.keyboard.press("ArrowDown")
    words = page.locator("#tip").inner_text()
    assert f"{100 * second[1]['confidence']:.0f} %" in words
    assert page.evaluate("document.activeElement.dataset.room") == second[1]["id"]
    assert page.locator("path.ring").get_attribute("d") == page.locator("path.room").nth(1).get_attribute("d")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    tab_to("#rooms [role=option]")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    last = page.locator("#rooms [role=option]").last
    assert last.get_attribute("aria-selected") == "true"
    assert (second[-1]["name_hint"] or "Room") in page.locator("#tip strong").inner_text()


def test_a_doubtful_room_looks_and_reads_differently(service: str, open_page: OpenPage) -> None:
    page = open_page(service)

    def doubt(route: Any) -> None:
        answer = route.fetch()
        plan = answer.json()
        plan["pages"][0]["rooms"][0].update(confidence=0.31, flags=["leaky", "odd_shape"])
        plan["pages"][0]["rooms"][1].update(confidence=0.93, flags=[])
        route.fulfill(response=answer, json=plan)

    page.route("**/result", doubt)
    drop(page, EXAMPLES / "flat.png")
    doubtful, sure = page.locator("path.room").nth(0), page.locator("path.room").nth(1)
    assert doubtful.get_attribute("fill") == "url(#hatch)"
    assert doubtful.get_attribute("stroke-dasharray")
    assert sure.get_attribute("stroke-dasharray") is None
    words = page.locator("#rooms [role=option]").first.inner_text()
    assert "31 %" in words
    assert "doubtful" in words
    assert "walls do not close" in words
    assert "shape is unusual" in words
    page.check("#show-labels")
    assert "31 %" in page.locator("g.label").inner_html()


def with_ballast(png: bytes, size_bytes: int) -> bytes:
    """The same picture with a comment of so many bytes."""
    body = b"tEXt" + b"Comment\0" + b"x" * size_bytes
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def test_a_large_file_on_a_small_dark_screen(service: str, open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "large plan.png"
    file.write_bytes(with_ballast((EXAMPLES / "flat.png").read_bytes(), 5_000_000))
    page = open_page(
        service,
        viewport={"width": 360, "height": 740},
        color_scheme="dark",
        reduced_motion="reduce",
        has_touch=True,
    )
    posts: list[str] = []
    page.on("request", lambda asked: posts.append(asked.url) if asked.method == "POST" else None)
    send(page, file)
    assert [url.removeprefix(service).split("/")[3] for url in posts] == ["uploads", "uploads", "jobs"]
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(20, 23, 28)"
    page.locator("path.room").first.tap()
    tip = page.locator("#tip").bounding_box()
    assert tip["x"] >= 0
    assert tip["x"] + tip["width"] <= 360
    name, _ = saved(page, "#save-json")
    assert name == "large plan.json"
    rooms = page.locator("path.room").count()
    page.reload()
    page.locator("#result").wait_for()
    assert page.locator("path.room").count() == rooms


def test_a_refusal_is_told_in_words_and_another_plan_can_follow(
    service: str, open_page: OpenPage, tmp_path: Path
) -> None:
    file = tmp_path / "plan.gif"
    file.write_bytes(b"GIF89a" + bytes(500))
    page = open_page(service, refusals=True)
    page.set_input_files("#file", str(file))
    failure = page.get_by_role("alert")
    failure.wait_for()
    words = failure.inner_text()
    assert "GIF" in words
    assert "Save or export the plan as PNG, JPG or PDF" in words
    assert "INVALID_FILE_FORMAT" in words
    assert page.locator("#retry").is_hidden()
    page.get_by_role("button", name="Choose another plan").click()
    assert page.evaluate("document.activeElement.id") == "file"
    send(page, EXAMPLES / "flat.png")


def test_a_server_that_is_away_can_be_tried_again(service: str, open_page: OpenPage) -> None:
    page = open_page(service, refusals=True)
    page.route("**/api/**", lambda route: route.abort())
    page.set_input_files("#file", str(EXAMPLES / "flat.png"))
    page.get_by_role("alert").wait_for()
    assert "cannot be reached" in page.get_by_role("alert").inner_text()
    page.unroute("**/api/**")
    page.get_by_role("button", name="Try again").click()
    page.locator("#result").wait_for(timeout=FOUND_MS)


def test_a_token_is_asked_for_only_where_one_is_needed(browser: Any, open_page: OpenPage, tmp_path: Path) -> None:
    with serving(tmp_path / "data", LOCATION_DETECTION_TOKENS=f"page:{TOKEN}") as url:
        page = open_page(url, refusals=True)
        assert page.locator("#token-form").is_hidden()
        page.set_input_files("#file", str(EXAMPLES / "flat.png"))
        page.locator("#token").fill("not-the-token-of-anybody")
        page.keyboard.press("Enter")
        page.get_by_text("The server does not know this token").wait_for()
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.locator("#result").wait_for(timeout=FOUND_MS)
        page.wait_for_selector("#plan[aria-busy=false] image[href^='blob:']")
        assert page.evaluate("localStorage.length") == 0
        assert TOKEN not in page.url


def test_a_job_is_cancelled(server: str, open_page: OpenPage) -> None:
    page = open_page(server)  # no worker looks after this one, so that the job waits
    page.set_input_files("#file", str(EXAMPLES / "flat.png"))
    page.get_by_text("Waiting for a free worker").wait_for()
    assert page.locator("[aria-current=step]").inner_text().strip() == "Queue"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled.").wait_for()
    assert page.locator("#choose").is_visible()
    with urllib.request.urlopen(f"{server}/api/v1/jobs", timeout=10) as answer:
        jobs = json.load(answer)["data"]["jobs"]
    assert [job["status"] for job in jobs] == ["cancelled"]
