"""What an assistant finds, asked by the MCP client of the version that gradio is made for."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import qdemo
from tests.browser.conftest import serving

ASKED = {
    "model": "t5-tiny",
    "formats": ["fp16", "bf16", "int8", "int3"],
    "prompt": "What is 40 + 2?",
}


@pytest.fixture(scope="module")
def url():
    with serving("app.py", GRADIO_MCP_SERVER="True", QDEMO_HUB="listed") as url:
        yield url


@pytest.fixture(scope="module")
def ask(url):
    """Ask the server: `ask("list_tools")`, or `ask("call_tool", name, arguments)`."""

    async def asked(what, *values):
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (reading, writing, _),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            return await getattr(session, what)(*values)

    with ThreadPoolExecutor() as pool:  # this thread may have a loop: the browser's tests leave one
        yield lambda what, *values: pool.submit(asyncio.run, asked(what, *values)).result()


def answer(ask, name, **arguments):
    found = ask("call_tool", name, arguments)
    assert not found.isError
    return "".join(part.text for part in found.content)


def test_four_tools_that_only_look_are_offered(ask):
    tools = {tool.name: tool for tool in ask("list_tools").tools}
    assert set(tools) == {"compare", "evaluate", "footprint", "models"}
    for tool in tools.values():
        assert len(tool.description) > 40
        for name, about in tool.inputSchema["properties"].items():
            assert len(about["description"]) > 20, (tool.name, name)
    asked = tools["compare"].inputSchema
    assert set(asked["properties"]) == {
        "model", "formats", "prompt", "picture_name", "max_tokens",
        "read_as", "temperature", "seed",
    }  # fmt: skip
    assert asked["properties"]["formats"]["type"] == "array"
    assert set(asked["required"]) == {"model", "formats"}


def test_what_is_not_offered_can_t_be_called(ask):
    for name in ("download", "compare_briefly", "_compare", "_stop"):
        found = ask("call_tool", name, {"model": "google/flan-t5-small"})
        assert found.isError, name


def test_a_comparison_is_a_kilobyte_or_two_and_says_what_ours_says(ask, url):
    text = answer(ask, "compare", **ASKED)
    assert 800 < len(text.encode()) < 2_048
    found = json.loads(text)
    *_, last = qdemo.compare("t5-tiny", ASKED["prompt"], ASKED["formats"])
    for told, result in zip(found["formats"], last.report.results, strict=True):
        assert told["output"] == result.output == "42"
        assert told["bytes"] == result.footprint.total
        if result.format != "fp32":
            kl = result.figures["logit_kl_mean"]
            assert told["kl_nats"] == pytest.approx(kl, rel=0.02, abs=1e-6)
            low, high = told["same_top_95"]
            assert 0 < low < told["same_top"] == high == 1
            assert told["diverges_at_token"] is None
    assert found["verdict"].startswith("fp16, bf16, int8 and int3 say exactly what fp32 says.")
    assert found["link"] == (
        f"{url}/#model=t5-tiny&formats=fp16,bf16,int8,int3&input=What+is+40+%2B+2%3F&run=1"
    )


def test_formats_are_judged_by_many_items(ask):
    asked = {"model": "t5-tiny", "formats": ["int8", "int2"], "limit": 20}
    text = answer(ask, "evaluate", **asked)
    assert len(text.encode()) < 2_048
    fp32, int8, int2 = json.loads(text)["results"]
    assert fp32["n"] == 20
    assert int2["verdict"] == "broken"
    assert int2["right_to_wrong"] > 15 > int8["right_to_wrong"]
    found = ask("call_tool", "evaluate", asked | {"limit": 100_000})
    assert found.isError
    assert "limit is 100000, expected 1 to 1,000" in found.content[0].text


def test_a_picture_is_described(ask):
    found = json.loads(answer(
        ask, "compare", model="blip-tiny", formats=["bf16"], picture_name="scene:4"
    ))  # fmt: skip
    assert found["input"].startswith("scene:4")
    assert found["formats"][0]["output"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"model": "nobody/nothing"},
            "model: unknown model 'nobody/nothing'; the models are t5-tiny",
        ),
        ({"formats": ["int9"]}, "formats: "),
        ({"formats": ["int4-g64+kv8"]}, "formats: +kv8 in 'int4-g64+kv8' is known, but not"),
        ({"prompt": " "}, "prompt: "),
        ({"max_tokens": 0}, "max_tokens: "),
        ({"prompt": "", "picture_name": "/etc/passwd"}, "prompt: "),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(ask, wrong, said):
    found = ask("call_tool", "compare", ASKED | wrong)
    assert found.isError
    message = found.content[0].text
    assert said in message
    assert len(message) < 500
    assert "Traceback" not in message


def test_the_models_and_their_footprints_are_told(ask):
    assert "t5-tiny" in answer(ask, "models")
    assert "5867200" in answer(ask, "footprint", model="t5-tiny", formats=["int8"])
