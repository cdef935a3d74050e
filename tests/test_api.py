"""The HTTP API of the dashboard as people start it: app.py, in a process of its own."""

import json
import time
from pathlib import Path

import httpx
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import qdemo
from qdemo.models.pictures import gallery, read_picture
from qdemo.spec.document import as_json
from qdemo.spec.evidence_file import from_text
from tests.browser.conftest import serving

ROOT = Path(__file__).parent.parent
PROMPT = "What is 23 + 45?"
FILE = gallery()["gallery:a-panda-in-the-mountains"]
UPLOADED = {"_type": "gradio.FileData"}
WITHOUT_PROXY = {"trust_env": False}
NOT_A_PICTURE = ROOT / "pyproject.toml"
REST = ("", 2, False, "chat", 0, 0)
"""What /compare is given behind a picture; gradio takes nothing that lacks a value."""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("gradio"))
    with serving("app.py", QDEMO_HUB="listed", GRADIO_TEMP_DIR=folder) as url:
        yield f"{url}/"


def compared(client, **asked):
    """The last answer, and what was told before it."""
    job = client.submit(api_name="/compare", **asked)
    return job.result(timeout=60), job.outputs()[:-1]


def raw(url, *data):
    """What a client of another kind is told by /compare, as text."""
    call = f"{url}gradio_api/call/compare"
    event = httpx.post(call, json={"data": data}, **WITHOUT_PROXY).json()["event_id"]
    return httpx.get(f"{call}/{event}", timeout=60, **WITHOUT_PROXY).text


def refused(client, api_name, *arguments, **asked):
    """The message of an error: one line, with nothing of the program's inside."""
    with pytest.raises(AppError) as caught:
        client.predict(*arguments, api_name=api_name, **asked)
    message = str(caught.value)
    assert "\n" not in message
    assert not any(inner in message for inner in ("Traceback", ".py", "Error", "Gradio", str(ROOT)))
    return message


def leaves(document, path=()):
    """Every figure and text, by where it stands; without times, and without whose they are."""
    inner = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in inner:
        if isinstance(value, dict | list | tuple):
            yield from leaves(value, (*path, key))
        elif not {"machine", "computed"} & {*path, key} and not str(key).endswith("_ms"):
            yield (*path, key), value


def test_footprint_answers_while_the_first_model_is_still_being_loaded(client):
    held = client.predict("google/flan-t5-small", ["fp32", "int8"], api_name="/footprint")
    assert [(size["format"], size["bytes"]) for size in held] == [
        ("fp32", 307_844_608),
        ("int8", 126_827_520),
    ]
    assert held[1]["by_kind"] == {
        "quantized weights": 60_489_728,
        "scales and zero points": 452_096,
        "float weights": 65_885_696,
        "buffers": 0,
    }


def test_footprint_tells_how_much_is_quantized_and_what_is_not(client):
    formats = ["fp32", "int8", "int8+emb", "nf4", "int4-g64~lm_head=int8"]
    held = client.predict("google/flan-t5-small", formats, api_name="/footprint")
    names = ["fp32", "int8", "int8+emb", "nf4-g64", "int4-g64~lm_head=int8"]
    assert [size["format"] for size in held] == names
    covered = {size["format"]: size["coverage"] for size in held}
    assert {name: one["parameters"] for name, one in covered.items()} == dict.fromkeys(
        names, 76_961_152
    )
    quantized = [one["quantized"] for one in covered.values()]
    assert quantized == [0, 60_489_728, 76_939_648, 60_489_728, 60_489_728]
    assert {one["bf16_bytes"] for one in covered.values()} == {153_922_304}
    for one in covered.values():
        assert sum(left["parameters"] for left in one["left"]) == 76_961_152 - one["quantized"]
    largest = covered["int8"]["left"][0]
    assert (largest["kind"], largest["why"]) == ("Embedding", "embedding")
    assert largest["parameters"] == 16_449_920
    bits = {size["format"]: size["bits_per_weight"] for size in held}
    assert bits["fp32"] is None
    assert bits["nf4-g64"] == 4.5
    assert bits["int8"] == pytest.approx(8.06, abs=0.01)
    assert 4.5 < bits["int4-g64~lm_head=int8"] < 8


def test_seven_endpoints_are_public(client):
    api = client.view_api(return_format="dict", print_info=False)
    named = {
        name: [parameter["parameter_name"] for parameter in endpoint["parameters"]]
        for name, endpoint in api["named_endpoints"].items()
    }
    asked = ["model", "formats", "prompt", "picture", "picture_name", "max_tokens", "fresh"]
    how = ["read_as", "temperature", "seed"]  # behind the others, whose places are known
    briefly = ["model", "formats", "prompt", "picture_name", "max_tokens"]
    assert named == {
        "/compare": [*asked, *how],
        "/compare_briefly": [*briefly, *how],
        "/download": ["model"],
        "/evaluate": ["model", "formats", "items", "limit", "seed", "max_tokens"],
        "/evaluate_briefly": ["model", "formats", "items", "limit", "seed"],
        "/models": [],
        "/footprint": ["model", "formats"],
    }
    assert api["unnamed_endpoints"] == {}


def test_how_a_prompt_is_read_and_tokens_are_drawn_is_asked_for_and_told(client):
    last, _ = compared(client, model="t5-tiny", formats=["int8"], prompt=PROMPT, max_tokens=3,
                       temperature=0.7, seed=3)  # fmt: skip
    told = {key: last[key] for key in ("decoding", "read_as", "temperature", "seed")}
    assert told == {"decoding": "sampling", "read_as": "chat", "temperature": 0.7, "seed": 3}
    message = refused(client, "/compare", **GOOD, read_as="score")
    assert message == "read_as: t5-tiny reads no prompt as score; expected chat"


def test_models_are_those_of_the_catalogue(client):
    models = {model["name"]: model for model in client.predict(api_name="/models")}
    assert models["t5-tiny"] == {
        "name": "t5-tiny",
        "task": "text2text",
        "parameters": 4_175_424,
        "bytes_fp32": 16_701_696,
        "bytes_stored": 16_701_696,
        "dtype": "fp32",
        "licence": "apache-2.0",
        "commit": None,
        "where": "embedded",
    }
    pythia = models["EleutherAI/pythia-70m"]
    assert (pythia["task"], pythia["dtype"], pythia["licence"]) == ("causal", "fp16", "apache-2.0")
    assert pythia["bytes_stored"] == 2 * pythia["parameters"] + 6 * 2048**2
    assert models["blip-tiny"]["task"] == "captioning"
    assert "google/flan-t5-small" in models
    assert "google/flan-t5-xxl" not in models  # 45 GB are for the command line


def test_compare_gives_the_document(client):
    whole, _ = compared(client, model="t5-tiny", formats=["bf16", "int8"], prompt=PROMPT)
    *_, last = qdemo.compare("t5-tiny", PROMPT, ["bf16", "int8"])
    theirs, ours = dict(leaves(whole)), dict(leaves(as_json(last.report)))
    assert theirs.keys() == ours.keys()
    for path, value in ours.items():
        # Sums may run in another order there; and of tables a step reads as many rows as that did
        # which was looked into when the model was first compared in that process.
        is_near = isinstance(value, float) or (value is not None and path[-1] == "read_bytes")
        assert theirs[path] == (pytest.approx(value, rel=1e-3, abs=1e-9) if is_near else value)


def test_a_codebook_and_an_exception_are_compared(client):
    formats = ["nf4", "int4-g64~lm_head=int8"]
    whole, _ = compared(client, model="t5-tiny", formats=formats, prompt=PROMPT)
    assert whole["formats"] == ["fp32", "nf4-g64", "int4-g64~lm_head=int8"]
    assert whole["failures"] == []
    held = client.predict("t5-tiny", formats, api_name="/footprint")
    for size, result in zip(held, whole["results"][1:], strict=True):
        assert size["format"] == result["format"]
        assert size["bytes"] == result["bytes"]
        assert size["coverage"] == result["coverage"]
        assert size["bits_per_weight"] == result["bits_per_weight"]


def test_every_figure_says_what_it_is(client):
    whole, _ = compared(client, model="t5-tiny", formats=["int8"], prompt=PROMPT, max_tokens=1)
    figures = {figure["key"]: figure for figure in whole["figures"]}
    assert len(figures) == len(whole["figures"])
    for result in whole["results"]:
        assert set(figures) <= set(result)
    assert all(figure["label"] and figure["definition"] for figure in figures.values())


KEYS = {
    "schema", "model", "input", "read", "kept_wide", "max_tokens", "decoding", "seed", "formats",
    "results", "failures", "stopped", "kept", "machine", "computed",
}  # fmt: skip
OF_A_RESULT = {
    "format", "output", "bytes", "times_smaller", "first_token_ms", "token_ms", "logit_mean_abs",
    "logit_max_abs", "logit_mean_abs_centred", "logit_max_abs_centred", "logit_kl_mean",
    "logit_kl_p90", "logit_kl_max", "logit_same_top", "logit_same_top_error", "logit_same_top_low",
    "logit_same_top_high", "logit_token_probability_rms", "logit_invalid_positions",
    "first_divergent_token", "weight_rms", "weight_max_abs", "weight_sqnr_db", "weight_relative",
    "weight_rms_steps", "weight_zeroed", "weight_overflowed", "weight_saturated", "footprint",
    "span", "bytes_with_embeddings", "computed", "tokens", "pieces", "top", "kl_by_position",
    "max_abs_by_position", "weights",
}  # fmt: skip


def test_what_was_told_before_schema_3_still_is(client):
    whole, _ = compared(client, model="t5-tiny", formats=["fp16", "int8"], prompt=PROMPT)
    assert set(whole) >= KEYS
    for result in whole["results"]:
        assert set(result) >= OF_A_RESULT
        assert set(result["footprint"]) == {"total", "by_kind", "by_module", "split_ties"}
    before = json.loads((ROOT / "tests" / "fixtures" / "report-2.json").read_text())
    assert (set(before), set(before["results"][1])) == (KEYS, OF_A_RESULT)
    name = "the whole model"
    ours, theirs = (one["results"][1]["weights"][name] for one in (whole, before))
    assert set(ours) >= set(theirs)
    assert set(whole["machine"]) >= set(before["machine"])
    assert whole["read"][0].keys() == before["read"][0].keys()


def test_compare_tells_the_text_while_it_grows(client):
    whole, told = compared(client, model="t5-tiny", formats=["int3"], prompt="Hello, my name is ")
    assert {tuple(partial) for partial in told} == {("running",)}
    running = [partial["running"] for partial in told]
    assert {format for texts in running for format in texts} <= {"fp32", "int3"}
    outputs = {result["format"]: result["output"] for result in whole["results"]}
    assert all(outputs[name].startswith(text) for texts in running for name, text in texts.items())


def test_compare_captions_an_uploaded_picture(client):
    picture = handle_file(FILE)
    whole, _ = compared(client, model="blip-tiny", formats=["int8"], picture=picture)
    assert whole["input"] == str(read_picture(FILE, "the uploaded file"))
    assert [result["output"] for result in whole["results"]] == ["a panda in the mountains"] * 2


@pytest.mark.parametrize("name", ["scene:42", "gallery:four-apples-in-the-park"])
def test_compare_captions_a_picture_by_its_name(client, name):
    whole, _ = compared(
        client, model="blip-tiny", formats=["fp16"], picture_name=name, max_tokens=9
    )
    assert whole["input"].startswith(f"{name}, ")
    assert whole["max_tokens"] == 9
    assert len(whole["results"][0]["tokens"]) <= 9


def test_a_cancelled_comparison_makes_room_at_once(client):
    endless = ["int2+emb", "int2-tensor", "int2-axis1", "int2+emb@bf16", "int2-tensor@bf16"]
    job = client.submit("t5-tiny", endless, "x", api_name="/compare", max_tokens=128)
    while not job.outputs():
        time.sleep(0.01)
    job.cancel()
    start = time.monotonic()
    whole, _ = compared(client, **GOOD, max_tokens=3)
    waited = time.monotonic() - start
    assert waited < len(endless) * 128 * whole["results"][0]["token_ms"] / 1000


GOOD = {"model": "t5-tiny", "formats": ["int8"], "prompt": "x"}
LOOKS = {"model": "blip-tiny", "formats": ["int8"]}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (GOOD | {"model": "nobody/nothing"}, "model: unknown model 'nobody/nothing'; the models"),
        (GOOD | {"model": "google/flan-t5-small"}, "model: google/flan-t5-small is not on this"),
        (GOOD | {"formats": ["int9"]}, "formats: unknown format 'int9'; expected one of fp32,"),
        (GOOD | {"formats": ["int4-g64+kv8"]}, "formats: +kv8 in 'int4-g64+kv8' is known, but"),
        (GOOD | {"formats": ["i" * 4001]}, "formats: a format of 4,001 characters; at most 4,000"),
        (GOOD | {"formats": []}, "formats: choose at least one"),
        (GOOD | {"prompt": " \n"}, "prompt: the prompt is empty"),
        (GOOD | {"prompt": "x" * 4001}, "prompt: the prompt has 4,001 characters; at most 4,000"),
        (GOOD | {"prompt": "5 + 5 " * 600}, "prompt: the prompt has"),
        (GOOD | {"max_tokens": 0}, "max_tokens: max_tokens is 0, expected 1 to 128"),
        (GOOD | {"max_tokens": 129}, "max_tokens: max_tokens is 129, expected 1 to 128"),
        (LOOKS, "picture: there is no picture"),
        (LOOKS | {"prompt": "scene:1"}, "picture: there is no picture"),
        (LOOKS | {"picture_name": "scene:-1"}, "picture: unknown scene '-1'"),
        (LOOKS | {"picture_name": "README.md"}, "picture: unknown picture 'README.md'"),
        (LOOKS | {"picture": handle_file(NOT_A_PICTURE)}, "picture: the uploaded file is no pict"),
    ],
)
def test_what_cannot_be_had_is_told_in_a_sentence_about_the_field(client, asked, says):
    assert refused(client, "/compare", **asked).startswith(says)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", 7),
        ("model", None),
        ("formats", 7),
        ("formats", None),
        ("formats", [7]),
        ("prompt", ["x"]),
        ("max_tokens", "many"),
        ("max_tokens", None),
        ("max_tokens", 3.5),
        ("max_tokens", [3]),
        ("picture", 7),
        ("picture", "README.md"),
        ("picture_name", 7),
    ],
)
def test_a_wrong_type_is_told_in_a_sentence_about_the_field(client, field, value):
    asked = LOOKS if field.startswith("picture") else GOOD
    message = refused(client, "/compare", **asked | {field: value})
    assert message.startswith(f"{field.removesuffix('_name')}: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody/nothing", ["int8"]), "model: unknown model"),
        (("t5-tiny", ["int9"]), "formats: unknown format"),
        (("t5-tiny", ["int4-g64+kv8"]), "formats: +kv8 in 'int4-g64+kv8' is known, but not"),
        (("t5-tiny", []), "formats: choose"),
        (("t5-tiny", ["int4-g80"]), "group_size 80 does not divide the row length 192"),
        ((3, ["int8"]), "model: expected text, got 3"),
        (("t5-tiny", 3), "formats: expected a list of formats, got 3"),
    ],
)
def test_footprint_tells_what_is_wrong_with_which_field(client, arguments, says):
    assert says in refused(client, "/footprint", *arguments)


@pytest.mark.parametrize("meta", [{"meta": UPLOADED}, {}], ids=["marked as a file", "unmarked"])
def test_a_picture_of_the_servers_own_is_refused(url, tmp_path, meta):
    Image.new("RGB", (8, 8)).save(tmp_path / "private.png")
    for path in (tmp_path / "private.png", FILE, FILE.relative_to(ROOT)):
        told = raw(url, "blip-tiny", ["int8"], "", {"path": str(path)} | meta, *REST)
        assert told.startswith("event: error"), f"{path} was read"


@pytest.mark.parametrize("meta", [{"meta": UPLOADED}, {}], ids=["marked as a file", "unmarked"])
def test_nothing_is_told_of_the_servers_files(url, meta):
    there, missing = (
        raw(url, "blip-tiny", ["int8"], "", {"path": str(path)} | meta, *REST)
        for path in (NOT_A_PICTURE, ROOT / "nothing.toml")
    )
    assert there == missing  # or one could find out which files there are
    assert there.startswith("event: error")
    assert "tool.ruff" not in there


def test_a_picture_that_was_not_brought_fails_for_that_alone(url):
    assert raw(url, "blip-tiny", ["int8"], "", None, "scene:1", *REST[1:]).count("event: complete")


def test_files_of_the_server_are_not_served(url):
    for path in (NOT_A_PICTURE, ROOT / "assets" / "models" / "t5-tiny" / "config.json"):
        answer = httpx.get(f"{url}gradio_api/file={path}", **WITHOUT_PROXY)
        assert answer.status_code in (403, 404)
        assert "tool.ruff" not in answer.text


def evaluated(client, endpoint="/evaluate", **asked):
    """The last answer, and what was told before it."""
    job = client.submit("t5-tiny", ["int8", "int3"], api_name=endpoint, **asked)
    return job.result(timeout=60), job.outputs()[:-1]


def test_many_items_are_evaluated(client):
    last, told = evaluated(client, limit=70)
    assert [one["done"] for one in told] == sorted(one["done"] for one in told)
    assert told[-1]["of"] == 3 * 70
    assert from_text(json.dumps(last)).model == "t5-tiny"
    fp32, int8, int3 = last["results"]
    assert fp32["n"] == int8["n"] == int3["n"] == len(last["items"]) == 70
    assert int8["kl_mean"] < int3["kl_mean"]
    brief, _ = evaluated(client, "/evaluate_briefly", limit=70)
    short = json.loads(brief)["results"][2]
    for key, value in short.items():
        assert value == (pytest.approx(int3[key], rel=0.01) if value != int3[key] else value), key
    assert {"n", "accuracy", "verdict", "mcnemar_p"} < set(short)


def test_items_that_are_sent_are_evaluated(client):
    items = [{"input": PROMPT, "expected": "68"}, {"input": "Hello", "expected": "?"}]
    last, _ = evaluated(client, items=items)
    assert last["data"]["name"] == "items sent"
    assert [result["correct"] for result in last["results"]] == [1, 1, 1]
    unknown, _ = evaluated(client, items=[{"input": PROMPT}])
    assert unknown["results"][1] | {"correct": None, "changed": 0} == unknown["results"][1]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"limit": 0}, "limit: limit is 0, expected 1 to 1,000"),
        ({"items": []}, "data: expected a list of items"),
        ({"items": [{"prompt": "x"}]}, "data: line 1"),
        ({"items": [{"input": "x"}] * 1001}, "data: 1,001 lines of items; at most 1,000"),
        ({"max_tokens": 0}, "max_tokens: max_tokens is 0"),
    ],
)
def test_what_can_t_be_evaluated_is_refused(client, asked, why):
    message = refused(client, "/evaluate", "t5-tiny", ["int8"], **asked)
    assert message.startswith(why)
