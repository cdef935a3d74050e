"""What a stranger may send to the server: it answers in a sentence, tells nothing, and lives on."""

import json
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from gradio_client import handle_file

from tests.bombs import BESIDE, BOMBS
from tests.browser.conftest import started
from tests.test_api import GOOD, LOOKS, ROOT, UPLOADED, WITHOUT_PROXY, compared, refused
from tests.test_uploads import post

CANARY = "canary-of-the-environment"
SECRET = (CANARY, str(ROOT), str(Path.home()), "Traceback", "site-packages", 'File "')
"""What no answer may have in it."""

LONG = 150_000  # characters that still fit into a request
FILES = (
    "../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "README.md", "/proc/self/environ",
    "assets/images/gallery/gallery.jsonl", "gallery:../gallery.jsonl", "..\\..\\x", "~",
    "C:\\Windows\\win.ini", "scene:../1", "\0", "%2e%2e%2fetc",
)  # fmt: skip
"""Names that some program takes for a file of its machine."""


ODD_PROMPTS = {
    "right to left": "\u202eWhat is 2 + 3?",
    "unclosed isolates": "\u2066\u2067\u2068\u202a What is 2 + 3?",
    "nothing seen in between": "\u200b".join("What is 2 + 3?"),
    "piled marks": "a" + "\u0301" * 3900,
    "control characters": "".join(map(chr, range(32))) + "x\x7f\x80\x9f",
    "a terminal's": "\x1b[2J\x1b]0;x\x07 Hello",
    "no characters": "\ufffe\uffff\U0010ffff",
    "tags": "\U000e0001\U000e0041 Hello",
    "lines": "a\u2028b\u2029c\x85d",
    "a family": "👩\u200d👩\u200d👧\u200d👦" * 500,
    "syllables": "ᄀ" * 400 + "ᅡ" * 400,
}


UNSEEN = ("\u200b", "\u200b\u200d\u2060\ufeff", "\x1b\x07 \n", "\u2800\u3164", "\ufe0f\U000e0100")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "log"


@pytest.fixture(scope="module")
def url(tmp_path_factory, log):
    own = {"QDEMO_CANARY": CANARY, "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("uploads"))}
    with log.open("w") as output, started("app.py", output=output, **own) as (url, _):
        yield f"{url}/"


@pytest.fixture(autouse=True)
def _a_request_costs_one_line_of_log_at_most(url, log, monkeypatch):
    sent, send = [], httpx.Client.send

    def counted(self, request, **how):
        sent.append(request)
        return send(self, request, **how)

    monkeypatch.setattr(httpx.Client, "send", counted)
    before = log.stat().st_size
    yield
    written = log.read_text()[before:]
    assert written.count("\n") <= len(sent)
    assert "Traceback" not in written
    assert len(written) < 300 * len(sent) + 1


def is_one_sentence(message):
    return message.isprintable() and len(message) < 600  # one names all models


def assert_nothing_is_told(text):
    assert not [secret for secret in SECRET if secret in text], text[:1000]


NESTED = json.loads("[" * 400 + "]" * 400)
ADDRESS = {"path": "http://127.0.0.1:9/x.png", "meta": UPLOADED}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("model", [*FILES, "", "x" * LONG, "T5-TINY", "t5 tiny", {}, [], True, 1e308, NESTED]),
        ("formats", [[name] for name in FILES]),
        ("formats", ["x" * LONG, ["x" * LONG], ["int8"] * 9999 + ["x"], "int8," * 9999, {}, True]),
        (
            "formats",
            [["int8-g0"], ["int8-g9999999999"], ["int99"], ["int8@"], [None], [[]], NESTED],
        ),
        ("formats", [[f"int8-g{size}" for size in range(1, 999)], ["int8+emb+emb"], ["INT8"]]),
        ("prompt", ["x" * LONG, "\u0301" * 5000, None, 0, True, {}, ["x"], NESTED, "\u200a\n"]),
        ("max_tokens", [-1, -(10**400), 10**400, 1e308, "9" * 9999, "٣٣", "1e1", [], {}, None, ""]),
        ("read_as", ["CHAT", "score", "x" * LONG, 7, True, [], {}, ["chat"], NESTED, "\u202echat"]),
        ("temperature", [-1, 5.1, 10**400, -1e308, "9" * 9999, "hot", "nan", True, [], {}, NESTED]),
        ("seed", [-1, 2**31, 10**400, 2.5, "9" * 9999, "1e1", "٣", False, [], {}, NESTED]),
    ],
)
def test_what_is_no_such_thing_is_refused_in_a_sentence_about_its_field(client, field, values):
    for value in values:
        message = refused(client, "/compare", **GOOD | {field: value})
        assert message.startswith(f"{field}: "), value
        assert is_one_sentence(message), message


@pytest.mark.parametrize("field", ["picture", "picture_name"])
def test_no_name_leads_to_a_file_of_the_server(client, field):
    for value in (*FILES, "x" * LONG, {"path": "/etc/passwd"}, [["x"]], 7, True, NESTED):
        message = refused(client, "/compare", **LOOKS | {field: value})
        assert message.startswith("picture: ")
        assert is_one_sentence(message), message


@pytest.mark.parametrize("field", ["model", "formats", "prompt", "picture", "picture_name"])
def test_no_address_is_fetched(client, field):
    message = refused(client, "/compare", **LOOKS | {field: ADDRESS})
    assert message == "a file is sent as an upload; addresses are not fetched"


def test_the_footprint_is_refused_alike(client):
    models = [(model, ["int8"]) for model in (*FILES, "x" * LONG, NESTED)]
    texts = [("t5-tiny", formats) for formats in (FILES, 10**400, "x" * LONG, NESTED)]
    for asked in models + texts:
        message = refused(client, "/footprint", *asked)
        assert message.startswith(("model: ", "formats: "))
        assert is_one_sentence(message), message


def test_ten_megabytes_are_not_even_read(url):
    asked = {"data": ["t5-tiny", ["int8"], "x" * 10_000_000]}
    for path in ("call/compare", "run/compare", "queue/join", "component_server", "cancel"):
        answer = post(url, path, json=asked)
        assert answer.status_code == 413
        assert answer.json()["detail"].startswith("The request is too large; at most 200,000")
        assert "\n" not in answer.text


def of_the_server(file):
    """A file in which Linux tells about the process that has the canary in its environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if CANARY in (folder / "environ").read_text(errors="replace"):
                return folder / file
        except OSError:
            continue
    pytest.skip("no process tells about its memory here")


@contextmanager
def at_most(megabytes, seconds):
    """The server takes no more memory than that meanwhile, at any moment."""
    of_the_server("clear_refs").write_text("5")  # the peak begins anew
    before, start = memory("VmRSS"), time.monotonic()
    yield
    assert time.monotonic() - start < seconds
    assert memory("VmHWM") - before < megabytes


def memory(field):
    return int(of_the_server("status").read_text().partition(f"{field}:")[2].split()[0]) / 1000


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_is_refused_in_a_sentence_and_seconds_and_takes_no_memory(client, tmp_path, name):
    content, says = BOMBS[name]
    assert len(content) < 200_000
    (tmp_path / name).write_bytes(content)
    compared(client, **GOOD, max_tokens=1)
    with at_most(300, seconds=20):
        message = refused(client, "/compare", **LOOKS, picture=handle_file(tmp_path / name))
    assert message.startswith("picture: the uploaded file ")
    assert message.endswith(says)
    assert compared(client, **GOOD, max_tokens=1)[0]["results"]


@pytest.mark.parametrize("name", list(BESIDE))
def test_a_bomb_beside_the_pixels_costs_none_and_takes_no_memory(client, tmp_path, name):
    (tmp_path / name).write_bytes(BESIDE[name])
    compared(client, **LOOKS, picture_name="scene:1", max_tokens=1)
    with at_most(300, seconds=20):
        whole, _ = compared(client, **LOOKS, picture=handle_file(tmp_path / name), max_tokens=1)
    assert whole["input"].startswith("the uploaded file, 8 × 8 pixels")


@pytest.mark.parametrize("prompt", UNSEEN)
def test_a_prompt_of_which_nothing_is_seen_is_empty(client, prompt):
    message = refused(client, "/compare", **GOOD | {"prompt": prompt})
    assert message == "prompt: the prompt is empty; type something, or take an example"


@pytest.mark.parametrize("name", list(ODD_PROMPTS))
def test_a_prompt_of_odd_characters_runs_and_comes_back_as_it_was(client, name):
    prompt = ODD_PROMPTS[name]
    start = time.monotonic()
    whole, _ = compared(client, **GOOD | {"prompt": prompt}, max_tokens=3)
    assert whole["input"] == prompt
    assert time.monotonic() - start < 20


GETS = (
    "", "nothing", "config?page=../..&deep_link=../../etc/passwd", "config", "monitoring", "docs",
    "monitoring/summary", "gradio_api/info?all_endpoints=true", "gradio_api/openapi.json",
    "openapi.json", "gradio_api/heartbeat/x", "gradio_api/startup-events", "gradio_api/token",
    "gradio_api/queue/data?session_hash=x", "gradio_api/queue/data", "gradio_api/queue/status",
    "gradio_api/call/compare/x", "gradio_api/upload_progress?upload_id=x", "gradio_api/dev/reload",
    "gradio_api/custom_component/x/client/y/z", "gradio_api/stream/a/b/c/playlist.m3u8",
    "gradio_api/deep_link?session_hash=x", "gradio_api/vibe-code/", "theme.css", "manifest.json",
    "static/%2e%2e/%2e%2e/routes.py", "assets/..%2f..%2froutes.py", "pwa_icon/9999999", "svelte/x",
    "gradio_api/proxy=http://127.0.0.1/", "gradio_api/file=http://127.0.0.1/", "gradio_api/file=.",
    "gradio_api/file=/etc/passwd", "gradio_api/file=..%2f..%2fetc/passwd", "gradio_api/file=%00",
    "gradio_api/file=pyproject.toml", "gradio_api/file=file:///etc/passwd", "gradio_api/file=~",
    "gradio_api/file=/proc/self/environ", "gradio_api/file=" + "a" * 5000, "logout",
)  # fmt: skip
POSTS = (
    "queue/join", "run/compare", "run/predict", "run/nothing", "api/footprint", "call/compare",
    "call/nothing", "call/v2/compare", "call/v2/nothing", "cancel", "reset", "stream/x",
    "component_server", "vibe-edit/", "run-history/connect", "process_recording", "upload", "login",
)  # fmt: skip
READ = {"path": "/proc/self/environ", "meta": UPLOADED}
GARBAGE = (
    {}, {"data": None}, {"data": "x"}, {"data": []}, {"data": [READ] * 7}, {"data": [NESTED]},
    {"data": [{"path": "/etc/passwd", "meta": None}] * 7}, {"data": [], "fn_index": -1},
    {"data": [None] * 7, "fn_index": 0, "session_hash": "x", "event_data": 7},
    {"data": [], "fn_index": 10**9, "session_hash": "x"}, {"data": [], "fn_index": "x"}, 7, [], "",
)  # fmt: skip


@pytest.mark.parametrize("path", GETS)
def test_no_page_tells_anything_of_the_server(url, path):
    text, asked = "", httpx.stream("GET", f"{url}{path}", timeout=2, **WITHOUT_PROXY)
    with suppress(httpx.TransportError), asked as answer:  # some never end, some break off
        text = str(answer.headers)
        for piece in answer.iter_text():
            text += piece
    assert_nothing_is_told(text)
    assert "root:" not in text
    assert "tool.ruff" not in text


@pytest.mark.parametrize("path", POSTS)
def test_no_answer_to_garbage_tells_anything_of_the_server(url, path):
    for asked in GARBAGE:
        assert_nothing_is_told(post(url, path, json=asked).text)
    for content in (b"\xff\xfe", b"[" * 50_000, b'{"data": [NaN, 1e999, "\\ud800"]}', b""):
        headers = {"content-type": "application/json"}
        assert_nothing_is_told(post(url, path, content=content, headers=headers).text)
    assert_nothing_is_told(post(url, path, data={"data": "x"}).text)


def events(url):
    """The number of each event of the page and the API, and how many inputs it has."""
    config = httpx.get(f"{url}config", **WITHOUT_PROXY).json()
    return {event["id"]: len(event["inputs"]) for event in config["dependencies"]}


@pytest.mark.parametrize("value", [None, "x", -1, READ, {"value": "x"}, [[]], "x" * 9999])
def test_no_event_of_the_page_tells_anything_when_it_is_called_with_garbage(url, value):
    for number, inputs in events(url).items():
        asked = {"data": [value] * inputs, "fn_index": number, "session_hash": "garbage"}
        answer = post(url, "run/x", json=asked | {"event_data": {"row": value, "position": value}})
        assert_nothing_is_told(answer.text)
        assert answer.status_code == 200 or " object " not in answer.text  # so Python speaks
    assert httpx.get(url, **WITHOUT_PROXY).status_code == 200
