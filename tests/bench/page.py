"""How long people wait for the page, beside an empty gradio app: python -m tests.bench.page."""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
ROUNDS = 7
EMPTY = """
import gradio
with gradio.Blocks() as demo:
    gradio.HTML("<p id='there'>empty</p>")
demo.launch(quiet=True)
"""
OURS = [sys.executable, "app.py"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@contextmanager
def served(command):
    """An app on a port of its own; gives the address and the seconds to its first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    start = time.perf_counter()
    app = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}", _answered(f"http://127.0.0.1:{port}/config", start)
    finally:
        app.terminate()
        app.wait()


def _answered(url, start):
    while True:
        try:
            urllib.request.urlopen(url).close()
            return time.perf_counter() - start
        except OSError:
            time.sleep(0.02)


def painted(browser, url, selector):
    """Seconds from asking for the page to `selector` being on it, in a browser without a cache."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(selector)
    took = time.perf_counter() - start
    context.close()
    return took


def compared(browser, url, model):
    """Seconds from the click on Compare to the last chart, the model not loaded before."""
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.goto(url)
    page.wait_for_selector("#map-chart .main-svg")
    if model != "t5-tiny":
        page.get_by_role("combobox", name="Model").click()
        page.get_by_role("option", name=model).click()
    page.wait_for_timeout(500)
    start = time.perf_counter()
    page.click("#compare")
    page.wait_for_selector("#status .busy")
    page.wait_for_function("document.querySelector('#status').innerText.includes('Done.')")
    took = time.perf_counter() - start
    page.close()
    return took


def paints(browser, empty, ours):
    """Medians over interleaved rounds: an empty app, our first paint, our page ready to use."""
    asked = [(empty, "#there"), (ours, ".card"), (ours, "#cards .card")]
    rounds = [[painted(browser, *what) for what in asked] for _ in range(ROUNDS)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def line(task, ours, empty=None):
    beside = f"{empty:10.2f}{ours / empty:8.2f}" if empty else ""
    print(f"{task:44}{ours:10.2f}{beside}", flush=True)


def main():
    print(f"{'task':44}{'ours, s':>10}{'empty, s':>10}{'ratio':>8}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        with (
            served([sys.executable, "-c", EMPTY]) as (empty, empty_start),
            served(OURS) as (ours, our_start),
        ):
            line("start to the first answer", our_start, empty_start)
            nothing, first, ready = paints(browser, empty, ours)
            line(f"first paint, median of {ROUNDS}", first, nothing)
            line(f"ready to use, median of {ROUNDS}", ready, nothing)
        for model in ("t5-tiny", "blip-tiny"):
            with served(OURS) as (url, _):
                line(f"first Compare of a fresh server, {model}", compared(browser, url, model))
        browser.close()


if __name__ == "__main__":
    main()
