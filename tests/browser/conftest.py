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

from tests.browser.steps import COMPLAINTS, STREAMS, open_page

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
    "error: Response",  # gradio's, where an upload was through before its progress was asked for
)
THROUGH = "/gradio_api/upload_progress?"  # the address of that question
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
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield browser
        browser.close()
    assert COMPLAINTS == []


@pytest.fixture(scope="session")
def tab(browser, app):
    """The one page of most tests: the app opens three times as fast where it was open before."""
    with watched(browser, app) as page:
        yield page


@pytest.fixture
def page(tab):
    tab.set_viewport_size(WIDE)
    return tab


@pytest.fixture(scope="module")
def shared(tab):
    """The Compare page, opened once for a file whose tests each begin with what they ask."""
    tab.set_viewport_size(WIDE)
    open_page(tab)
    return tab


@pytest.fixture(autouse=True)
def _nothing_is_complained_of():
    yield
    found = COMPLAINTS.copy()
    COMPLAINTS.clear()
    assert found == []


def chromium_path():
    """The system's; None for Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def serving(*command, **more):
    """The address of an app that is run as a person runs it, with `more` in its environment."""
    with started(*command, **more) as (url, _):
        yield url


@contextmanager
def started(*command, output=None, **more):
    """The same with its process, whose words go to the file `output` where there is one."""
    port = free_port()
    environment = os.environ | ENVIRONMENT | {"GRADIO_SERVER_PORT": str(port)} | more
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=output, stderr=output
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_answer(f"{url}/config", process)
        yield url, process
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
    """A page in a context of its own that may only talk to `origin`."""
    with browser.new_context(viewport=WIDE, base_url=origin) as context:
        context.set_default_timeout(TIMEOUT)
        listen(context, origin)
        yield context.new_page()


def listen(context, origin):
    """Write down whatever goes wrong in any page of `context`."""

    def on(event, tell):
        context.on(event, lambda what: note(tell(what)))

    def note(what):
        if what and what not in IGNORED and THROUGH not in what:
            COMPLAINTS.append(what)

    def said(message):
        failed = message.text.startswith("Failed to load resource")
        return f"{message.text} {message.location['url']}" if failed else message.text

    allowed = (f"{origin}/", "data:", "blob:")
    on("console", lambda m: m.type in ("error", "warning") and f"{m.type}: {said(m)}")
    on("weberror", lambda e: f"page error: {e.error}")
    on("response", lambda r: r.status >= 400 and f"{r.status}: {r.url}")
    on("request", lambda r: not r.url.startswith(allowed) and f"outside: {r.url}")
    is_stream = "/gradio_api/queue/data?"
    context.on("request", lambda r: is_stream in r.url and STREAMS.add(r))
    for end in ("requestfinished", "requestfailed"):
        context.on(end, lambda r: STREAMS.discard(r))
    on("dialog", lambda dialog: dialog.dismiss() or f"dialog: {dialog.message}")
