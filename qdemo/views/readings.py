"""What to see in each chart, in a sentence written from its numbers."""

from __future__ import annotations

from typing import Any

from qdemo.document import Document, matrices, variants
from qdemo.views.wording import joined, megabytes, significant

IDEAL_STEPS = 12**-0.5
"""RMS of a rounding error that is spread evenly over one step (Bennett, 1948)."""


def memory(document: Document) -> str:
    """Why a format isn't as small as its bits say."""
    split = [result for result in variants(document) if _is_split(result)]
    if not split:
        return "Every weight is in its format, so the bytes follow the bits."
    result = split[0]
    kinds = result["footprint"]["by_kind"]
    left = kinds["float weights"]
    return (
        f"Of the {megabytes(result['bytes'])} that {result['format']} holds, {megabytes(left)} are "
        f"still float weights (embeddings, norms, biases) and "
        f"{megabytes(kinds['scales and zero points'])} are scales: "
        f"that is why it is {result['times_smaller']:.2f} times smaller and no more."
    )


def _is_split(result: dict[str, Any]) -> bool:
    kinds = result["footprint"]["by_kind"]
    return bool(kinds["quantized weights"] and kinds["float weights"] > 0.05 * result["bytes"])


def logits(document: Document) -> str:
    """Where the next token is in most doubt, and whether it changes."""
    pieces = document["results"][0]["pieces"]
    broken = [r["format"] for r in variants(document) if r["logit_invalid_positions"]]
    if broken:
        return f"The logits of {joined(broken)} are not finite everywhere: numbers overflowed."
    worst, position, kl = _worst_position(document)
    if worst is None:
        return "No format changes anything here."
    changed = [r["format"] for r in variants(document) if r["logit_same_top"] < 1]
    where = f"{worst} differs most at token {position + 1}, {pieces[position]}: {kl} nats"
    if not changed:
        return f"{where}. No format changes the likeliest token anywhere."
    return f"{where}. The likeliest token changes somewhere in {', '.join(changed)}."


def _worst_position(document: Document) -> tuple[str | None, int, str]:
    worst, position, most = None, 0, 0.0
    for result in variants(document):
        for i, kl in enumerate(result["kl_by_position"]):
            if kl is not None and kl > most:
                worst, position, most = result["format"], i, kl
    return worst, position, significant(most)


def weights(document: Document, parameter: str) -> str:
    """Which format keeps the weights best and worst, and how even the rounding is."""
    overflowed = [
        result["format"]
        for result in variants(document)
        if (error := result["weights"].get(parameter)) and error["overflowed"]
    ]
    if overflowed:
        return f"{joined(overflowed)} can't hold {parameter}: some of it became infinite."
    kept = [
        (error["sqnr_db"], error["rms_steps"], result["format"])
        for result in variants(document)
        if (error := result["weights"].get(parameter)) and error["sqnr_db"] is not None
    ]
    if not kept:
        return f"No format changes {parameter}."
    best, worst = max(kept), min(kept)
    sentence = f"{best[2]} keeps {parameter} best, with {significant(best[0])} dB"
    if worst is not best:
        sentence += f"; {worst[2]} worst, with {significant(worst[0])} dB (6 dB are one bit)"
    steps = next((rms for _, rms, _ in kept if rms is not None), None)
    if steps is None:
        return f"{sentence}."
    return (
        f"{sentence}. Rounding to integers costs {steps:.3f} steps RMS where even rounding "
        f"would cost {IDEAL_STEPS:.3f}."
    )


def hardest(document: Document) -> str:
    """The matrix that suffers most."""
    found = [
        (error["sqnr_db"], name, result["format"])
        for result in variants(document)
        for name in matrices(document)
        if (error := result["weights"].get(name)) and error["sqnr_db"] is not None
    ]
    lost = [
        f"{name} in {result['format']}"
        for result in variants(document)
        for name in matrices(document)
        if (error := result["weights"].get(name)) and error["overflowed"]
    ]
    if lost:
        return f"Overflowed, so without an SQNR: {', '.join(lost[:3])}."
    if not found:
        return "Every matrix is kept exactly."
    decibels, name, format_ = min(found)
    return (
        f"The matrix that suffers most is {name}: {significant(decibels)} dB in {format_}. "
        "Gaps are matrices that a format leaves exactly as they were."
    )
