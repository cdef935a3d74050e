"""The README's picture, of the real page after a real comparison: python -m tests.screenshot."""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, serving

FILE = Path(__file__).parents[1] / "assets" / "screenshot.png"
ASKED = "model=t5-tiny&formats=fp16,bf16,int8,int3&input=Please say goodbye to Hugo.&run=1"


def main():
    with serving("app.py") as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.goto(f"{url}/?__theme=light#{ASKED}")
        page.wait_for_function("document.querySelector('#status')?.innerText.includes('Done.')")
        page.wait_for_timeout(1000)  # for the charts to be drawn
        page.screenshot(path=FILE)
        browser.close()


if __name__ == "__main__":
    main()
