"""The parts of a report as HTML: verdict, cards, tables, token ribbon, likeliest tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qdemo.spec.decoding import Decoding
from qdemo.spec.messages import Message, say
from qdemo.spec.model_card import card_of
from qdemo.spec.report import Report, Trial
from qdemo.views import scored
from qdemo.views.cards import KL_STEPS, Card
from qdemo.views.colours import colour
from qdemo.views.exceptions import shortened_in
from qdemo.views.numbers import chance, duration, megabytes, significant
from qdemo.views.surgery import repairable
from qdemo.views.tables import Table
from qdemo.views.templates import fill
from qdemo.views.terms import heads, with_terms
from qdemo.views.verdict import headline, kept_note, more
from qdemo.views.wording import asked_as, changed, read_as

FEW = 2
"""Cards stand beside each other up to so many, and else under each other, unless one chooses."""


def verdict_html(report: Report, note: str = "", offers: bool = False) -> str:
    """The verdict with what was asked; `note` says where the figures come from. With `offers` a
    page offers to look for the layers that bring answers back."""
    repairs = repairable(report) if offers else []
    return _verdict(report, headline(report), more(report), note or kept_note(report), repairs)


def running_html(report: Report) -> str:
    """What stands in the verdict's place until there is one."""
    return _verdict(report, say("Running one format after the other, fp32 first."), [], "")


def _verdict(
    report: Report, headline: str, more: Sequence[str], note: str, repairs: Sequence[str] = ()
) -> str:
    return fill(
        "verdict",
        headline=shortened_in(headline),
        more=with_terms(shortened_in(" ".join(more))) if more else "",
        repairs=repairs,
        note=shortened_in(note),
        model=report.model,
        input=report.input if report.read else asked_as(report.input),
        known_as="" if report.read else report.input,
        read=report.read,
        reading=read_as(report.read, report.input),
        how=_how(report.decoding),
    )


def _how(decoding: Decoding) -> str:
    """How the input was taken, and tokens chosen, where that is not the usual."""
    told = {"text": say("gone on with"), "score": say("scored")}.get(decoding.read_as, "")
    drawn = "" if decoding.is_greedy else say(
        "temperature {temperature:g}, seed {seed}",
        temperature=decoding.temperature, seed=decoding.seed,
    )  # fmt: skip
    return ", ".join(filter(None, (told, drawn)))


def trained_html(model: str) -> str:
    """What a model was trained for, to stand beside its input; nothing where that is not known."""
    card = card_of(model)
    return fill("trained", model=model, what=say(card.trained_for)) if card else ""


def download_html(
    model: str, done: int, total: int, per_second: float | None, seconds_left: float | None
) -> str:
    """How far a download is: a bar, and bytes, speed and time left in words."""
    words = [say("{done:,.0f} of {total}", done=done / 1e6, total=megabytes(total))]
    if per_second is not None and seconds_left is not None:
        words += [
            say("{speed:,.1f} MB/s", speed=per_second / 1e6),
            say("{time} left", time=duration(seconds_left)),
        ]
    return fill("download", model=model, done=done, total=total, words=", ".join(words))


def cards_html(cards: Sequence[Card], among: Sequence[Card] = ()) -> str:
    """Cards, side by side; `among` all of them, where only some are asked for, bars are as long as
    the tokens take."""
    widest = max((card.split.ms for card in among or cards if card.split), default=0.0)
    many = len(among or cards) > FEW
    return fill("cards", cards=cards, columns=_columns(len(cards)), widest=widest, many=many)


def news_html(before: Sequence[Card], now: Sequence[Card]) -> str:
    """What has changed on cards: of a text that grows what is added to it, else the whole card."""
    changed = [(old, new) for old, new in zip(before, now, strict=True) if old != new]
    grown = {new.format: _added(old, new) for old, new in changed}
    added = {name: text for name, text in grown.items() if text is not None}
    whole = [new for _, new in changed if new.format not in added]
    return fill("news", added=added, cards=cards_html(whole, now) if whole else "")


def _added(old: Card, new: Card) -> str | None:
    """What a text has grown by; None where anything else has changed."""
    was, text = ("".join(run for run, _ in card.words) for card in (old, new))
    grew = replace(old, words=new.words) == new and text.startswith(was)
    return text[len(was) :] if grew and new.state == "running" else None


def table_html(table: Table, folded: str = "") -> str:
    """A table that scrolls in itself where it is wider than its place; `folded` under that title,
    to be opened."""
    caption = table.caption  # one that is no sentence of ours is a question
    told = with_terms(caption) if isinstance(caption, Message) else caption
    kind = "folded" if folded else "table"
    return fill(kind, title=folded, table=table, caption=told, heads=heads(table))


def ribbon_html(report: Report) -> str:
    """fp32's tokens, and for each format how far it is from them; ribbon.js makes a choice of it.

    There are hundreds of cells, so what a script can add to one is not sent.
    """
    rows = [(trial.format, _cells(report, trial)) for trial in report.variants]
    steps = " ".join(map(str, KL_STEPS))
    return fill(
        "ribbon",
        is_scored=report.is_scored,
        is_written=report.decoding.is_greedy and not report.is_scored,
        tokens=_pieces(report),
        rows=rows,
        steps=steps,
        legend=kl_legend(),
        unit=with_terms(say("KL at the token, nats:")),
    )


def top_html(report: Report, position: int) -> str:
    """The likeliest tokens of each format at one position of fp32's answer."""
    if not report.results:
        return ""
    written = _pieces(report)[position]
    lists = [
        (
            trial.format,
            colour(trial.format),
            ", ".join(_told_at(trial, position)),
            [
                (token, chance(share), f"{100 * (share or 0):.1f}%", token == written)
                for token, share in trial.top[position]
            ],
        )
        for trial in report.results
    ]
    where = {"token": written, "position": position + 1}
    if report.is_scored:
        title = say(
            "The five likeliest tokens where the text has {token} (token {position})", **where
        )
    else:
        title = say(
            "The five likeliest tokens where fp32 writes {token} (token {position})", **where
        )
    return fill("top", title=title, lists=lists, columns=_columns(len(lists)))


def _told_at(trial: Trial, position: int) -> list[str]:
    """How far a format's distribution is from fp32's there, and the loss of a text's token."""
    told: list[str] = []
    kls = trial.by_position.get("kl_by_position", ())
    if position < len(kls):
        kl = kls[position]
        told += [say("not finite") if kl is None else say("KL {kl} nats", kl=significant(kl))]
    losses = scored.of(trial)
    if position < len(losses) and (loss := losses[position]) is not None:
        told += [say("loss {loss} nats", loss=significant(loss))]
    return told


def _columns(count: int) -> int:
    """Rows of the same length where that can be; six are three and three."""
    return count if count < 6 else -(-count // 2)


def _pieces(report: Report) -> tuple[str, ...]:
    return report.results[0].pieces if report.results else ()


@dataclass(frozen=True)
class _Cell:
    """A token in the ribbon: what a format would write there, if that is another, and how far its
    distribution is from fp32's, as text, empty where it is not finite; `tie` where fp32's token is
    exactly as likely to it as the one that it would write."""

    own: str
    kl: str
    tie: bool


def _cells(report: Report, trial: Trial) -> list[_Cell]:
    likeliest = (top[0][0] for top in trial.top)
    differences = trial.by_position["kl_by_position"]
    every = zip(_likeliest(report), likeliest, changed(report, trial), differences, strict=True)
    return [
        _Cell(
            own if is_other else "",
            "" if kl is None else significant(kl),
            own != first and not is_other,
        )
        for first, own, is_other, kl in every
    ]


def _likeliest(report: Report) -> list[str]:
    """fp32's likeliest token at each position, which it has written unless tokens were drawn, or
    given."""
    first = report.results[0]
    return [top[0][0] for top in first.top] or list(first.pieces)


def kl_legend() -> list[tuple[int, str]]:
    """The steps of KL, each with its words."""
    lowest = say("below {kl:g}", kl=KL_STEPS[0])
    texts = [lowest, *(say("from {kl:g}", kl=step) for step in KL_STEPS)]
    return list(enumerate(texts))
