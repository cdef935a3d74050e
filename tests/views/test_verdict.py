import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from qdemo.spec.footprint import Footprint
from qdemo.spec.model_card import card_of
from qdemo.spec.report import Ended, Overflow, Report, Span, Trial
from qdemo.views.verdict import headline, kept_note, more, verdict
from tests.views.documents import compared, without_reference


def result(format, size, divergence=None, with_embeddings=None):
    figures = {"first_divergent_token": divergence, "bytes_with_embeddings": with_embeddings}
    return Trial(format, "", (), (), Footprint(size, {}, {}), figures=figures)


def said(*others, failed=(), stopped=()):
    results = (result("fp32", 8_000_000), *others)
    failures, ended = (
        tuple(Ended(format, "too large") for format in formats) for formats in (failed, stopped)
    )
    return verdict(reported(results=results, failures=failures, stopped=ended))


def reported(**ended):
    return Report("parrot", "3", 5, ("fp32",), **ended)


ONE = "One question proves little; ask several before you choose a format."


def test_all_say_the_same():
    fp16, bf16, int8 = (
        result("fp16", 4_000_000),
        result("bf16", 4_000_000),
        result("int8", 2500_000),
    )
    assert said(fp16, bf16, int8) == [
        "fp16, bf16 and int8 say exactly what fp32 says.",
        "int8 is 3.20 times smaller than fp32, 2.50 MB instead of 8.00 MB.",
        ONE,
    ]


def test_one_alone_says_the_same():
    assert said(result("fp16", 4_000_000)) == [
        "fp16 says exactly what fp32 says.",
        "fp16 is 2.00 times smaller than fp32, 4.00 MB instead of 8.00 MB.",
        ONE,
    ]


def test_the_smallest_of_those_that_say_the_same_is_praised():
    sentences = said(result("fp16", 4_000_000), result("int3", 1_500_000, divergence=3))
    assert sentences == [
        "fp16 says exactly what fp32 says; int3 diverges at token 3.",
        "fp16 is 2.00 times smaller than fp32, 4.00 MB instead of 8.00 MB.",
        ONE,
    ]


def test_several_that_diverge_are_named_and_then_told_where():
    sentences = said(result("fp16", 4_000_000), result("int3", 1, 3), result("int2", 1, 1))
    assert sentences[:3] == [
        "fp16 says exactly what fp32 says; int3 and int2 do not.",
        "int3 diverges from fp32 at token 3.",
        "int2 diverges from fp32 at token 1.",
    ]


def test_where_all_part_no_size_is_told():
    assert said(result("int3", 1_500_000, 3), result("int2", 1_000_000, 1)) == [
        "None of int3 and int2 says what fp32 says.",
        "int3 diverges from fp32 at token 3.",
        "int2 diverges from fp32 at token 1.",
        ONE,
    ]
    assert said(result("int2", 1_000_000, 1)) == ["int2 diverges from fp32 at token 1.", ONE]


FORMATS = ("fp16", "bf16", "int8", "int4-g64", "int3", "int2", "fp8_e5m2")
ENDS = st.dictionaries(
    st.sampled_from(FORMATS), st.tuples(st.integers(1, 10**8), st.none() | st.integers(1, 64))
)


@given(ENDS, st.sampled_from(["parrot", "t5-tiny"]), st.sampled_from(["3", "What is 23 + 45?"]))
def test_a_format_that_diverged_is_never_praised_for_its_size(ends, model, asked):
    trials = [result(name, size, position) for name, (size, position) in ends.items()]
    report = Report(model, asked, 5, ("fp32", *ends), results=(result("fp32", 10**9), *trials))
    apart = {name for name, (_, position) in ends.items() if position}
    smaller = [one for one in verdict(report) if "smaller" in one or "MB" in one]
    assert len(smaller) == (len(apart) < len(ends))
    assert not any(re.search(rf"\b{name} (is|are)\b", one) for name in apart for one in smaller)
    exactly = headline(report).partition(";")[0] if "exactly" in headline(report) else ""
    told = set(re.findall("|".join(FORMATS), exactly))
    assert told == set(ends) - apart
    for name in apart:
        assert re.search(
            rf"\b{name}\b.*diverge.* at token {ends[name][1]}\.", "\n".join(verdict(report))
        )


@given(ENDS)
def test_what_the_card_has_of_many_questions_is_quoted_as_it_has_it(ends):
    trials = [result(name, *end) for name, end in ends.items()]
    report = Report("t5-tiny", "What is 23 + 45?", 5, ("fp32", *ends),
                    results=(result("fp32", 10**9), *trials))  # fmt: skip
    (proves,) = [one for one in more(report) if "proves little" in one] or [""]
    counts = card_of("t5-tiny").counts
    known = [name for name in ends if name in counts]
    assert bool(known) == ("of 990 held-out questions" in proves)
    assert not re.search("fp8_e5m2", proves)  # the card has nothing of it
    for name in known:
        right, total = counts[name]
        assert re.search(rf"\b{name}\b[^%]* {100 * right / total:.1f}% exactly", proves)


def test_a_question_outside_of_training_is_flagged_first():
    def asked(model, question):
        results = (result("fp32", 8), result("int8", 2))
        return more(Report(model, question, 5, ("fp32", "int8"), results=results))

    flag = "This is nothing that t5-tiny was trained for"
    assert asked("t5-tiny", "What is quantization?")[0].startswith(flag)
    assert "trained" not in " ".join(asked("t5-tiny", "what is the capital of france"))
    assert "trained" not in " ".join(asked("google/flan-t5-small", "What is quantization?"))
    uploaded = "photo.png, 640 × 480 pixels, sha256 0"
    assert "nothing that blip-tiny" in asked("blip-tiny", uploaded)[0]
    assert "trained" not in " ".join(asked("blip-tiny", "scene:7, 384 × 384 pixels, sha256 0"))


def test_embeddings_explain_what_is_missing():
    assert said(result("int8", 3_200_000, with_embeddings=2_000_000))[1].endswith(
        "; it would be 4.00 times if the embeddings were quantized too."
    )
    for nothing_gained in (None, 3_200_000, 3_300_000):
        sentences = said(result("int8", 3_200_000, with_embeddings=nothing_gained))
        assert "embeddings" not in sentences[1]


def test_failures_are_named_after_what_ran():
    sentences = said(result("bf16", 4_000_000), failed=["fp16"])
    assert sentences[-1] == "fp16 failed; the card says why."
    assert len(sentences) == 4


def test_several_failures_have_several_cards():
    assert said(failed=["fp16", "int4-g80"]) == ["fp16 and int4-g80 failed; the cards say why."]


def test_without_fp32_there_is_nothing_to_say():
    assert verdict(without_reference()) == [
        "fp32 itself failed, so there is nothing to compare with."
    ]


def test_stopped_is_not_failed():
    (sentence,) = said(stopped=["int8"])
    assert sentence == "int8 was stopped before it finished."
    *_, sentence = said(result("fp16", 4_000_000), stopped=["bf16", "int8"])
    assert sentence == "bf16 and int8 were stopped before they finished."


def test_without_fp32_as_it_was_stopped_there_is_nothing_to_say():
    report = reported(stopped=(Ended("fp32", "x"),))
    assert verdict(report) == ["fp32 itself was stopped, so there is nothing to compare with."]


def test_what_went_too_far_inside_is_told():
    span = Span(65504.0, "a", Overflow("a.wi", infinite=1, nan=0, numbers=4))
    fp16 = replace(result("fp16", 4_000_000), span=span)
    assert said(fp16)[-1] == "Inside fp16, numbers went too far for it; its card says where."


def test_fp32_alone_says_nothing():
    assert verdict(compared(())) == []


def test_a_real_document_is_told_with_its_own_figures():
    report = compared()
    text = " ".join(verdict(report))
    for other in report.variants:
        first = other.figures["first_divergent_token"]
        wanted = "exactly what fp32" if first is None else f"at token {first}."
        assert re.search(rf"{re.escape(other.format)}\b[^.]*{wanted}", text)
    assert "int8-g9 failed" in text


def test_what_was_kept_is_told_with_when_it_was_computed():
    fp32, int8 = (
        replace(result(name, 8), computed=f"2026-11-26T{hour}:21:53+00:00")
        for name, hour in (("fp32", "20"), ("int8", "19"))
    )
    report = reported(results=(fp32, int8), kept=("fp32", "int8"))
    assert kept_note(report) == (
        "fp32 and int8 were computed earlier for this same input and kept here, first on "
        "2026-11-26 at 19:21 UTC."
    )
    assert kept_note(replace(report, kept=("fp32",))) == (
        "fp32 was computed earlier for this same input and kept here, first on 2026-11-26 at "
        "20:21 UTC."
    )
    assert kept_note(replace(report, kept=())) == ""
