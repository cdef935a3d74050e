"""Pictures of every page and state, to be looked at: python -m tests.screenshots FOLDER.

Each is taken at four sizes, light and dark. Under its name stand the smallest text and what is cut.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, chromium_path, serving
from tests.browser.design import CUT, PAGES, SIZES, TEXTS

ASKED = "/#model=t5-tiny&formats=fp16,bf16,int8,int3&input=Please say goodbye to Hugo.&run=1"
PICTURE = "/#model=blip-tiny&formats=fp16,int8,int2&run=1"
WRONG = "/#model=t5-tiny&formats=int9&input=Please say goodbye to Hugo.&run=1"
THEMES = ("light", "dark")
MOST_STEPS = 80
"""Of all stories together; the stage ends where a step looks like the one before."""

_WHOLE = """() => document.querySelector("main") && !document.querySelector("#status .busy")
  && !document.documentElement.classList.contains("coming")
  && (!document.querySelector("#compare") || document.querySelector("#take-away"))
  && [...document.querySelectorAll(".chart")].every(
    chart => !chart.checkVisibility() || chart.querySelector(".main-svg"))"""


def states():
    """What there is to be seen, by name, each with its address."""
    for path in PAGES:
        yield path.strip("/") or "compare", path
    yield "compare-run", ASKED
    yield "compare-picture", PICTURE
    yield "compare-wrong", WRONG


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    with serving("app.py") as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        for theme in THEMES:
            for size, viewport in SIZES.items():
                context = browser.new_context(base_url=url, viewport=viewport, color_scheme=theme)
                for name, address in states():
                    take(context, address, folder / f"{name}-{size.strip('%')}-{theme}.png")
                stories(context, folder, f"{size.strip('%')}-{theme}")
                context.close()
        browser.close()


def opened(context, address):
    """The page with all that it begins with, and all that its address asks for."""
    page = context.new_page()
    page.goto(address)
    page.wait_for_timeout(1000)  # for what the address asks to begin
    page.wait_for_function(_WHOLE)
    page.wait_for_timeout(300)  # for what moves
    return page


def take(context, address, file):
    """The first screen, and the whole page beside it."""
    page = opened(context, address)
    page.screenshot(path=file)
    page.screenshot(path=file.with_stem(f"{file.stem}-whole"), full_page=True)
    tell(page, file.stem)
    page.close()


def stories(context, folder, look):
    """The stage, step by step as a clicker goes; nothing where there is no stage."""
    page = opened(context, "/?stage=1")
    before = None
    for step in range(MOST_STEPS):
        if not page.evaluate("document.documentElement.classList.contains('stage')"):
            break
        now = page.screenshot()
        if now == before:
            break
        (folder / f"stage-{step:02}-{look}.png").write_bytes(now)
        tell(page, f"stage-{step:02}-{look}")
        before = now
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(700)
    page.close()


def tell(page, name):
    """The smallest text that is seen, and what is cut."""
    texts = page.evaluate(TEXTS)
    smallest = f"{texts[0][0]:g} px {texts[0][1]!r}" if texts else "no text"
    print(f"{name}: smallest {smallest}", *page.evaluate(CUT), sep="\n    ", flush=True)


if __name__ == "__main__":
    main()
