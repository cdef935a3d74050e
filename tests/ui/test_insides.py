"""gradio's insides are reached into in one place, which knows the versions it was made for."""

import ast
import importlib.util
import re
from pathlib import Path

import gradio as gr
import pytest
from gradio import mcp, processing_utils, queueing, routes, state_holder
from gradio.data_classes import ImageData
from gradio.server_messages import ProcessCompletedMessage
from gradio.state_holder import SessionState
from gradio_client import utils as client_utils

from qdemo.ui import assistants, dashboard, insides

ROOT = Path(__file__).parents[2]
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
FILES = sorted((ROOT / "qdemo" / "ui").rglob("*.py"))
GRADIO = {"gr", "gradio"}
TARGETS = [
    (processing_utils, "async_ssrf_protected_download"),
    (SessionState, "_update_value_in_config"),
    (SessionState, "_update_config"),
    (state_holder, "SessionState"),
    (queueing, "traceback"),
    (routes, "traceback"),
    (mcp.GradioMCPServer, "get_tool_to_endpoint"),
]
"""What a guard stands in the place of."""


def is_inside(module):
    return module.startswith(("gradio.", "starlette._"))


def reached(source):
    """What a file takes that gradio and starlette do not offer."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_inside(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module in (*GRADIO, "starlette"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and is_inside(node.module):
            yield node.module
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            owner = node.value
            while isinstance(owner, ast.Attribute):
                owner = owner.value
            if isinstance(owner, ast.Name) and owner.id in GRADIO:
                yield ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_gradio_s_insides_are_reached_in_one_place(path):
    found = list(reached(path.read_text()))
    assert (found != []) == (path.name == "insides.py"), found


@pytest.mark.parametrize(
    "source",
    ["import gradio.utils", "from gradio import routes", "from gradio.utils import x",
     "from starlette._utils import x", "gr._x", "gr.Blocks._x()"],
)  # fmt: skip
def test_reaching_in_is_seen(source):
    assert len(list(reached(source))) == 1
    harmless = "import gradio as gr\nfrom starlette.responses import x\ngr.Blocks.x\nself._gr._x"
    assert list(reached(harmless)) == []


def test_it_is_made_for_the_versions_that_are_asked_for():
    pinned = dict(re.findall(r"^(gradio|starlette)==(.+)$", REQUIREMENTS, re.MULTILINE))
    assert pinned == insides.MADE_FOR


def test_with_those_versions_there_is_nothing_to_say(caplog):
    insides.check()
    assert caplog.records == []


def test_with_other_versions_it_starts_and_says_so_in_one_line(monkeypatch, caplog):
    monkeypatch.setattr(insides, "version", {"gradio": "7.0", "starlette": "1.10.0"}.get)
    assert dashboard.launch_settings(gr.Blocks())["show_error"] is False
    (record,) = caplog.records
    line = record.getMessage()
    assert "made for gradio 6.31.0 and starlette 1.10.0, found gradio 7.0 and starlette" in line
    assert "\n" not in line


@pytest.fixture
def _as_it_was(monkeypatch):
    """What guards have replaced is back afterwards."""
    for owner, name in TARGETS:
        monkeypatch.setattr(owner, name, getattr(owner, name))


@pytest.mark.parametrize(("owner", "name"), TARGETS)
@pytest.mark.usefixtures("_as_it_was")
def test_it_does_not_start_where_a_guard_would_be_off(monkeypatch, owner, name):
    monkeypatch.delattr(owner, name)
    says = rf"{owner.__name__} has no '{name}' any more\. qdemo needs it and was made for gradio "
    with pytest.raises(RuntimeError, match=says):
        dashboard.launch_settings(gr.Blocks())


def test_nor_where_a_part_is_gone_that_it_is_made_of(monkeypatch):
    monkeypatch.delattr(state_holder, "SessionState")
    spec = importlib.util.spec_from_file_location("insides_again", insides.__file__)
    with pytest.raises(RuntimeError, match=r"import name 'SessionState'.*made for gradio 6\.31\.0"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.usefixtures("_as_it_was")
def test_gradio_keeps_no_visitor_s_inputs_and_outputs(monkeypatch):
    for name in ("_update_value_in_config", "_update_config"):
        monkeypatch.setattr(SessionState, name, lambda *_: 1 / 0)
    insides.remember_nothing()
    with gr.Blocks() as blocks:
        box = gr.Textbox("first")
    held = state_holder.StateHolder()
    held.set_blocks(blocks)
    state = held["a visitor"]
    state._update_value_in_config(box._id, "what a visitor wrote")
    state._update_config(box._id)
    assert state.config_values == {}
    assert state[box._id] is box


def test_gradio_looks_less_often_for_what_there_is_to_do():
    with gr.Blocks() as blocks:
        pass
    before = {name: getattr(blocks._queue, name) for name in insides._LOOKS_S}
    insides.look_less(blocks)
    for name, seconds in before.items():
        assert getattr(blocks._queue, name) > seconds
    del blocks._queue.sleep_when_free
    with pytest.raises(RuntimeError, match=r"Queue has no 'sleep_when_free' any more"):
        insides.look_less(blocks)


def test_a_document_is_sent_as_any_json_is():
    """And gradio looks at none of its numbers."""
    written = {"a": [1, 2.5, None, "ü", {"b": [True]}], "c": {}}
    output, plain = insides.DocumentOutput(render=False), gr.JSON(render=False)
    document = output.postprocess(insides.Document(written))
    looked_at = []
    client_utils.traverse([document], None, looked_at.append)
    assert looked_at == [[document], document]
    sent = [
        ProcessCompletedMessage(output={"data": [value]}, success=True).model_dump()["output"]
        for value in (document, plain.postprocess(written).model_dump())
    ]
    assert sent[0] == sent[1] == {"data": [written]}
    assert output.postprocess(written).model_dump() == written


@pytest.mark.usefixtures("_as_it_was")
def test_assistants_are_offered_these_tools_alone():
    insides.offer(assistants.TOOLS)
    server = type("Server", (mcp.GradioMCPServer,), {"__init__": lambda self: None})()
    server.tool_prefix = "qdemo_"
    wanted = {f"qdemo_{name}": endpoint for name, endpoint in assistants.TOOLS.items()}
    assert server.get_tool_to_endpoint() == wanted


def test_a_picture_is_the_file_that_was_uploaded():
    made = insides.PictureInput(None)
    assert made.preprocess(None) is None
    came = {"path": "a.png", "orig_name": "b.png"}
    assert made.preprocess(ImageData(**came)).items() >= came.items()
    assert made.get_block_name() == "image"


def test_all_pictures_have_one_list_of_files():
    first, second = insides.PictureInput(None), insides.PictureInput(None)
    assert first.temp_files is second.temp_files
