import pytest

from qdemo.settings import Settings


def test_an_empty_environment_has_the_defaults():
    assert Settings.read({}) == Settings()


def test_each_variable_is_read():
    environment = {
        "QDEMO_MODELS": "google/flan-t5-xl",
        "QDEMO_MOST_PARAMETERS": "5",
        "QDEMO_DEADLINE_S": " 60 ",
        "QDEMO_MODEL_CACHE_MB": "0",
        "QDEMO_RESULT_CACHE_MB": "7",
    }
    assert Settings.read(environment) == Settings("google/flan-t5-xl", 5, 60, 0, 7_000_000)


@pytest.mark.parametrize("text", ["", "ten", "-1", "1.5", "1e3", "٣"])
def test_what_is_no_whole_number_is_named(text):
    with pytest.raises(ValueError, match=r"QDEMO_DEADLINE_S is '.*', expected a whole number"):
        Settings.read({"QDEMO_DEADLINE_S": text})
