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
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from tests.bench.looks import ALL_THERE, looks
from tests.bench.looks import ROUNDS as LOOKS
from tests.browser.proxy import proxied

ROOT = Path(__file__).parents[2]
ROUNDS = 7
EMPTY_APP = """
import gradio
with gradio.Blocks() as demo:
    gradio.HTML("<p id='there'>empty</p>")
demo.launch(quiet=True)
"""
EMPTY = [sys.executable, "-c", EMPTY_APP]
OURS = [sys.executable, "app.py"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WIDE = {"width": 1920, "height": 1080}
FORMATS = "fp16,bf16,int8,int8+emb,int4-g64,int3,int2,fp8_e4m3,int4,int8@bf16,int3-g64,int5"
TOKENS = 64
USUAL = ("fp16,bf16,int8,int4-g64", 64)
MANY = """
import runpy, qdemo.spec.request as request
request.MAX_FORMATS = 12  # beside fp32; a visitor may ask for eight
runpy.run_path("app.py", run_name="__main__")
"""
READY = "html:not(.coming):has(#model input):has(#formats input):has(#compare):has(#cards .card)"
"""The page can be used: its controls are there, and the example's cards in gradio's own page."""
PAINTED = f"#first-paint[style*=visible], {READY}"
"""It can be read, from its first paint or, where that has no time to be seen, at once."""


@contextmanager
def served(command, more=()):
    """An app on a port of its own; gives the address and the seconds to its first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    start = time.perf_counter()
    app = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | settings | dict(more), stdout=subprocess.DEVNULL,
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


def started(command):
    """Seconds from the start to the first answer."""
    with served(command) as (_, seconds):
        return seconds


_WHEN = """new MutationObserver(() => {
  if (!window.cameAt && document.querySelector(%r)) window.cameAt = performance.now();
}).observe(document, {subtree: true, childList: true, attributes: true})"""
"""By the page's own clock: who looks from outside waits for what else it does."""


def painted(browser, url, selector):
    """Seconds from asking for the page to `selector` being on it, in a browser without a cache."""
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.add_init_script(_WHEN % selector)
    page.goto(url)
    took = page.wait_for_function("window.cameAt").json_value() / 1000
    context.close()
    return took


def opened(browser, url):
    """The Compare page, ready to use."""
    page = browser.new_page(viewport=WIDE)
    page.goto(url)
    page.wait_for_selector(ALL_THERE)
    return page


def compare(page):
    """Press Compare and wait for the last chart."""
    page.click("#compare")
    page.wait_for_selector("#status .busy")
    done = "document.querySelector('#status').innerText.includes('Done.')"
    page.wait_for_function(done, timeout=300_000)


def compared(browser, url, model):
    """Seconds from the page being ready to the end of a first comparison of `model`."""
    page = opened(browser, url)
    start = time.perf_counter()
    if model != "t5-tiny":
        page.get_by_role("combobox", name="Model").click()
        page.get_by_role("option", name=model).click()
    compare(page)
    took = time.perf_counter() - start
    page.close()
    return took


@dataclass(frozen=True)
class Traffic:
    """What comes to a browser: bytes as they were `sent`, with the heads of answers, and as they
    are `read`."""

    sent: int
    read: int


def received(browser, url, model, formats, tokens):
    """The traffic of a comparison of fp32 with those formats, to its end."""
    page = browser.new_page(viewport=WIDE)
    asked = {"model": model, "formats": formats, "input": "Go on", "max_tokens": tokens}
    with proxied(url) as proxy:
        page.goto(f"{proxy.url}/#{urlencode(asked)}")
        page.wait_for_selector(ALL_THERE)
        page.wait_for_timeout(3000)  # for what else the page loads
        sizes, before = _read_by(page), proxy.answered
        compare(page)
        page.wait_for_timeout(3000)  # gradio sends the last picture once more
        page.close()
        return Traffic(proxy.answered - before, sum(sizes))


def _read_by(page):
    """Sizes of what the page reads from now on; pictures that it draws for itself are none."""
    network, sizes, asked = page.context.new_cdp_session(page), [], set()

    def begun(told):
        if told["request"]["url"].startswith("http"):
            asked.add(told["requestId"])

    def came(told):
        if told["requestId"] in asked:
            sizes.append(told["dataLength"])

    network.on("Network.requestWillBeSent", begun)
    network.on("Network.dataReceived", came)
    network.send("Network.enable")
    return sizes


def of_starts():
    """Medians over interleaved rounds: an empty app's start, ours."""
    rounds = [(started(EMPTY), started(OURS)) for _ in range(3)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def paints(browser, empty, ours):
    """Medians over interleaved rounds: an empty app, our first paint, our page ready to use."""
    asked = [(empty, "#there"), (ours, PAINTED), (ours, READY)]
    rounds = [[painted(browser, *what) for what in asked] for _ in range(ROUNDS)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def payload(browser):
    """The traffic of the largest comparison, of FLAN-T5-small's shape with random weights, whose
    answers differ everywhere."""
    from tests.hub_checkpoints import write_flan_t5_small

    with TemporaryDirectory() as folder:
        write_flan_t5_small(Path(folder) / "random")
        more = {"QDEMO_MODELS": f"text2text:{folder}/random"}
        with served([sys.executable, "-c", MANY], more) as (url, _):
            return received(browser, url, "random", FORMATS, TOKENS)


def line(task, ours, beside=None, unit="s"):
    """One of the table; `beside` is what an empty app takes, or what is to be reached."""
    digits = 2 if unit == "s" else 0
    more = f"{beside:11.{digits}f}{ours / beside:8.2f}" if beside else ""
    print(f"{f'{task}, {unit}':52}{ours:10.{digits}f}{more}", flush=True)


def told(what, traffic):
    """What a comparison brings to the browser, beside the goal."""
    line(what, traffic.read / 1e3, 300, "KB")
    line(f"{what}, as it is sent", traffic.sent / 1e3, 300, "KB")


def main():
    print(f"{'task':52}{'ours':>10}{'empty app':>11}{'ratio':>8}")
    empty, ours = of_starts()
    line("start to the first answer, median of 3", ours, empty)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        with served(EMPTY) as (empty, _), served(OURS) as (ours, _):
            nothing, first, ready = paints(browser, empty, ours)
            line(f"first paint, median of {ROUNDS}", first, nothing)
            line(f"ready to use, median of {ROUNDS}", ready, nothing)
            print(f"\n{'task':52}{'ours':>10}{'goal':>11}{'ratio':>8}")
            page = browser.new_page(viewport=WIDE)
            for what, took in looks(page, ours):
                line(f"{what}, median of {LOOKS}", took, 150, "ms")
            page.close()
        with served(OURS) as (url, _):
            told("a comparison, t5-tiny", received(browser, url, "t5-tiny", *USUAL))
        told(f"a comparison, 12 formats, {TOKENS} tokens", payload(browser))
        for model in ("t5-tiny", "blip-tiny"):
            with served(OURS) as (url, _):
                line(f"first Compare of a fresh server, {model}", compared(browser, url, model), 3)
        browser.close()


if __name__ == "__main__":
    main()
