"""The real app in a process of its own, a real browser, and an eye on what a page does unasked."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.steps import open_page

ROOT = Path(__file__).parents[2]
TIMEOUT = 60_000  # ms; far more than anything takes, so that a slow machine fails nothing
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",  # threads that wait for each other beside a browser take ages
}
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
IGNORED = (
    "warning: Method not implemented.",  # gradio's, of every upload
)
WIDE = {"width": 1920, "height": 1080}

expect.set_options(timeout=TIMEOUT)


@pytest.fixture(scope="session")
def app():
    with serving("app.py") as url:
        yield url


@pytest.fixture(scope="session")
def hostile_app():
    with serving("-m", "tests.browser.hostile_app") as url:
        yield url


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, app):
    with watched(browser, app) as page:
        yield page


@pytest.fixture(scope="module")
def shared(browser, app):
    """One open page for a whole file, whose tests each begin with what they ask."""
    with watched(browser, app) as page:
        open_page(page)
        yield page


@contextmanager
def serving(*command):
    """The address of an app that is run as a person runs it."""
    port = free_port()
    environment = os.environ | ENVIRONMENT | {"GRADIO_SERVER_PORT": str(port)}
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_answer(f"{url}/config", process)
        yield url
    finally:
        process.terminate()
        process.wait()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for_answer(url, process):
    direct = build_opener(ProxyHandler({}))  # a proxy of the machine knows nothing of this app
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the app ended before it answered"
        try:
            with direct.open(url, timeout=10):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no answer from {url}")


@contextmanager
def watched(browser, origin):
    """A new page that may only talk to `origin`, and must end without a word of complaint."""
    with browser.new_context(viewport=WIDE, base_url=origin) as context:
        context.set_default_timeout(TIMEOUT)
        complaints = complaints_of(context, origin)
        yield context.new_page()
        assert complaints == []


def complaints_of(context, origin):
    """The list in which whatever goes wrong in any page of `context` is written down."""
    found = []

    def listen(event, tell):
        context.on(event, lambda what: note(tell(what)))

    def note(said):
        if said and said not in IGNORED:
            found.append(said)

    allowed = (f"{origin}/", "data:", "blob:")
    listen("console", lambda m: m.type in ("error", "warning") and f"{m.type}: {m.text}")
    listen("weberror", lambda e: f"page error: {e.error}")
    listen("response", lambda r: r.status >= 400 and f"{r.status}: {r.url}")
    listen("request", lambda r: not r.url.startswith(allowed) and f"outside: {r.url}")
    context.on("dialog", lambda dialog: (found.append(f"dialog: {dialog}"), dialog.dismiss()))
    return found
