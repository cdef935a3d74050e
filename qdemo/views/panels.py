"""The parts of a document as HTML: verdict, cards, tables, token ribbon, likeliest tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdemo.document import Document, variants
from qdemo.views.cards import Card
from qdemo.views.plots import colours
from qdemo.views.tables import Table
from qdemo.views.templates import fill
from qdemo.views.verdict import kept_note, verdict
from qdemo.views.wording import duration, megabytes, percent, read_as, significant

KL_STEPS = (1e-6, 1e-4, 1e-2, 1.0)
"""Where the ribbon's colour changes, in nats."""


def verdict_html(document: Document, note: str = "") -> str:
    """The verdict with what was asked; `note` says where the figures come from."""
    return _verdict(document, verdict(document), note or kept_note(document))


def running_html(document: Document) -> str:
    """What stands in the verdict's place until there is one."""
    return _verdict(document, ["Running one format after the other, fp32 first."], "")


def _verdict(document: Document, sentences: Sequence[str], note: str) -> str:
    return fill(
        "verdict",
        sentences=sentences,
        note=note,
        model=document["model"],
        input=document["input"],
        read=document["read"],
        reading=read_as(document["read"]),
    )


def download_html(
    model: str, done: int, total: int, per_second: float | None, seconds_left: float | None
) -> str:
    """How far a download is: a bar, and bytes, speed and time left in words."""
    words = [f"{done / 1e6:,.0f} of {megabytes(total)}"]
    if per_second is not None and seconds_left is not None:
        words += [f"{per_second / 1e6:,.1f} MB/s", f"{duration(seconds_left)} left"]
    return fill("download", model=model, done=done, total=total, words=", ".join(words))


def cards_html(cards: Sequence[Card]) -> str:
    """All cards, side by side."""
    return fill("cards", cards=cards, columns=_columns(len(cards)))


def table_html(table: Table) -> str:
    """A table that scrolls in itself where it is wider than its place."""
    return fill("table", table=table)


def ribbon_html(document: Document, chosen: int = 0) -> str:
    """fp32's tokens, and for each format how far it is from them, as cells that can be chosen."""
    rows = [
        {"format": result["format"], "cells": _cells(document, result, chosen if i == 0 else -1)}
        for i, result in enumerate(variants(document))
    ]
    return fill("ribbon", tokens=_pieces(document), rows=rows, legend=_legend())


def top_html(document: Document, position: int) -> str:
    """The likeliest tokens of each format at one position of fp32's answer."""
    if not document["results"]:
        return ""
    written = _pieces(document)[position]
    lists = [
        {
            "format": result["format"],
            "colour": colours(document)[result["format"]],
            "tokens": [
                (token, percent(share), f"{100 * share:.1f}%", token == written)
                for token, share in result["top"][position]
            ],
        }
        for result in document["results"]
    ]
    title = f"The five likeliest tokens where fp32 writes {written} (token {position + 1})"
    return fill("top", title=title, lists=lists, columns=_columns(len(lists)))


def _columns(count: int) -> int:
    """Rows of the same length where that can be; six are three and three."""
    return count if count < 6 else -(-count // 2)


def _pieces(document: Document) -> list[str]:
    return list(document["results"][0]["pieces"]) if document["results"] else []


def _cells(document: Document, result: dict[str, Any], chosen: int) -> list[dict[str, Any]]:
    cells = []
    for i, (written, kl) in enumerate(
        zip(_pieces(document), result["kl_by_position"], strict=True)
    ):
        own = result["top"][i][0][0]
        differs = "" if own == written else f", would write {own}"
        nats = "not finite" if kl is None else f"{significant(kl)} nats"
        cells.append(
            {
                "text": "" if own == written else own,
                "step": _step(kl),
                "title": f"{result['format']}, token {i + 1} {written}: {nats}{differs}",
                "chosen": i == chosen,
            }
        )
    return cells


def _step(kl: float | None) -> int:
    return len(KL_STEPS) if kl is None else sum(kl >= step for step in KL_STEPS)


def _legend() -> list[tuple[int, str]]:
    texts = [f"below {KL_STEPS[0]:g}", *(f"from {step:g}" for step in KL_STEPS)]
    return list(enumerate(texts))
