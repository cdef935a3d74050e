"""What the stories say in which no model answers: an outlier, an overflow, many questions."""

from __future__ import annotations

import math
from urllib.parse import urlencode

from qdemo.spec.messages import say
from qdemo.views.colours import colour
from qdemo.views.stories import Kept, Numbers, Row, Shown, Story, accuracy_of, number


def outlier(known: Kept) -> Story:
    """One large weight takes the others' digits."""
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


def overflow(known: Kept) -> Story:
    """Two formats of 16 bits, and a number that one of them has no room for."""
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


def many(known: Kept) -> Story:
    """What one question does not prove, over all that were held out."""
    first, int3, int2 = (accuracy_of(known.accuracy, name) for name in ("fp32", "int3", "int2"))
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
            "./evidence", say("See what they say of every format"),
        ),
        after=say(
            "int3 answers {share}% right ({low} to {high}), fp32 {whole}%: over many questions "
            "three bits cost a little. Two bits cost all: {least}%.",
            share=int3.share, low=int3.low, high=int3.high, whole=first.share, least=int2.share,
        ),
        number=f"{int3.share}%",
        unit=say("right in int3, of {items} held-out questions", items=known.items),
    )  # fmt: skip


def _counted(count: float, of: int) -> str:
    return say("{count:.0f} of {of}", count=count, of=of)


def _numbers(row: Numbers, name: str, measured: str, share: float) -> Row:
    """Each number marked that is lost: zero, or infinite."""
    cells = tuple((number(x), x == 0 or math.isinf(x)) for x in row.values)
    return Row(name, colour(row.format), cells, measured, share)
