import json

import pytest

from qdemo.lab import course
from qdemo.lab.course import FILE, Figure, figures

PRINTED = json.loads(FILE.read_text(encoding="utf-8"))
OURS = {
    "formats": (course.FORMATS,),
    "casting": (course.CASTING, course.BLIP),
    "linear": (course.LINEAR, course.FLAN),
}
DIFFERENT = {
    "torch.dot(x, x) of 1,000 random numbers, fp32 and bf16",
    "fp16 on the CPU",
    "bf16 against fp32, mean difference",
    "FLAN-T5-small in int8, GB",
}


@pytest.fixture(scope="module", params=OURS)
def page(request):
    return request.param


@pytest.fixture(scope="module")
def shown(page):
    return [figure for ours in OURS[page] for figure in figures(page, ours)]


def test_every_page_is_known():
    assert set(PRINTED) == set(OURS)


def test_every_figure_has_exactly_one_of_ours(page):
    wanted = sorted(line["what"] for line in PRINTED[page])
    assert sorted(what for ours in OURS[page] for what in ours) == wanted
    assert len(set(wanted)) == len(wanted)


def test_the_figures_come_as_the_course_prints_them(page, shown):
    assert [figure.what for figure in shown] == [line["what"] for line in PRINTED[page]]
    assert [figure.course for figure in shown] == [line["course"] for line in PRINTED[page]]
    assert [figure.note for figure in shown] == [line.get("note", "") for line in PRINTED[page]]


def test_each_figure_is_the_course_s_or_has_a_note(shown):
    for figure in shown:
        if figure.what in DIFFERENT:
            assert figure.ours != figure.course
            assert figure.note.endswith(".")
        else:
            assert figure.ours == figure.course


def test_a_difference_in_the_eighth_decimal_is_no_more_than_that():
    what = "bf16 against fp32, mean difference"
    ours = course.CASTING[what]()
    assert float(ours) == pytest.approx(0.0009978711605072021, abs=5e-8)


def test_only_what_is_asked_for_is_computed():
    ours = {"[0, 1, 2, 3] at 2 bits": lambda: "mine", "not printed": lambda: 1 / 0}
    printed = PRINTED["linear"][0]["course"]
    assert figures("linear", ours) == [Figure("[0, 1, 2, 3] at 2 bits", printed, "mine", "")]
