"""One card a format: waiting, writing, done, failed or stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qdemo.document import Document
from qdemo.measure.outputs import differing_words
from qdemo.views.plots import colours
from qdemo.views.tables import position, same_top
from qdemo.views.wording import (
    NONE,
    computes,
    describe,
    joined,
    megabytes,
    significant,
    times,
    too_far,
)

_NOT_RUN = "Not run: without fp32 there is nothing to compare with."
State = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Card:
    """What a card shows, in words.

    `words` are runs of the output with whether they differ from fp32's; `share` is of fp32's
    memory.
    """

    format: str
    about: str
    colour: str
    state: State
    words: tuple[tuple[str, bool], ...] = ()
    reason: str = ""
    size: str = ""
    smaller: str = ""
    share: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def cards(document: Document, running: Mapping[str, str] | None = None) -> list[Card]:
    """A card for each format of `document`, which may be under way.

    `running` has the output so far of the formats that are being run; those that are neither
    there nor in the document wait.
    """
    results = {result["format"]: result for result in document["results"]}
    failures = {failure["format"]: failure["reason"] for failure in document["failures"]}
    stopped = {stopped["format"]: stopped["reason"] for stopped in document["stopped"]}
    reference = document["results"][0] if document["results"] else None
    if document["failures"] and not reference:  # fp32 comes first
        failures = dict.fromkeys(document["formats"], _NOT_RUN) | failures
    found = []
    for name, colour in colours(document).items():
        base = Card(name, describe(name), colour, "waiting")
        if name in results:
            done = _done(base, results[name], reference or results[name])
            found.append(_changed(done, notes=tuple(_notes(name, document["kept_wide"]))))
        elif name in failures:
            found.append(_changed(base, state="failed", reason=failures[name]))
        elif name in stopped:
            found.append(_changed(base, state="stopped", reason=stopped[name]))
        elif running and name in running:
            found.append(_changed(base, state="running", words=((running[name], False),)))
        else:
            found.append(base)
    return found


def _changed(card: Card, **fields: Any) -> Card:
    return Card(**{**vars(card), **fields})


def _words(text: str, reference: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
    """Runs of text with whether they differ; the blanks after one that does are not marked."""
    found: list[tuple[str, bool]] = []
    for run, differs in differing_words(reference["output"], text):
        bare = run.rstrip() if differs else run
        found += [(bare, differs), (run[len(bare) :], False)]
    return tuple((run, differs) for run, differs in found if run)


def _done(card: Card, result: dict[str, Any], reference: dict[str, Any]) -> Card:
    is_reference = result is reference
    smaller = "the reference" if is_reference else f"{times(result['times_smaller'])} smaller"
    return _changed(
        card,
        state="done",
        words=_words(result["output"], reference),
        size=megabytes(result["bytes"]),
        smaller=smaller,
        share=f"{100 * result['bytes'] / reference['bytes']:.0f}%",
        figures=_speed(result) if is_reference else (*_speed(result), *_difference(result)),
        warnings=tuple(_warnings(result)),
    )


def _speed(result: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return (
        ("first token", f"{significant(result['first_token_ms'])} ms"),
        ("each further", _milliseconds(result["token_ms"])),
    )


def _milliseconds(value: float | None) -> str:
    return NONE if value is None else f"{significant(value)} ms"


def _difference(result: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return (
        ("mean |Δlogit|", significant(result["logit_mean_abs"])),
        ("max |Δlogit|", significant(result["logit_max_abs"])),
        ("KL from fp32", f"{significant(result['logit_kl_mean'])} nats"),
        ("same top token", same_top(result)),
        ("diverges at token", "never" if position(result) == NONE else position(result)),
        ("weights' SQNR", _sqnr(result)),
        *_largest(result),
    )


def _largest(result: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """How near to its end the numbers inside come, where that is near enough to matter."""
    if computes(result["format"]) != "fp16" or not result["span"]:
        return ()
    return (("largest activation", f"{significant(result['span']['largest'])} of 65,504"),)


def _sqnr(result: dict[str, Any]) -> str:
    if result["weight_rms"] == 0:
        return "exact"
    value = result["weight_sqnr_db"]
    return NONE if value is None else f"{significant(value)} dB"


def _notes(format: str, kept_wide: Sequence[str]) -> list[str]:
    """Which fp16 it is."""
    if format != "fp16" or not kept_wide:
        return []
    names = joined(sorted({name.rpartition(".")[2] for name in kept_wide}))
    return [
        f"Every weight is fp16 here. transformers' from_pretrained(dtype=torch.float16) would keep "
        f"{len(kept_wide)} layers in fp32: those named {names}."
    ]


def _warnings(result: dict[str, Any]) -> list[str]:
    found = []
    if result["weight_overflowed"]:
        count = result["weight_overflowed"]
        found.append(f"{count:,} weight{'s' * (count != 1)} overflowed to infinity.")
    if result["logit_invalid_positions"]:
        count = result["logit_invalid_positions"]
        found.append(f"At {count} token{'s' * (count != 1)} the logits are not finite.")
    if result["span"] and result["span"]["overflow"]:
        found.append(too_far(result["format"], result["span"]["overflow"]))
    found += [
        f"Held twice: {tie['quantized']} was tied to {tie['float']}, which stays float "
        f"({megabytes(tie['float_bytes'])}). +emb shares it."
        for tie in result["footprint"]["split_ties"]
    ]
    return found
