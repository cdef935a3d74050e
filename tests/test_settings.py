import pytest

from qdemo.settings import Settings
from qdemo.spec.request import DEVICES


def test_an_empty_environment_has_the_defaults():
    assert Settings.read({}) == Settings()


def test_each_variable_is_read():
    environment = {
        "QDEMO_MODELS": "google/flan-t5-xl",
        "QDEMO_MOST_PARAMETERS": "5",
        "QDEMO_DEADLINE_S": " 60 ",
        "QDEMO_METHOD_S": "30",
        "QDEMO_MOST_ITEMS": "40",
        "QDEMO_EVALUATE_S": "50",
        "QDEMO_MODEL_CACHE_MB": "0",
        "QDEMO_RESULT_CACHE_MB": "7",
        "QDEMO_DEVICE": "cpu\n",
    }
    wanted = Settings("google/flan-t5-xl", 5, 60, 30, 40, 50, 0, 7_000_000, "cpu")
    assert Settings.read(environment) == wanted


@pytest.mark.parametrize("text", ["", "ten", "-1", "1.5", "1e3", "٣"])
def test_what_is_no_whole_number_is_named(text):
    with pytest.raises(ValueError, match=r"QDEMO_DEADLINE_S is '.*', expected a whole number"):
        Settings.read({"QDEMO_DEADLINE_S": text})


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_is_one_of_a_few(name):
    assert Settings.read({"QDEMO_DEVICE": name}).device == name


def test_no_device_is_the_usual_one():
    assert Settings.read({"QDEMO_DEVICE": " "}).device == "auto"


@pytest.mark.parametrize("text", ["gpu", "CUDA", "cuda:0", "tpu" * 99])
def test_what_is_no_device_is_named(text):
    said = r"QDEMO_DEVICE is '.{0,40}', expected one of auto, cpu, cuda, mps$"
    with pytest.raises(ValueError, match=said):
        Settings.read({"QDEMO_DEVICE": text})


def test_who_may_frame_a_page_is_a_list_of_origins():
    for text in ("https://a.org http://b.org:8000", "https://a.org,  http://b.org:8000\n"):
        found = Settings.read({"QDEMO_FRAME_ANCESTORS": text}).frame_ancestors
        assert found == ("https://a.org", "http://b.org:8000")
    assert Settings.read({"QDEMO_FRAME_ANCESTORS": " "}).frame_ancestors == ()
    assert Settings.read({"QDEMO_FRAME_ANCESTORS": "*"}).frame_ancestors == ("*",)


@pytest.mark.parametrize(
    "text",
    [
        "a.org", "https://a.org/path", "https://a.org; script-src *", "javascript:x", "'none'",
        "https://a.org\r\nset-cookie:x", "https://", "https://a.org:port", "https://a b",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_named_and_reaches_no_header(text):
    with pytest.raises(ValueError, match=r"QDEMO_FRAME_ANCESTORS has .*, expected an origin such"):
        Settings.read({"QDEMO_FRAME_ANCESTORS": text})


def test_a_space_and_tracebacks_are_known_by_their_variables():
    assert Settings.read({"SPACE_ID": "user/qdemo"}).in_space
    assert not Settings.read({"SPACE_ID": ""}).in_space
    assert Settings.read({"QDEMO_TRACEBACKS": "1"}).tracebacks
    assert not Settings.read({"QDEMO_TRACEBACKS": "0"}).tracebacks


@pytest.mark.parametrize(
    ("environment", "hub"),
    [
        ({}, "any"),
        ({"GRADIO_SERVER_NAME": "127.0.0.1"}, "any"),
        ({"GRADIO_SERVER_NAME": " localhost "}, "any"),
        ({"GRADIO_SERVER_NAME": "::1", "GRADIO_SHARE": "False"}, "any"),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, "listed"),
        ({"GRADIO_SERVER_NAME": "192.168.1.5"}, "listed"),
        ({"GRADIO_SHARE": "True"}, "listed"),
        ({"GRADIO_ROOT_PATH": "/qdemo"}, "listed"),
        ({"SPACE_ID": "user/qdemo"}, "listed"),
        ({"SPACE_ID": "user/qdemo", "QDEMO_HUB": "any"}, "any"),
        ({"QDEMO_HUB": "listed"}, "listed"),
        ({"QDEMO_HUB": " "}, "any"),
    ],
)
def test_any_model_may_be_asked_for_where_nobody_else_asks(environment, hub):
    assert Settings.read(environment).hub == hub


def test_what_is_no_choice_of_models_is_named():
    with pytest.raises(ValueError, match="QDEMO_HUB is 'all', expected one of any, listed"):
        Settings.read({"QDEMO_HUB": "all"})
