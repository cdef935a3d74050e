"""What measures there are, and that one more is shown everywhere, and named nowhere else."""

from dataclasses import fields

import pytest

import qdemo.measure
from qdemo.__main__ import main
from qdemo.engine import comparing
from qdemo.measure import FIGURES, MEASURES, figures, measures
from qdemo.measure.measure import Found, Measure, Ran, found, joined
from qdemo.spec.document import as_json, as_text, from_text
from qdemo.spec.figure import Figure
from qdemo.spec.report import WHOLE_MODEL, Parameter, Report, Trial
from qdemo.views import files, tables
from qdemo.views.cards import cards
from tests.parrot import compared, scored
from tests.views.documents import Page

FORMATS = ("bf16", "int8", "int2+emb", "int4-g12@fp16")
KEYS = [figure.key for figure in FIGURES]


def test_every_figure_has_its_own_key_which_nothing_else_has():
    assert len(set(KEYS)) == len(KEYS)
    others = {field.name for of in (Trial, Parameter, Report) for field in fields(of)}
    assert not others & set(KEYS)
    assert not [key for key in KEYS if key.endswith("_by_position")]


@pytest.mark.parametrize("place", ["card", "summary", "logits", "weights"])
def test_no_two_figures_stand_under_one_head(place):
    heads = [head for figure in FIGURES if (head := figure.head(place))]
    assert heads
    assert len(set(heads)) == len(heads)


def test_every_figure_says_what_it_is():
    for figure in FIGURES:
        assert figure.label
        assert figure.definition.endswith(".")
        assert {figure.low, figure.high, figure.zero} - {""} <= set(KEYS)


def test_only_what_is_measured_alone_is_a_figure_of_fp32():
    for measure in MEASURES:
        assert measure.alone or not any(figure.alone for figure in measure.figures)
    for make, is_scored in ((compared, False), (scored, True)):
        fp32 = make(FORMATS).results[0]
        alone = [figure.key for figure in figures(is_scored) if figure.alone]
        assert [key for key, value in fp32.figures.items() if value is not None] == alone


def test_what_says_nothing_of_an_answer_or_of_a_text_has_no_column_there():
    of_answer, of_text = ({one.key for one in figures(is_scored)} for is_scored in (False, True))
    assert {"token_ms", "first_divergent_token"} <= of_answer - of_text
    assert {"loss_mean", "perplexity", "perplexity_ratio"} <= of_text - of_answer
    assert {"bytes", "logit_kl_mean", "output_error"} <= of_answer & of_text
    assert of_answer | of_text == set(KEYS)
    for make, keys in ((compared, of_answer), (scored, of_text)):
        report = make(FORMATS)
        assert {figure.key for figure in report.figures} == keys
        assert all(set(trial.figures) == keys for trial in report.results)
        for table in (tables.summary(report), tables.logits(report)):
            assert all(set(column) != {"–"} for column in zip(*table.rows, strict=True))


def test_every_measure_finds_the_figures_that_it_declares(monkeypatch):
    seen = []

    def watched(measures, ran):
        for one in measures:
            if one.alone or ran.reference is not None:
                seen.append((one, one.of(ran)))
        return found(measures, ran)

    monkeypatch.setattr(comparing, "found", watched)
    compared(FORMATS)
    assert {id(measure) for measure, _ in seen} == set(map(id, measures(is_scored=False)))
    of_text = scored(FORMATS)
    assert {id(measure) for measure, _ in seen} == set(map(id, MEASURES))
    for measure, one in seen:
        declared = {figure.key for figure in measure.figures}
        assert set(one.figures) <= declared
        for values in one.of_parameters.values():
            assert {f"weight_{key}" for key in values} | set(values) & declared
    for trial in of_text.results:
        assert list(trial.figures) == [figure.key for figure in figures(is_scored=True)]


def test_what_several_find_is_joined():
    parameter = compared(["int8"]).results[1].weights["1.weight"]
    both = joined(
        [
            Found({"a": 1}, {"x": (1.0,)}, {"w": parameter}, {"w": {"c": 3}}),
            Found({"b": None}, {"y": (None,)}, of_parameters={"w": {"d": 4}, "other": {"c": 1}}),
        ]
    )
    assert (both.figures, both.by_position) == ({"a": 1, "b": None}, {"x": (1.0,), "y": (None,)})
    assert both.weights == {
        "w": Parameter(
            parameter.shape, parameter.numel, parameter.exact,
            {**parameter.figures, "c": 3, "d": 4},
            parameter.log_histogram, parameter.histogram,
        )
    }  # fmt: skip


def _longest(ran: Ran) -> Found:
    answer = {"answer_length": len(ran.tokens)}
    return Found(answer, of_parameters={"1.weight": answer, WHOLE_MODEL: {"answer_length": 77}})


LENGTH = Measure(
    figures=(
        Figure(
            "answer_length", "length of the answer", "Tokens that it has.", unit="tokens",
            heads=(("card", "length"), ("summary", "long"), ("logits", "of"), ("weights", "its")),
        ),
    ),
    of=_longest,
)  # fmt: skip


@pytest.fixture
def report(monkeypatch):
    """Of a comparison that measures one thing more."""
    monkeypatch.setattr(qdemo.measure, "MEASURES", (*MEASURES, LENGTH))
    return compared(FORMATS)


def rows(table):
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def test_a_further_measure_is_on_the_cards(report):
    for card in cards(report)[1:]:
        assert ("answer_length", "length", "5.00 tokens") in card.figures
    of_fp32 = [key for key, *_ in cards(report)[0].figures]
    assert "answer_length" not in of_fp32  # which has nothing to be compared with


def test_a_further_measure_is_in_the_tables(report):
    assert [row["long, tokens"] for row in rows(tables.summary(report))] == ["–", *["5.00"] * 4]
    assert [row["of, tokens"] for row in rows(tables.logits(report))] == ["5.00"] * 4
    of_weights = [rows(tables.weights(report, name)) for name in ("1.weight", WHOLE_MODEL)]
    assert [table[0]["its, tokens"] for table in of_weights] == ["5.00", "77.0"]


def test_a_further_measure_is_in_the_files(report):
    head, fp32, bf16, *_ = (line.split(",") for line in files.as_csv(report).splitlines())
    column = head.index('"answer_length"')
    assert (fp32[column], float(bf16[column])) == ('""', 5)
    document = as_json(report)
    assert document["figures"][-1]["definition"] == "Tokens that it has."
    assert [row["answer_length"] for row in document["results"]] == [None, *[5] * 4]
    assert document["results"][1]["weights"]["1.weight"]["answer_length"] == 5
    page = Page(files.as_page(report))
    assert "5.00 tokens" in page.text
    assert "length" in page.text
    assert "long," in page.text


def test_a_further_measure_is_read_where_nobody_knows_it(report, monkeypatch, tmp_path, capsys):
    (tmp_path / "report.json").write_text(as_text(report), encoding="utf-8")
    monkeypatch.undo()
    assert from_text(as_text(report)) == report
    assert main(["show", str(tmp_path / "report.json")]) == 0
    assert "long, tokens" in capsys.readouterr().out
