"""What to see in each chart, in a sentence written from its numbers."""

from __future__ import annotations

from qdemo.spec.report import Report, Trial, Values
from qdemo.views.wording import joined, megabytes, significant

IDEAL_STEPS = 12**-0.5
"""RMS of a rounding error that is spread evenly over one step (Bennett, 1948)."""


def memory(report: Report) -> str:
    """Why a format isn't as small as its bits say."""
    split = [trial for trial in report.variants if _is_split(trial)]
    if not split:
        return "Every weight is in its format, so the bytes follow the bits."
    held, whole = split[0].footprint, report.results[0].footprint.total
    return (
        f"Of the {megabytes(held.total)} that {split[0].format} holds, "
        f"{megabytes(held.by_kind['float weights'])} are still float weights (embeddings, norms, "
        f"biases) and {megabytes(held.by_kind['scales and zero points'])} are scales: "
        f"that is why it is {whole / held.total:.2f} times smaller and no more."
    )


def _is_split(trial: Trial) -> bool:
    kinds = trial.footprint.by_kind
    share = kinds["float weights"] / trial.footprint.total
    return bool(kinds["quantized weights"] and share > 0.05)


def logits(report: Report) -> str:
    """Where the next token is in most doubt, and whether it changes."""
    pieces = report.results[0].pieces
    broken = [t.format for t in report.variants if t.figures.get("logit_invalid_positions")]
    if broken:
        return f"The logits of {joined(broken)} are not finite everywhere: numbers overflowed."
    worst, position, kl = _worst_position(report)
    if worst is None:
        return "No format changes anything here."
    changed = [t.format for t in report.variants if (t.figures.get("logit_same_top") or 0) < 1]
    where = f"{worst} differs most at token {position + 1}, {pieces[position]}: {kl} nats"
    if not changed:
        return f"{where}. No format changes the likeliest token anywhere."
    return f"{where}. The likeliest token changes somewhere in {', '.join(changed)}."


def _worst_position(report: Report) -> tuple[str | None, int, str]:
    worst, position, most = None, 0, 0.0
    for trial in report.variants:
        for i, kl in enumerate(trial.by_position["kl_by_position"]):
            if kl is not None and kl > most:
                worst, position, most = trial.format, i, kl
    return worst, position, significant(most)


def weights(report: Report, parameter: str) -> str:
    """Which format keeps the weights best and worst, and how even the rounding is."""
    every = [(trial.format, figures) for trial, figures in _errors(report, parameter)]
    overflowed = [name for name, figures in every if figures["overflowed"]]
    if overflowed:
        return f"{joined(overflowed)} can't hold {parameter}: some of it became infinite."
    kept = [
        (decibels, figures["rms_steps"], name)
        for name, figures in every
        if (decibels := figures["sqnr_db"]) is not None
    ]
    if not kept:
        return f"No format changes {parameter}."
    best, worst = max(kept, key=_first), min(kept, key=_first)
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


def _first(found: tuple[float, float | None, str]) -> float:
    return found[0]


def _errors(report: Report, parameter: str) -> list[tuple[Trial, Values]]:
    """What each format that changes a parameter made of it."""
    return [
        (trial, trial.weights[parameter].figures)
        for trial in report.variants
        if parameter in trial.weights
    ]


def hardest(report: Report) -> str:
    """The matrix that suffers most."""
    every = [
        (name, trial.format, figures)
        for name in report.matrices
        for trial, figures in _errors(report, name)
    ]
    lost = [f"{name} in {format}" for name, format, figures in every if figures["overflowed"]]
    if lost:
        return f"Overflowed, so without an SQNR: {', '.join(lost[:3])}."
    found = [
        (decibels, name, format)
        for name, format, figures in every
        if (decibels := figures["sqnr_db"]) is not None
    ]
    if not found:
        return "Every matrix is kept exactly."
    decibels, name, format_ = min(found)
    return (
        f"The matrix that suffers most is {name}: {significant(decibels)} dB in {format_}. "
        "Gaps are matrices that a format leaves exactly as they were."
    )
