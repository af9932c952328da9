"""The documentation in a real browser, under the policy that it is served with."""

from __future__ import annotations

import shutil

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_docs_show_every_operation_and_try_one(server: str) -> None:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("there is no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        refused: list[str] = []
        page.on("console", lambda line: refused.append(line.text) if "Content Security Policy" in line.text else None)
        page.on("pageerror", lambda error: refused.append(str(error)))
        page.goto(f"{server}/docs")
        health = page.locator("details", has_text="/health")
        health.locator("summary").click()
        health.get_by_role("button", name="Send").click()
        health.locator("pre").wait_for()
        assert '"healthy"' in health.locator("pre").inner_text()
        assert page.locator("details").count() == 9
        browser.close()
    assert refused == []
