"""What came out, in a headline and a few plain sentences, each written from the report's numbers.

The size of an answer that broke is never praised, and what one question shows is never taken for
more than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qdemo.spec.messages import say, say_counted
from qdemo.spec.model_card import card_of
from qdemo.spec.proportion import Counted
from qdemo.spec.report import Report, Trial
from qdemo.views.numbers import bounds, megabytes, percent
from qdemo.views.outcomes import scored_told, text_proves
from qdemo.views.wording import changed, joined


def verdict(report: Report) -> list[str]:
    """All of it: the headline, and what else there is to say."""
    return [*filter(None, [headline(report)]), *more(report)]


def headline(report: Report) -> str:
    """What the formats say beside fp32, in one sentence, or how likely a text is to each that is
    scored; empty where fp32 answered alone."""
    if not report.results:
        if report.failures:
            return say("fp32 itself failed, so there is nothing to compare with.")
        return say("fp32 itself was stopped, so there is nothing to compare with.")
    if report.is_scored:
        return scored_told(report)
    same, apart = _same(report), _apart(report)
    if not apart:
        return _say_the_same(same) if same else next(iter(_ended(report)), "")
    if not same:
        return _diverge(apart) if len(set(apart.values())) == 1 else _none_says_it(apart)
    if len(apart) == 1:
        ((name, position),) = apart.items()
        return say_counted(
            "{names} says exactly what fp32 says; {other} diverges at token {position}.",
            "{names} say exactly what fp32 says; {other} diverges at token {position}.",
            len(same),
            names=joined(same),
            other=name,
            position=position,
        )
    return say_counted(
        "{names} says exactly what fp32 says; {others} do not.",
        "{names} say exactly what fp32 says; {others} do not.",
        len(same),
        names=joined(same),
        others=joined([*apart]),
    )


def more(report: Report) -> list[str]:
    """What stands under the headline: where formats part from fp32, what those weigh that say the
    same, how much one question proves, and what failed."""
    if not report.results:
        return []
    if report.is_scored:
        return [text_proves(report), *_ended(report), *_too_far(report.variants)]
    ended = _ended(report) if report.variants else _ended(report)[1:]
    return [
        *_outside(report),
        *_where(report),
        *_ties(report),
        *_repeat(report),
        *_weights(report),
        *_proves(report),
        *ended,
        *_too_far(report.variants),
    ]


def kept_note(report: Report) -> str:
    """What was not computed just now, and when it was; empty where everything was."""
    if not report.kept:
        return ""
    first = min(trial.computed for trial in report.results if trial.format in report.kept)
    day, _, time = first[:16].partition("T")
    return say_counted(
        "{names} was computed earlier for this same input and kept here, first on {day} at {time} "
        "UTC.",
        "{names} were computed earlier for this same input and kept here, first on {day} at {time} "
        "UTC.",
        len(report.kept),
        names=joined(report.kept),
        day=day,
        time=time,
    )


def _diverges(trial: Trial) -> int | None:
    """At which token."""
    first = trial.figures.get("first_divergent_token")
    return None if first is None else int(first)


def _same(report: Report) -> list[str]:
    """The formats that say what fp32 says."""
    return [trial.format for trial in report.variants if _diverges(trial) is None]


def _apart(report: Report) -> dict[str, int]:
    """The others, each with the token at which it diverges."""
    found = {trial.format: _diverges(trial) for trial in report.variants}
    return {name: position for name, position in found.items() if position is not None}


def _say_the_same(names: Sequence[str]) -> str:
    return say_counted(
        "{names} says exactly what fp32 says.",
        "{names} say exactly what fp32 says.",
        len(names),
        names=joined(names),
    )


def _diverge(apart: Mapping[str, int]) -> str:
    """Of formats that diverge at one token."""
    return say_counted(
        "{names} diverges from fp32 at token {position}.",
        "{names} diverge from fp32 at token {position}.",
        len(apart),
        names=joined([*apart]),
        position=next(iter(apart.values())),
    )


def _none_says_it(apart: Mapping[str, int]) -> str:
    return say("None of {names} says what fp32 says.", names=joined([*apart]))


def _where(report: Report) -> list[str]:
    """Where each format diverges, unless the headline has said it."""
    same, apart = _same(report), _apart(report)
    if len(apart) < 2 or (not same and len(set(apart.values())) == 1):
        return []
    by_position: dict[int, dict[str, int]] = {}
    for name, position in apart.items():
        by_position.setdefault(position, {})[name] = position
    return [_diverge(names) for names in by_position.values()]


def _ties(report: Report) -> list[str]:
    """Where what diverges is no change: fp32's token was exactly as likely."""
    sentences: list[str] = []
    if not report.decoding.is_greedy:  # a token that is drawn is seldom the likeliest
        return sentences
    for trial in report.variants:
        position, others = _diverges(trial), changed(report, trial) if trial.top else []
        if position is not None and position <= len(others) and not others[position - 1]:
            sentences.append(
                say(
                    "At token {position} fp32's word is exactly as likely to {format} as its own: "
                    "a tie.",
                    position=position,
                    format=trial.format,
                )
            )
    return sentences


def _repeat(report: Report) -> list[str]:
    """Which answers were stopped, as they went round in a circle."""
    names = [trial.format for trial in report.results if trial.ended == "repetition"]
    if not names:
        return []
    return [
        say_counted(
            "{names} repeats itself, and was stopped there.",
            "{names} repeat themselves, and were stopped there.",
            len(names),
            names=joined(names),
        )
    ]


def _outside(report: Report) -> list[str]:
    """That the model was not made for what it was asked."""
    card = card_of(report.model)
    if card is None or not card.is_outside(report.input):
        return []
    return [
        say(
            "This is nothing that {model} was trained for, so no answer to it is to be trusted, "
            "fp32's neither.",
            model=report.model,
        )
    ]


def _weights(report: Report) -> list[str]:
    """The smallest that says the same beside fp32, and why it isn't smaller still."""
    held = [trial for trial in report.variants if _diverges(trial) is None]
    if not held:
        return []
    best = min(held, key=lambda trial: trial.footprint.total)
    size, whole = best.footprint.total, report.results[0].footprint.total
    told = {
        "format": best.format,
        "times": f"{whole / size:.2f}",
        "size": megabytes(size),
        "whole": megabytes(whole),
    }
    least = best.figures.get("bytes_with_embeddings")
    if least is None or least >= size:
        return [
            say("{format} is {times} times smaller than fp32, {size} instead of {whole}.", **told)
        ]
    return [
        say(
            "{format} is {times} times smaller than fp32, {size} instead of {whole}; it would be "
            "{more} times if the embeddings were quantized too.",
            **told,
            more=f"{whole / least:.2f}",
        )
    ]


def _proves(report: Report) -> list[str]:
    """That one question proves little, and what many have shown, as far as the model's card has
    it."""
    card = card_of(report.model)
    known = card.counts if card else {}
    shown = [trial.format for trial in report.results if trial.format in known]
    if not report.variants:
        return []
    if len(shown) < 2:
        return [say("One question proves little; ask several before you choose a format.")]
    shares = [_share(names, count) for count, names in _by_count(known, shown).items()]
    return [
        say(
            "One question proves little: of {total} held-out questions {shares}; ranges are 95% "
            "intervals.",
            total=known[shown[0]].total,
            shares=joined(shares),
        )
    ]


def _by_count(known: Mapping[str, Counted], formats: Sequence[str]) -> dict[Counted, list[str]]:
    """The formats by how many of how many they answer, those with as many together."""
    found: dict[Counted, list[str]] = {}
    for name in formats:
        found.setdefault(known[name], []).append(name)
    return found


def _share(names: Sequence[str], count: Counted) -> str:
    """How many of how many, in per cent with Wilson's 95% interval."""
    low, high = bounds(*count.interval, decimals=1)
    return say_counted(
        "{names} answers {share} exactly ({low} to {high}%)",
        "{names} answer {share} exactly ({low} to {high}%)",
        len(names),
        names=joined(names),
        share=percent(count.share),
        low=low,
        high=high,
    )


def _ended(report: Report) -> list[str]:
    """What failed, and what was stopped."""
    sentences: list[str] = []
    if failed := [ended.format for ended in report.failures]:
        sentences.append(
            say_counted(
                "{names} failed; the card says why.",
                "{names} failed; the cards say why.",
                len(failed),
                names=joined(failed),
            )
        )
    if stopped := [ended.format for ended in report.stopped]:
        sentences.append(
            say_counted(
                "{names} was stopped before it finished.",
                "{names} were stopped before they finished.",
                len(stopped),
                names=joined(stopped),
            )
        )
    return sentences


def _too_far(trials: Sequence[Trial]) -> list[str]:
    return [
        say("Inside {format}, numbers went too far for it; its card says where.", format=one.format)
        for one in trials
        if one.span and one.span.overflow
    ]
