"""Evaluations made by hand, for what shows them."""

from qdemo.spec.evidence import HELD_OUT, Data, Evidence, Item, Judged, Outcome
from qdemo.spec.setting import Machine
from qdemo.views.evidence_points import Findings

RIGHT, WRONG = "seven blue <b>cats</b>", "seven red cats"


def evidence(outcomes, expected=True, kind="items", name=HELD_OUT):
    """fp32 and formats, each with its outcomes; as many items as fp32 has gone through."""
    count = len(next(iter(outcomes.values())))
    items = tuple(
        Item(f"question {i}", RIGHT if expected else None, ("sums", "words")[i % 2])
        for i in range(count)
    )
    judged = tuple(
        Judged(format, 1_000_000 * (8 - at), None if at == 0 else 8.0 / at, 0.1, tuple(each), 1.0)
        for at, (format, each) in enumerate(outcomes.items())
    )
    machine = Machine("a processor", 2, "3.12", "2.13", "5.0")
    data = Data(name, kind, 990, "0" * 64)
    return Evidence("t5-tiny", data, items, 3, 64, 64, machine, judged, "2026-11-27T18:50:00+00:00")


def right(kl=1e-4):
    return Outcome(RIGHT, kl, 3, 3)


def wrong(kl=0.5):
    return Outcome(WRONG, kl, 2, 3)


def three(count=40):
    """fp32 all right; int8 the same; int2 wrong in every fourth."""
    return Findings(
        evidence(
            {
                "fp32": [right(0.0)] * count,
                "int8": [right()] * count,
                "int2": [right() if i % 4 else wrong() for i in range(count)],
            }
        )
    )


def of_text():
    """Windows of a text."""

    def windows(loss):
        return [Outcome("", 0.1, 200, 256, loss + 0.01 * i) for i in range(6)]

    made = {"fp32": windows(2.0), "int8": windows(2.001), "int2": windows(3.0)}
    return Findings(evidence(made, expected=False, kind="text", name="book.txt"))
