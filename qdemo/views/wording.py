"""Figures, prompts and overflows in words: the same on the page, in files and in the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from qdemo.spec.figure import Figure
from qdemo.spec.messages import say, say_counted
from qdemo.spec.report import WHOLE_MODEL, Overflow, Report, Trial, Values
from qdemo.spec.setting import WAYS, InputToken
from qdemo.views.formats import computes, describe
from qdemo.views.numbers import NONE, interval, megabytes, percent, significant, times

__all__ = [  # formats and numbers too, as they are asked for here
    "NONE", "describe", "differing_words", "joined", "megabytes",
    "parameter_name", "percent", "read_as", "shortened", "significant", "times", "too_far",
    "written",
]  # fmt: skip


def computed_on(trial: Trial) -> str:
    """The device, and the ways that were taken there, as far as they are known."""
    known = (say(WAYS[way]) for way in trial.ways if way in WAYS)
    return ", ".join([trial.device, *known])


def too_far(variant: str, first: Overflow) -> str:
    """Where numbers inside a model first went too far, and what became of them.

    >>> too_far("fp16", Overflow("a.wi", infinite=3, nan=0, numbers=4096))
    'Too large for fp16: of the 4,096 numbers out of a.wi, 3 became infinite.'
    """
    values = {"format": computes(variant), "module": first.module, "numbers": first.numbers}
    if not first.nan:
        sentence = say(
            "Too large for {format}: of the {numbers:,} numbers out of {module}, {infinite:,} "
            "became infinite.",
            **values,
            infinite=first.infinite,
        )
    elif not first.infinite:
        sentence = say(
            "Too large for {format}: of the {numbers:,} numbers out of {module}, {nan:,} became "
            "NaN.",
            **values,
            nan=first.nan,
        )
    else:
        sentence = say(
            "Too large for {format}: of the {numbers:,} numbers out of {module}, {infinite:,} "
            "became infinite and {nan:,} became NaN.",
            **values,
            infinite=first.infinite,
            nan=first.nan,
        )
    return " ".join([sentence, *_clamped(first.clamped_in)])


def _clamped(module: str | None) -> list[str]:
    """That they were made finite again, by the module of that name; the model has none."""
    if module is None:
        return []
    if module:
        return [
            say(
                "{module} clamps them, so what follows is finite, and wrong.",
                module=module,
            )
        ]
    return [say("the model clamps them, so what follows is finite, and wrong.")]


def changed(report: Report, trial: Trial) -> list[bool]:
    """At which tokens of fp32's answer a format would write another: one that is exactly as likely
    to it as fp32's is no change. (Reports of before tell only the likeliest.)"""
    same = trial.by_position.get("same_top_by_position")
    if same is not None:
        return [not one for one in same]
    pieces = report.results[0].pieces
    return [top[0][0] != piece for top, piece in zip(trial.top, pieces, strict=True)]


def written(figure: Figure, values: Values, none: str = NONE) -> str:
    """A figure as text, without its unit.

    >>> sqnr = Figure("sqnr", "SQNR", "", unit="dB", zero="rms")
    >>> written(sqnr, {"sqnr": 45.123}), written(sqnr, {"sqnr": None, "rms": 0}), written(sqnr, {})
    ('45.1', 'exact', '–')
    """
    value = values.get(figure.key)
    if value is None:
        return say("exact") if figure.zero and values.get(figure.zero) == 0 else none
    match figure.form:
        case "count" | "position":
            return f"{value:,.0f}"
        case "bytes":
            return megabytes(value)
        case "times":
            return times(value)
        case "share":
            return interval(value, values.get(figure.low), values.get(figure.high))
    return significant(value, figure.digits)


def parameter_name(parameter: str) -> str:
    """A parameter's name, which is a name; all of them together have words."""
    return say(WHOLE_MODEL) if parameter == WHOLE_MODEL else parameter


_PICTURE = re.compile(
    r"((gallery|scene):)?(.*?)(, \d+ × \d+ pixels), sha256 [0-9a-f]{16}(; .*)?", re.DOTALL
)
"""A picture as a report names it."""


def is_picture(given: str) -> bool:
    """Whether an input, as a report names it, is a picture."""
    return _PICTURE.fullmatch(given) is not None


def asked_as(given: str) -> str:
    """An input as a person calls it; what tells a picture from every other is left to the report.

    >>> asked_as("gallery:a-dog-on-the-beach, 384 × 384 pixels, sha256 0123456789abcdef")
    'a picture of the gallery: a dog on the beach'
    >>> asked_as("scene:7, 384 × 384 pixels, sha256 0123456789abcdef"), asked_as("scene:7")
    ('scene number 7', 'scene:7')
    """
    found = _PICTURE.fullmatch(given)
    if found is None:
        return given
    _, kind, name, size, note = found.groups("")
    if kind == "gallery":
        return say("a picture of the gallery: {name}", name=name.replace("-", " "))
    return say("scene number {number}", number=name) if kind else f"{name}{size}{note}"


def read_as(tokens: Sequence[InputToken], given: str) -> str:
    """How a prompt is read, in words; what in it its model does not know, or takes for a mark.

    >>> read_as([InputToken("<unk>", "😀", "unknown")], "😀")
    'read as 1 token; this model does not know 😀'
    """
    if not tokens:
        return ""
    count = len(tokens)
    told = [say_counted("read as {count} token", "read as {count} tokens", count, count=count)]
    if unknown := _texts(tokens, "unknown"):
        told.append(say("this model does not know {texts}", texts=joined(unknown)))
    if marks := [mark for mark in _texts(tokens[:-1], "special") if mark in given]:
        told.append(
            say_counted(
                "{texts} inside is a mark to it, not text",
                "{texts} inside are marks to it, not text",
                len(marks),
                texts=joined(marks),
            )
        )
    return "; ".join(told)


def _texts(tokens: Sequence[InputToken], kind: str) -> list[str]:
    """What tokens of that kind stand for, each once."""
    found = [token.text or token.piece for token in tokens if token.kind == kind]
    return list(dict.fromkeys(found))


def shortened(text: str, longest: int) -> str:
    """The first `longest` characters, where there are more.

    >>> shortened("reduced precision", 7), shortened("int8", 7)
    ('reduced…', 'int8')
    """
    return text if len(text) <= longest else f"{text[:longest]}…"


def ended(text: str, longest: int) -> str:
    """The first words, in at most `longest` characters: half a word would be another one. A word
    that takes more than half of them is cut.

    >>> ended("a city that's steeped in history", 18), ended("abroad-abroad-abroad", 9)
    ("a city that's…", 'abroad-ab…')
    """
    end = text.rfind(" ", 0, longest + 1)
    return shortened(text, end if len(text) > longest < 2 * end else longest)


def joined(names: Sequence[str]) -> str:
    """A list in a sentence.

    >>> joined(["fp16", "bf16", "int8"])
    'fp16, bf16 and int8'
    """
    *first, last = names
    return say("{names} and {last}", names=", ".join(first), last=last) if first else last


def differing_words(reference: str, other: str) -> list[tuple[str, bool]]:
    """`other` cut into runs of text, each with whether its words differ from the reference's.

    The runs join to `other` again. Words are compared, the blanks between them are not.

    >>> differing_words("a dog on the beach", "a cat on the beach")
    [('a ', False), ('cat ', True), ('on the beach', False)]
    """
    words, wanted = _words(other), _words(reference)
    matcher = SequenceMatcher(None, _bare(wanted), _bare(words), autojunk=False)
    return [
        ("".join(words[start:end]), tag != "equal")
        for tag, _, _, start, end in matcher.get_opcodes()
        if start < end
    ]


def _words(text: str) -> list[str]:
    """Words with the blanks that follow them; leading blanks are a word of their own."""
    return re.findall(r"\S+\s*|\s+", text)


def _bare(words: list[str]) -> list[str]:
    return [word.strip() for word in words]
