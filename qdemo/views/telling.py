"""What each story says: a guess, what came out with its numbers, and where it goes on."""

from __future__ import annotations

import math
from urllib.parse import urlencode

from qdemo.spec.messages import say
from qdemo.views.colours import colour
from qdemo.views.numbers import megabytes, times
from qdemo.views.stories import (
    QUESTIONS,
    Accuracy,
    Answer,
    Kept,
    Numbers,
    Row,
    Shown,
    Story,
    kept,
    number,
    rows,
)
from qdemo.views.wording import differing_words, joined


def stories() -> tuple[Story, ...]:
    """All of them, in the order of a talk."""
    known = kept()
    tellers = (_agree, _slips, _breaks, _smaller, _outlier, _groups, _speaks, _overflow, _many)
    return tuple(tell(known) for tell in tellers)


def _agree(known: Kept) -> Story:
    first, *others = known.answers["agree"]
    fp16, _, int8 = others
    return Story(
        key="agree",
        title=say("All agree"),
        before=say(
            "fp16 and bf16 hold the model in {half} instead of {whole}, int8 in {size}.",
            half=megabytes(fp16.bytes), whole=megabytes(first.bytes), size=megabytes(int8.bytes),
        ),
        question=say("How many of the three still say what fp32 says?"),
        answers=(say("all three"), say("two"), say("one"), say("none")),
        right=len([one for one in others if one.output != first.output]),
        shown=_answered(known, "agree"),
        after=say(
            "{names} answer word for word as fp32 does. {format} is {times} times smaller.",
            names=joined([one.format for one in others]),
            format=int8.format, times=_factor(first, int8),
        ),
        number=times(first.bytes / int8.bytes),
        unit=say("smaller in int8, and the same answer"),
    )  # fmt: skip


def _slips(known: Kept) -> Story:
    first, _, int3 = known.answers["slips"]
    words = [word.strip(" ,") for word in first.output.split()]
    early = next(run for run, differs in differing_words(first.output, int3.output) if differs)
    position = first.output.split().index(early.strip())
    instead = int3.output.split().index(early.strip())
    held_out = _of(known.accuracy, "int3")
    return Story(
        key="slips",
        title=say("int3 slips"),
        before=say(
            "Three bits leave {count} numbers for a weight. int3 puts one word in a wrong place.",
            count=2**3 - 1,
        ),
        question=say("Which word comes too early?"),
        answers=tuple(words),
        right=position,
        shown=_answered(known, "slips"),
        after=say(
            "int3 writes “{wrong}” where fp32 writes “{right}”. That is one prompt: of {items} "
            "held-out questions it answers {share}% right.",
            wrong=words[position], right=words[instead], items=known.items, share=held_out.share,
        ),
        number=times(first.bytes / int3.bytes),
        unit=say("smaller in int3, and one word in a wrong place"),
    )  # fmt: skip


def _breaks(known: Kept) -> Story:
    int3, int2 = _of(known.captions, "int3"), _of(known.captions, "int2")
    first = known.answers["breaks"][0]
    return Story(
        key="breaks",
        title=say("int2 breaks"),
        before=say("Two bits leave three numbers, −1, 0 and 1, and a scale for each row."),
        question=say("What does int2 see in this picture?"),
        answers=(first.output, say("another animal"), say("no sentence at all")),
        right=2,
        shown=_answered(known, "breaks", known.picture),
        after=say(
            "int2 has no sentence left, and int3 still sees what fp32 sees: of {items} held-out "
            "pictures int3 describes {share}% right.",
            items=known.pictures, share=int3.share,
        ),
        number=f"{int2.share}%",
        unit=say("of {items} held-out pictures are described right in int2", items=known.pictures),
    )  # fmt: skip


def _smaller(known: Kept) -> Story:
    first, int8, emb = known.answers["smaller"]
    return Story(
        key="smaller",
        title=say("8 bits, and not 4 times smaller"),
        before=say("int8 stores a weight in 8 bits instead of 32."),
        question=say("How many times smaller does the model get?"),
        answers=(say("four times"), say("about three times"), say("about twice")),
        right=1,
        shown=_answered(known, "smaller"),
        after=say(
            "{format} is {times} times smaller: the embeddings stay fp32. With them, {whole}, it "
            "is {more} times; the rest are scales and norms.",
            format=int8.format, times=_factor(first, int8), whole=emb.format,
            more=_factor(first, emb),
        ),
        number=times(first.bytes / int8.bytes),
        unit=say("smaller in int8, as the embeddings stay fp32"),
    )  # fmt: skip


def _outlier(known: Kept) -> Story:
    _, _, stretched, grouped = known.outlier
    count, largest = len(stretched.values), number(stretched.values[-1])
    names = (say("the weights"), "int4", say("with an outlier"), say("outlier, groups of 4"))
    told = [
        _numbers(row, name, _counted(row.measured, count), row.measured / count)
        for row, name in zip(known.outlier, names, strict=True)
    ]
    query = urlencode({"matrix": known.matrix, "bits": "4", "scales": "a row"})
    return Story(
        key="outlier",
        title=say("An outlier stretches the scale"),
        before=say("Eight weights share a scale in int4. Now the last grows to {outlier}.",
                   outlier=largest),
        question=say("How many of the other seven become 0?"),
        answers=(say("none"), say("about half"), say("all seven")),
        right=2,
        shown=Shown(
            tuple(told), (say("one row of weights, as they come back"), say("became 0")),
            f"./linear#{query}", say("Try it on the matrix"), kind="numbers",
        ),
        after=say(
            "The scale has to reach {outlier}, so the other {zeros:.0f} round to 0. With a scale "
            "for each group of 4 it is {fewer:.0f}: those beside the outlier.",
            outlier=largest, zeros=stretched.measured, fewer=grouped.measured,
        ),
        number=_counted(stretched.measured, count),
        unit=say("weights became 0, for one that is large"),
    )  # fmt: skip


def _groups(known: Kept) -> Story:
    _, int3, grouped = known.answers["groups"]
    more = f"{100 * (grouped.bytes / int3.bytes - 1):.0f}%"
    return Story(
        key="groups",
        title=say("Groups mend int3"),
        before=say("A scale for each 64 weights, not for each row, takes {more} more bytes.",
                   more=more),
        question=say("Does int3 sort the words now?"),
        answers=(say("yes"), say("no, it errs as before"), say("no, it gets worse")),
        right=0,
        shown=_answered(known, "groups"),
        after=say(
            "In groups of 64, int3 says what fp32 says: {size} instead of {before}.",
            size=megabytes(grouped.bytes), before=megabytes(int3.bytes),
        ),
        number=f"+{more}",
        unit=say("bytes, and the words are sorted again"),
    )  # fmt: skip


def _speaks(known: Kept) -> Story:
    _, int2, searched, fitted = known.answers["speaks"]
    plain = _of(known.accuracy, "int2").share
    search, best = (_of(known.found, one.format).share for one in (searched, fitted))
    more = f"{100 * (fitted.bytes / int2.bytes - 1):.0f}%"
    return Story(
        key="speaks",
        title=say("Two bits speak again"),
        before=say(
            "int2 broke. -mse searches for a better range, groups of 64 with a zero point fit it "
            "closer, and with -gptq columns make up for each other's errors."
        ),
        question=say("Of {items} held-out questions, how many does it answer right then?",
                     items=known.items),
        answers=(say("hardly any"), say("half"), say("over 9 of 10")),
        right=2,
        shown=_answered(known, "speaks"),
        after=say(
            "int2 alone: {plain}%. A narrower range, as many bytes: {search}%. With groups and "
            "GPTQ, {more} more bytes: {best}%.",
            plain=plain, search=search, best=best, more=more,
        ),
        number=f"{best}%",
        unit=say("right in two bits, of {items} held-out questions", items=known.items),
    )  # fmt: skip


def _overflow(known: Kept) -> Story:
    _, fp16, bf16 = known.overflow
    asked = known.overflow[0].values
    powers = math.log10(known.overflow[0].measured)
    told = [
        _numbers(row, row.format, number(row.measured), math.log10(row.measured) / powers)
        for row in known.overflow
    ]
    large, small = map(number, asked)
    return Story(
        key="overflow",
        title=say("fp16 overflows, bf16 does not"),
        before=say("fp16 and bf16 both have 16 bits."),
        question=say("Which of them has no room for {number}?", number=large),
        answers=("fp16", "bf16", say("both"), say("neither")),
        right=0,
        shown=Shown(
            tuple(told),
            (say("{large} and {small}, cast", large=large, small=small),
             say("largest number (bar: its power of ten)")),
            f"./formats#{urlencode({'value': f'{asked[0]:.0f}'})}", say("See its bits"),
            kind="numbers",
        ),
        after=say(
            "fp16 ends at {end}: {large} becomes infinite, and {small} becomes 0. bf16 goes as far "
            "as fp32, with fewer digits: {rounded}.",
            end=number(fp16.measured), large=large, small=small, rounded=number(bf16.values[0]),
        ),
        number=number(fp16.measured),
        unit=say("is the largest number of fp16"),
    )  # fmt: skip


def _many(known: Kept) -> Story:
    first, int3, int2 = (_of(known.accuracy, name) for name in ("fp32", "int3", "int2"))
    told = tuple(
        Row(
            one.format, colour(one.format),
            ((say("95% interval: {low} to {high}", low=one.low, high=one.high), False),),
            f"{one.share}%", one.share / 100,
        )
        for one in known.accuracy
    )  # fmt: skip
    return Story(
        key="many",
        title=say("Over many questions"),
        before=say("One prompt proves little: {items} questions were held out of training.",
                   items=known.items),
        question=say("How many of them does int3 answer right?"),
        answers=(say("half"), say("3 of 4"), say("over 9 of 10"), say("all")),
        right=2,
        shown=Shown(
            told, (say("{items} held-out questions", items=known.items), say("answered right")),
            "./about", say("What the models can do"),
        ),
        after=say(
            "int3 answers {share}% right ({low} to {high}), fp32 {whole}%: over many questions "
            "three bits cost a little. Two bits cost all: {least}%.",
            share=int3.share, low=int3.low, high=int3.high, whole=first.share, least=int2.share,
        ),
        number=f"{int3.share}%",
        unit=say("right in int3, of {items} held-out questions", items=known.items),
    )  # fmt: skip


def _answered(known: Kept, key: str, picture: str = "") -> Shown:
    """What a model answered, and where that is asked again."""
    question = QUESTIONS[key]
    return Shown(
        rows(known.answers[key]), (say("answer"), say("memory")), question.address,
        say("Look at it token by token"), "" if picture else question.input, picture,
    )  # fmt: skip


def _factor(first: Answer, other: Answer) -> str:
    return f"{first.bytes / other.bytes:.2f}"


def _of(found: tuple[Accuracy, ...], format: str) -> Accuracy:
    return next(one for one in found if one.format == format)


def _counted(count: float, of: int) -> str:
    return say("{count:.0f} of {of}", count=count, of=of)


def _numbers(row: Numbers, name: str, measured: str, share: float) -> Row:
    """Each number marked that is lost: zero, or infinite."""
    cells = tuple((number(x), x == 0 or math.isinf(x)) for x in row.values)
    return Row(name, colour(row.format), cells, measured, share)
