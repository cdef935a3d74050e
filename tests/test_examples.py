"""What is shown before anyone has asked is what comes out when it is asked for now."""

import json

import pytest

from assets.examples import stories
from qdemo.engine.first import libraries
from qdemo.spec.document import as_json
from qdemo.ui import held
from qdemo.views.stories import FILE, QUESTIONS

TIMES = ("_ms",)


@pytest.fixture(scope="module")
def now():
    return stories.compute()


@pytest.fixture(scope="module")
def before():
    return json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "part",
    ["answers", "outlier", "matrix", "overflow", "accuracy", "items", "captions", "pictures"],
)
def test_the_stories_come_out_as_they_are_told(now, before, part):
    assert now[part] == before[part]


def test_the_file_has_nothing_else(now, before):
    assert now.keys() == before.keys()
    assert before["computed"]
    assert before["processor"]
    assert before["picture"].startswith("data:image/webp;base64,")


def test_the_example_is_the_first_story():
    libraries()
    example, again = held.example(), stories.report(QUESTIONS["agree"])
    assert (example.model, example.input) == (again.model, again.input)
    for one, other in zip(example.results, again.results, strict=True):
        assert (one.format, one.output, one.tokens) == (other.format, other.output, other.tokens)
        assert one.footprint == other.footprint
        known = {key for key, value in one.figures.items() if value is not None}
        assert known == {key for key, value in other.figures.items() if value is not None}
        for key in known - {key for key in known if key.endswith(TIMES)}:
            assert other.figures[key] == pytest.approx(one.figures[key], rel=1e-2, abs=1e-9), key
    assert set(as_json(example)) == set(as_json(again))
