"""Three hundred other visitors, and a page that stays of use."""

import json

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import started, watched
from tests.browser.steps import ask, cards, compare, download, open_more, wait_for_charts

QUESTION = "What is 40 + 2?"


def visit(client, i):
    """Another visitor, with a session of its own and a question of its own."""
    session = {"session_hash": f"stranger {i}"}
    data = ["t5-tiny", ["fp32"], f"What is {i} + 3?", None, "", 1, False, "chat", 0, 0]
    client.post("run/models", json={"data": []} | session)
    event = client.post("call/compare", json={"data": data} | session).json()
    return "event: complete" in client.get(f"call/compare/{event['event_id']}").text


@pytest.mark.parametrize(("megabytes", "visitors"), [(200, 210), (1, 60)])
def test_other_visitors_do_not_push_a_page_out_of_use(browser, tmp_path, megabytes, visitors):
    """With room their comparison is kept; without, it is computed again from the address."""
    cache = {"QDEMO_RESULT_CACHE_MB": str(megabytes)}
    with started("app.py", **cache) as (url, _), watched(browser, url) as page:
        page.goto("/")
        wait_for_charts(page)
        open_more(page)
        page.get_by_label("A format of your own: type it, or choose its parts").fill("int5-g64")
        page.get_by_role("button", name="Add to formats").click()
        expect(page.get_by_label("int5-g64")).to_be_checked()
        ask(page, QUESTION, "int8", "int5-g64")
        at = {"base_url": f"{url}/gradio_api", "trust_env": False, "timeout": 60}
        with httpx.Client(**at) as client:
            assert all(visit(client, i) for i in range(visitors))
        if megabytes == 1:
            page.locator("#take-json").click()
            page.locator("#lost .recompute").click()
            expect(page.locator("#status")).to_have_text("Done.")
        document = json.loads(download(page, "json", tmp_path).read_text())
        assert document["input"] == QUESTION
        assert [result["output"] for result in document["results"]] == ["42"] * 3
        page.locator('#ribbon [data-format="int8"] input[value="1"]').click()
        expect(page.locator("#top h3")).to_contain_text("token 2")
        compare(page)  # a format of one's own is still one
        assert list(cards(page)) == ["fp32", "int8", "int5-g64"]
