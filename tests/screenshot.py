"""The README's picture, of the real page after a real comparison: python -m tests.screenshot."""

from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, WIDE, chromium_path, serving
from tests.screenshots import ASKED, opened

FILE = Path(__file__).parents[1] / "assets" / "screenshot.png"


def main():
    with serving("app.py") as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        context = browser.new_context(base_url=url, viewport=WIDE, color_scheme="light")
        page = opened(context, ASKED)
        page.wait_for_function("document.querySelector('#status')?.innerText.includes('Done.')")
        page.screenshot(path=FILE)
        browser.close()


if __name__ == "__main__":
    main()
