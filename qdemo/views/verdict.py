"""What came out, in two or three plain sentences, each written from the document's numbers."""

from __future__ import annotations

from typing import Any

from qdemo.document import Document
from qdemo.views.wording import joined, megabytes


def verdict(document: Document) -> list[str]:
    """Sentences on what the formats say, on what they weigh, and on what failed."""
    if not document["results"]:
        ended = "failed" if document["failures"] else "was stopped"
        return [f"fp32 itself {ended}, so there is nothing to compare with."]
    reference, *others = document["results"]
    same = [result for result in others if result["first_divergent_token"] is None]
    sentences = [*_sayings(same, others), *_weights(reference, same or others)]
    failed = [failure["format"] for failure in document["failures"]]
    if failed:
        where = "the card says" if len(failed) == 1 else "the cards say"
        sentences.append(f"{joined(failed)} failed; {where} why.")
    sentences += _stopped([stopped["format"] for stopped in document["stopped"]])
    return sentences + [
        f"Inside {result['format']}, numbers went too far for it; its card says where."
        for result in others
        if result["span"] and result["span"]["overflow"]
    ]


def _stopped(names: list[str]) -> list[str]:
    if not names:
        return []
    were, they = ("was", "it") if len(names) == 1 else ("were", "they")
    return [f"{joined(names)} {were} stopped before {they} finished."]


def kept_note(document: Document) -> str:
    """What was not computed just now, and when it was; empty where everything was."""
    kept = document["kept"]
    if not kept:
        return ""
    first = min(row["computed"] for row in document["results"] if row["format"] in kept)
    day, _, time = first[:16].partition("T")
    computed = f"{joined(kept)} {'was' if len(kept) == 1 else 'were'} computed earlier"
    return f"{computed} for this same input and kept here, first on {day} at {time} UTC."


def _sayings(same: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[str]:
    names = [result["format"] for result in same]
    sentences = []
    if names:
        verb = "says" if len(names) == 1 else "say"
        sentences.append(f"{joined(names)} {verb} exactly what fp32 says.")
    apart: dict[int, list[str]] = {}
    for result in others:
        if result not in same:
            apart.setdefault(result["first_divergent_token"], []).append(result["format"])
    for position, names in apart.items():
        verb = "diverges" if len(names) == 1 else "diverge"
        sentences.append(f"{joined(names)} {verb} from fp32 at token {position}.")
    return sentences


def _weights(reference: dict[str, Any], candidates: list[dict[str, Any]]) -> list[str]:
    """The smallest of them beside fp32, and why it isn't smaller still."""
    if not candidates:
        return []
    best = min(candidates, key=lambda result: int(result["bytes"]))
    sentence = (
        f"{best['format']} is {best['times_smaller']:.2f} times smaller than fp32, "
        f"{megabytes(best['bytes'])} instead of {megabytes(reference['bytes'])}"
    )
    return [f"{sentence}{_with_embeddings(reference, best)}."]


def _with_embeddings(reference: dict[str, Any], best: dict[str, Any]) -> str:
    size = best["bytes_with_embeddings"]
    if size is None or size >= best["bytes"]:
        return ""
    times = reference["bytes"] / size
    return f"; it would be {times:.2f} times if the embeddings were quantized too"
