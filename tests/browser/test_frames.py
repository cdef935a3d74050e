"""The app in a frame: of a site that its host names, of one that it does not, and of a Space."""

import ssl
from base64 import b64encode
from contextlib import contextmanager
from hashlib import sha256

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from playwright.sync_api import expect

from tests.browser.conftest import ARGUMENTS, COMPLAINTS, WIDE, chromium_path, listen, started
from tests.browser.proxy import proxied

TALKS = "http://talks.example"
HUB = "https://huggingface.co"
SPACE = "me-qdemo.hf.space"
ON_A_SPACE = {"SPACE_ID": "me/qdemo", "SPACE_HOST": SPACE, "SYSTEM": "spaces"}
OF_A_SPACE = f"{HUB}/api/spaces/by-subdomain/"
QUESTION = "What is 40 + 2?"
TOLD = "told.filter(([origin, data]) => data.hash !== undefined)"
AROUND = """<!doctype html><title>Around</title>
<script>var told = []; onmessage = event => told.push([event.origin, event.data])</script>
<iframe src="%s" allow="clipboard-write" style="width: 100%%; height: 950px"></iframe>"""


@pytest.fixture(scope="module")
def issued():
    """A certificate of the Space."""
    return trustme.CA().issue_cert(SPACE)


@pytest.fixture(scope="module")
def chromium(browser, issued):
    """It finds every Space on this machine, does not mind that it is this one, and trusts its
    certificate: one that is only forgiven is asked about at each request, until it gives up."""
    found = browser.browser_type.launch(
        executable_path=chromium_path(),
        args=[*ARGUMENTS, "--host-resolver-rules=MAP *.hf.space 127.0.0.1",
              "--disable-features=LocalNetworkAccessChecks",
              f"--ignore-certificate-errors-spki-list={_key_of(issued)}"],
    )  # fmt: skip
    yield found
    found.close()


def _key_of(issued):
    """The hash of its public key, as Chromium wants it."""
    pem = issued.cert_chain_pems[0].bytes()
    key = load_pem_x509_certificate(pem).public_key()
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(sha256(info).digest()).decode()


@contextmanager
def around(chromium, outer, inner, allowed):
    """A page of the site `outer`, which has `inner` in a frame."""
    with chromium.new_context(viewport=WIDE) as context:
        context.set_default_timeout(60_000)
        body = AROUND % inner
        context.route(f"{outer}/", lambda route: route.fulfill(content_type="text/html", body=body))
        context.route(f"{OF_A_SPACE}*", _tell_of_a_space)
        listen(context, allowed)
        page = context.new_page()
        page.goto(f"{outer}/")
        expected = (f"outside: {outer}/", f"outside: {OF_A_SPACE}")
        yield page, page.frame_locator("iframe")
        COMPLAINTS[:] = [one for one in COMPLAINTS if not one.startswith(expected)]


def _tell_of_a_space(route):
    """What the Hub says of it to gradio's page, which asks by the host's name."""
    told = {"id": "me/qdemo", "runtime": {"stage": "RUNNING"}}
    route.fulfill(json=told, headers={"Access-Control-Allow-Origin": "*"})


def is_compared(frame):
    expect(frame.locator("#weights-chart .main-svg").first).to_be_visible()
    frame.get_by_label("Prompt").fill(QUESTION)
    frame.locator("#compare").click()
    expect(frame.locator("#status")).to_have_text("Done.")
    expect(frame.locator('.card[data-format="fp32"] .output')).to_have_text("42")


def test_a_site_that_the_host_names_may_frame_the_app(chromium):
    named = {"QDEMO_FRAME_ANCESTORS": TALKS}
    with (
        started("app.py", **named) as (url, _),
        around(chromium, TALKS, f"{url}/", url) as (page, frame),
    ):
        is_compared(frame)
        assert page.evaluate(TOLD) == []  # only a Space tells


def test_another_site_may_not(chromium, app):
    with around(chromium, TALKS, f"{app}/", app) as (page, frame):
        page.wait_for_timeout(2000)
        expect(frame.locator("#compare")).to_have_count(0)
        assert [one for one in COMPLAINTS if "frame-ancestors" in one]
        COMPLAINTS.clear()


def test_a_space_works_in_its_frame_and_tells_its_address(chromium, issued):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    with started("app.py", **ON_A_SPACE) as (url, _), proxied(url, tls=context) as proxy:
        inner = f"https://{SPACE}:{proxy.port}"
        with around(chromium, HUB, f"{inner}/", inner) as (page, frame):
            is_compared(frame)
            origin, told = page.evaluate(TOLD)[-1]
            assert origin == inner
            assert told["queryString"] == ""
            asked = "#model=t5-tiny&formats=fp16,bf16,int8&input=What+is+40+%2B+2%3F&run=1"
            assert told["hash"] == asked
        with around(chromium, HUB, f"{inner}/{told['hash']}", inner) as (page, frame):
            expect(frame.locator("#status")).to_have_text("Done.")
            expect(frame.get_by_label("Prompt")).to_have_value(QUESTION)
