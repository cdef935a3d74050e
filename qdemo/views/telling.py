"""What each story says: a guess, what came out with its numbers, and where it goes on."""

from __future__ import annotations

from qdemo.spec.messages import say, say_counted
from qdemo.views.exceptions import modules_called
from qdemo.views.numbers import megabytes, times
from qdemo.views.stories import (
    QUESTIONS,
    Answer,
    Kept,
    Shown,
    Story,
    accuracy_of,
    kept,
    rows,
)
from qdemo.views.telling_numbers import many, outlier, overflow
from qdemo.views.wording import differing_words, joined


def stories() -> tuple[Story, ...]:
    """All of them, in the order of a talk."""
    known = kept()
    tellers = (
        _agree, _slips, _breaks, _smaller, outlier, _groups, _speaks, _hurts, _thread, overflow,
        many,
    )  # fmt: skip
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
    held_out = accuracy_of(known.accuracy, "int3")
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
    int3, int2 = accuracy_of(known.captions, "int3"), accuracy_of(known.captions, "int2")
    first, *_, last = known.answers["breaks"]
    return Story(
        key="breaks",
        title=say("int2 breaks"),
        before=say("Two bits leave three numbers, −1, 0 and 1, and a scale for each row."),
        question=say("What does int2 see in this picture?"),
        answers=(first.output, say("other animals"), say("no sentence at all")),
        right=1,
        shown=_answered(known, "breaks", known.picture),
        after=say(
            "int2 writes “{output}”: a sentence still, and nothing in it is in the picture. int3 "
            "sees what fp32 sees: of {items} held-out pictures it describes {share}% right.",
            output=last.output, items=known.pictures, share=int3.share,
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
    plain = accuracy_of(known.accuracy, "int2").share
    search, best = (accuracy_of(known.found, one.format).share for one in (searched, fitted))
    more = f"{100 * (fitted.bytes / int2.bytes - 1):.0f}%"
    return Story(
        key="speaks",
        title=say("Two bits speak again"),
        before=say(
            "int2 broke. Now its range is searched for (-mse); then in groups, with GPTQ."
        ),
        question=say("Of {items} held-out questions, how many does it answer right then?",
                     items=known.items),
        answers=(say("hardly any"), say("half"), say("over 9 of 10")),
        right=2,
        shown=_answered(known, "speaks"),
        after=say(
            "int2 alone: {plain}%. A better range: {search}%. Groups and GPTQ, {more} more bytes: "
            "{best}%.",
            plain=plain, search=search, best=best, more=more,
        ),
        number=f"{best}%",
        unit=say("right in two bits, of {items} held-out questions", items=known.items),
    )  # fmt: skip


def _hurts(known: Kept) -> Story:
    _, plain, mended = known.answers["hurts"]
    repair = known.repair
    enough = sum(one.is_back for one in repair.singles)
    return Story(
        key="hurts",
        title=say("Which layer hurts?"),
        before=say(
            "{format} invents words. Now layers of it go back to fp32, as few as will do.",
            format=plain.format,
        ),
        question=say("How many of its {layers} layers does it take until the words are right?",
                     layers=repair.layers),
        answers=(say("one"), say("about ten"), say("half of them"), say("all of them")),
        right=0,
        shown=_answered(known, "hurts"),
        after=say_counted(
            "Each of the {layers} was tried alone, and {enough} does it: {layer}. It takes "
            "{after} instead of {before}.",
            "Each of the {layers} was tried alone, and {enough} do it, {layer} with the fewest "
            "weights. It takes {after} instead of {before}.",
            enough,
            layers=repair.layers, enough=enough, layer=modules_called(repair.modules),
            after=megabytes(mended.bytes), before=megabytes(plain.bytes),
        ),
        number=f"+{100 * (mended.bytes / plain.bytes - 1):.1f}%",
        unit=say_counted(
            "bytes: {count} layer of {layers} back in fp32, and the words are right",
            "bytes: {count} layers of {layers} back in fp32, and the words are right",
            len(repair.modules), count=len(repair.modules), layers=repair.layers,
        ),
    )  # fmt: skip


def _thread(known: Kept) -> Story:
    first, *others = known.answers["thread"]
    int8, grouped, int4, int3 = others
    moved = next(one for one in others if "United States" in one.output)
    return Story(
        key="thread",
        title=say("A language model loses its thread"),
        before=say(
            "SmolLM2, of {count:.0f} million weights, is asked about the capital of France.",
            count=first.bytes / 4e6,
        ),
        question=say("Which one moves Paris abroad?"),
        answers=tuple(one.format for one in others),
        right=others.index(moved),
        shown=_answered(known, "thread"),
        after=say(
            "{same} says what fp32 says. In groups of 64, four bits keep Paris in France; with a "
            "scale a row, {moved}, it lies in the United States. {lost} has no sentence left.",
            same=int8.format, moved=moved.format, lost=int3.format,
        ),
        number=f"+{100 * (grouped.bytes / int4.bytes - 1):.0f}%",
        unit=say("bytes for groups of 64, and Paris stays in France"),
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
