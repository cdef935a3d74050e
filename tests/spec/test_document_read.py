"""A report is read as it was written, of any schema; what is none is refused in a sentence."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo.measure import FIGURES
from qdemo.spec.cache import Cache, Layers
from qdemo.spec.decoding import READ_AS, Decoding
from qdemo.spec.document import SCHEMA, as_json, as_text, from_json, from_text
from qdemo.spec.footprint import KINDS, WHY, Coverage, Footprint, Left, SplitTie
from qdemo.spec.report import (
    WHOLE_MODEL,
    Ended,
    Histogram,
    Overflow,
    Parameter,
    Report,
    Span,
    Trial,
)
from qdemo.spec.setting import InputToken, Machine
from qdemo.views.files import as_csv, as_page
from tests.parrot import compared, scored
from tests.views.documents import Hostile, overflowing, without_reference

FIXTURES = Path(__file__).parents[1] / "fixtures"
CACHE = Cache.of((Layers(2, numbers=10, most=7), Layers(1, fixed=5, wide=3)), None)
REAL = {
    "several": lambda: compared(["bf16", "int8", "int8-g9", "int2+emb", "int4-g12@fp16"]),
    "alone": lambda: compared([]),
    "one token": lambda: compared(["bf16"], max_tokens=1),
    "overflow": overflowing,
    "failed": without_reference,
    "hostile": lambda: compared(["bf16", "int2", "int8-g9"], Hostile()),
    "stopped": lambda: replace(
        compared(["bf16"]), formats=("fp32", "bf16", "int8"), stopped=(Ended("int8", "by you"),)
    ),
    "scored": lambda: scored(["bf16", "int8"]),
    "drawn": lambda: compared(["bf16"], decoding=Decoding("text", 0.7, 3)),
    "kept": lambda: replace(compared(["bf16"]), kept=("fp32", "bf16")),
    "cached": lambda: replace(compared(["bf16"]), cache=CACHE),
}


@pytest.mark.parametrize("make", REAL.values(), ids=REAL)
def test_a_report_is_the_same_after_json_and_back(make):
    report = make()
    assert from_json(as_json(report)) == report
    assert from_text(as_text(report)) == report
    assert from_text(as_text(report).encode()) == report


counts = st.integers(0, 2**53)
numbers = st.none() | counts | st.floats(allow_nan=False, allow_infinity=False)
sizes = st.integers(1, 2**53)
names = st.text(max_size=9)
texts = st.text(max_size=30)


def some(strategy, most=3):
    """A short tuple."""
    return st.lists(strategy, max_size=most).map(tuple)


def tuples(strategy, count):
    return st.tuples(*[strategy] * count)


histograms = st.builds(Histogram, st.floats(-9, 9), st.floats(1e-9, 9), some(counts, 9))
figures = st.fixed_dictionaries({figure.key: numbers for figure in FIGURES})
of_weights = st.fixed_dictionaries(
    {"sqnr_db": numbers, "rms_steps": numbers, "overflowed": numbers, "rms": numbers}
)
parameters = st.builds(
    Parameter, st.none() | some(counts), counts, counts, of_weights, histograms, histograms
)
footprints = st.builds(
    Footprint,
    sizes,
    st.fixed_dictionaries(dict.fromkeys(KINDS, counts)),
    st.dictionaries(names, counts, max_size=3),
    some(st.builds(SplitTie, names, names, counts)),
)
lefts = st.builds(Left, names, st.sampled_from([*WHY]), counts, counts, names)
coverages = st.none() | st.builds(
    lambda reached, more, left, size: Coverage(reached + more + 1, reached, left, size),
    counts,
    counts,
    some(lefts),
    counts,
)
overflows = st.none() | st.builds(Overflow, names, counts, counts, counts, st.none() | names)
spans = st.none() | st.builds(Span, st.floats(0, 1e30), names, overflows)


def trials(format, positions):
    """A result of a format, where the reference has so many tokens."""
    is_reference = format == "fp32"
    length = positions if is_reference else positions + 1
    top = tuples(st.tuples(names, st.none() | st.floats(0, 1)), 2)
    values = tuples(st.none() | st.floats(0, 9), positions)
    by_position = {} if is_reference else {"kl_by_position": values}
    by_position["loss_by_position"] = values  # which a text that is scored has of fp32, too
    return st.builds(
        Trial,
        st.just(format),
        texts,
        tuples(counts, length),
        tuples(names, length),
        footprints,
        tuples(top, positions),
        figures,
        st.fixed_dictionaries(by_position),
        st.just({}) if is_reference else st.fixed_dictionaries({WHOLE_MODEL: parameters}),
        coverages,
        spans,
        names,
        names,
        some(names),
        st.sampled_from(["", "end", "length", "repetition", "given"]),
    )


decodings = st.builds(
    Decoding, st.sampled_from(["chat", "text"]), st.floats(0.01, 5), st.integers(0, 2**31 - 1)
) | st.builds(Decoding, st.sampled_from(READ_AS))


@st.composite
def reports(draw):
    """Whatever could come of a comparison, and more."""
    formats = ("fp32", *draw(st.lists(st.sampled_from(["bf16", "int8+emb", "int4-g64@fp16"]),
                                      unique=True)))  # fmt: skip
    through = draw(st.integers(0, len(formats)))
    positions = draw(st.integers(1, 3))
    ended = tuple(Ended(name, draw(texts)) for name in formats[through:])
    return Report(
        model=draw(names),
        input=draw(texts),
        max_tokens=draw(counts),
        formats=formats,
        figures=FIGURES,
        read=draw(some(st.builds(InputToken, names, st.none() | names,
                                 st.sampled_from(["", "unknown", "special"])))),
        kept_wide=draw(some(names)),
        results=tuple(draw(trials(name, positions)) for name in formats[:through]),
        failures=ended[1:],
        stopped=ended[:1],
        kept=formats[: min(1, through)],
        machine=draw(st.builds(Machine, names, counts, names, names, names, names)),
        computed=draw(names),
        finished=True,
        decoding=draw(decodings),
    )  # fmt: skip


@settings(max_examples=100)
@given(reports())
def test_any_report_is_the_same_after_json_and_back(report):
    assert from_text(as_text(report)) == report


OLD = {schema: (FIXTURES / f"report-{schema}.json").read_text() for schema in (1, 2)}


@pytest.mark.parametrize("schema", OLD)
def test_what_was_written_since_the_first_schema_is_read(schema):
    before = json.loads(OLD[schema])
    report = from_text(OLD[schema], FIGURES)
    assert (before["schema"], report.model) == (schema, "t5-tiny")
    assert report.formats == ("fp32", "int8", "int3")
    assert (report.finished, report.computed) == (True, before["computed"])
    assert report.machine.torch == before["machine"]["torch"]
    for trial, row in zip(report.results, before["results"], strict=True):
        assert trial.output == row["output"]
        assert trial.tokens == tuple(row["tokens"])
        assert trial.footprint.total == row["bytes"] == trial.figures["bytes"]
        quantized, *_ = row["footprint"]["by_kind"].values()
        assert trial.footprint.by_kind["quantized weights"] == quantized
        for key in ("logit_kl_mean", "weight_sqnr_db", "token_ms"):
            assert trial.figures[key] == row[key]
        assert trial.by_position.get("kl_by_position") == (
            row["kl_by_position"] and tuple(row["kl_by_position"])
        )
        for name, error in (row["weights"] or {}).items():
            assert trial.weights[name].figures["sqnr_db"] == error["sqnr_db"]
            assert trial.weights[name].histogram.counts == tuple(error["histogram"]["counts"])
    first = [trial.figures["first_divergent_token"] for trial in report.variants]
    from_one = [row["first_divergent_token"] for row in before["results"][1:]]
    assert first == [None if at is None else at + (schema == 1) for at in from_one]
    assert any(first)


@pytest.mark.parametrize("schema", OLD)
def test_what_is_old_is_shown_and_written_as_new(schema):
    report = from_text(OLD[schema], FIGURES)
    assert "t5-tiny" in as_page(report)
    assert as_csv(report).count("\n") == 4
    document = as_json(report)
    assert document["schema"] == SCHEMA
    assert from_json(document) == report
    keys = {figure["key"] for figure in document["figures"]}
    assert "logit_kl_mean" in keys
    assert "output_error" not in keys  # which nobody had measured


GOOD = as_json(compared(["bf16", "int8"]))


def without(*path):
    """The document without what stands there."""
    found = json.loads(json.dumps(GOOD))
    *outer, last = path
    place = found
    for key in outer:
        place = place[key]
    del place[last]
    return found


def changed(*path, to):
    """The document with something else there."""
    found = json.loads(json.dumps(GOOD))
    *outer, last = path
    place = found
    for key in outer:
        place = place[key]
    place[last] = to
    return found


def emptied(result):
    """A result of no tokens at all."""
    gone = {key: [] for key in result if key.endswith("_by_position")}
    return result | gone | {"tokens": [], "pieces": [], "top": []}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (None, "expected a report, with a schema; this is none"),
        ([], "expected a report, with a schema; this is none"),
        ({}, "expected a report, with a schema; this is none"),
        ("a report", "expected a report, with a schema; this is none"),
        ({"schema": "3"}, "expected a report, with a schema; this is none"),
        ({"schema": 4}, "a report of schema 4; this version reads 1 to 3"),
        ({"schema": 0}, "a report of schema 0; this version reads 1 to 3"),
        ({"schema": True}, "expected a report, with a schema; this is none"),
        ({"schema": 3}, "the report is not whole: there is no 'results'"),
        ({"schema": 1}, "the report is not whole: there is no 'results'"),
        ({"schema": 2, "results": [None]}, "the report is not whole: "),
        (without("model"), "the report is not whole: model: "),
        (without("formats"), "the report is not whole: formats: "),
        (without("results"), "the report is not whole: there is no 'results'"),
        (without("results", 0, "footprint"), "the report is not whole: results.0.footprint: "),
        (without("results", 1, "weights"), "the report is not whole: there is no 'weights'"),
        (without("results", 1, "kl_by_position"), "the report is not whole: bf16 has not as much "),
        (without("results", 1, "footprint", "by_kind", "buffers"),
         "the report is not whole: bf16 has a footprint that leaves something out"),
        (without("results", 2, "weights", WHOLE_MODEL, "sqnr_db"),
         "the report is not whole: int8 has no sqnr_db of the whole model"),
        (changed("results", 1, "logit_kl_mean", to="5"), "the report is not whole: results.1.fig"),
        (changed("results", 1, "tokens", 0, to="5"), "the report is not whole: results.1.tokens.0"),
        (changed("results", 1, "tokens", 0, to=5.5), "the report is not whole: results.1.tokens.0"),
        (changed("read_as", to="score"), "the report is not whole: fp32 has not as much as there "),
        (changed("results", to=[emptied(one) for one in GOOD["results"]]),
         "the report is not whole: fp32 has not as much as there are tokens"),
        (changed("results", 1, "top", 0, to=[]), "the report is not whole: bf16 has not as much"),
        (changed("results", 1, "footprint", "total", to=0), "the report is not whole: bf16 has a "),
        (changed("results", 1, "footprint", "total", to=True), "the report is not whole: results."),
        (changed("results", 1, "format", to="int9"), "the report is not whole: results, failures "),
        (changed("results", 1, "format", to="int8"), "the report is not whole: results, failures "),
        (changed("results", to={}), "the report is not whole: results: expected a list"),
        (changed("results", to=7), "the report is not whole: "),
        (changed("results", to=GOOD["results"][1:]), "the report is not whole: fp32 is not the fi"),
        (changed("cache", to={"layers": [], "longest": 5, "context": 6}),
         "the report is not whole: cache: "),
        (changed("cache", to={"layers": [{"count": -1}], "longest": None, "context": 1}),
         "the report is not whole: cache: "),
        (changed("formats", to=[]), "the report is not whole: results, failures and stopped are "),
        (changed("formats", 1, to="int9"), "the report is not whole: unknown format 'int9'"),
        (changed("formats", 1, to="int8"), "the report is not whole: results, failures and stop"),
        (changed("read_as", to="loud"), "the report is not whole: read_as is 'loud', expected"),
        (changed("temperature", to=-1), "the report is not whole: temperature is -1.0, expected "),
        (changed("results", 1, "ended", to="well"), "the report is not whole: results.1.ended: "),
        (changed("kept", to=["int2"]), "the report is not whole: something was kept that is no "),
        (changed("input", to=7), "the report is not whole: input: "),
        (changed("computed", to=float("nan")), "the report is not whole: "),
        (changed("results", 1, "weight_rms", to=float("inf")), "the report is not whole: "),
        (changed("figures", 0, "form", to="odd"), "the report is not whole: figures.0.form: "),
        (changed("figures", 0, "key", to=[]), "the report is not whole: "),
        (changed("read", to=[{"piece": "\x1b[2J", "kind": "\x1b[2J"}]), "the report is not whole"),
        (changed("results", 1, "weights", to={"\x1b[2J": 7}), "the report is not whole: "),
        (changed("results", 2, "coverage", "parameters", to=0),
         "the report is not whole: int8 has a coverage that can't be"),
        (changed("results", 2, "weights", WHOLE_MODEL, "histogram", "bin_width", to=0),
         "the report is not whole: int8 has bins without a width"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused_in_a_sentence(wrong, says):
    with pytest.raises(ValueError, match="report") as caught:
        from_json(wrong)
    assert str(caught.value).startswith(says)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_the_report_that_was_changed_is_good():
    assert as_json(from_json(GOOD)) == GOOD


DEEP = 100_000


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", "schema: 3", b"\xff\xfe\x00", "[" * DEEP, '{"schema": 3, "a": ' * DEEP,
     '{"schema": 3, "figures": [], "results": ' + "[" * DEEP + "]" * DEEP + "}", "1" * 5000,
     '{"schema": ' + "9" * 5000 + "}"],
    ids=range(11),
)  # fmt: skip
def test_a_text_that_is_no_report_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError, match="expected a report") as caught:
        from_text(text)
    assert str(caught.value).isprintable()


def test_a_document_that_is_deep_is_refused():
    deep = []
    for _ in range(DEEP):
        deep = [deep]
    for wrong in (changed("results", to=deep), changed("read", to=deep)):
        with pytest.raises(ValueError, match="the report is not whole"):
            from_json(wrong)
    while deep:  # else Python takes it apart all at once
        deep = deep.pop()


def read(document):
    """The report, and what is wrong where it is none."""
    try:
        return from_json(document), ""
    except ValueError as error:
        return None, str(error)


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
       st.sampled_from([*GOOD, "anything"]))  # fmt: skip
def test_whatever_stands_there_is_read_or_refused(value, key):
    report, error = read({**GOOD, key: value})
    assert error.isprintable()
    assert report is None or as_page(report)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e400", "-1e999"])
@pytest.mark.parametrize("key", ["bytes", "token_ms"])
def test_a_number_that_nothing_can_have_is_refused(key, number):
    text = json.dumps(changed("results", 1, key, to=123454321)).replace("123454321", number)
    with pytest.raises(ValueError, match="expected a report as JSON; this is none"):
        from_text(text)
