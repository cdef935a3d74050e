"""What there is to choose from, as tables and as JSON: for the terminal, the page and programs."""

from __future__ import annotations

from qdemo.spec.bits import COLUMNS, ROWS, bits_a_weight
from qdemo.spec.document import Json
from qdemo.spec.families import FAMILIES, PARTS, Family
from qdemo.spec.messages import say
from qdemo.spec.variant import Variant
from qdemo.views.formats import needs
from qdemo.views.numbers import NONE
from qdemo.views.tables import Table


def bits(variant: Variant) -> str:
    """Bits a weight, as they are written.

    >>> bits(Variant.parse("int4-g64")), bits(Variant.parse("int8"))
    ('4.5', '8.062')
    """
    return f"{bits_a_weight(variant):.4g}"


def told_for() -> str:
    """For what matrix bits are told."""
    return say(
        "Bits a weight are of {rows} × {columns} matrices, scales counted; the shorter a row, the "
        "more its scale costs. Of K-quants, rows that 256 does not divide get the format that "
        "llama.cpp takes for them.",
        rows=ROWS,
        columns=COLUMNS,
    )


def family_table(family: Family) -> Table:
    """The forms of a family."""
    rows = tuple(
        (form.text, bits(form.variant), ", ".join(needs(form.variant)) or NONE, form.also or NONE)
        for form in family.forms
    )
    head = (say("format"), say("bits a weight"), say("needs"), say("also called"))
    return Table(f"{say(family.name)}: {say(family.idea)}", head, rows, of_words=True)


def parts_table() -> Table:
    """What may stand behind a format."""
    rows = tuple((part.text, say(part.meaning), part.also or NONE) for part in PARTS)
    return Table(
        say("What may stand behind a format, in this order"),
        (say("part"), say("what it means"), say("also called")), rows, of_words=True,
    )  # fmt: skip


def as_json() -> Json:
    """All of it."""
    return {
        "matrix": [ROWS, COLUMNS],
        "families": [
            {
                "family": family.key,
                "idea": family.idea,
                "formats": [
                    {
                        "format": form.text,
                        "bits_per_weight": bits_a_weight(form.variant),
                        "needs": list(map(str, needs(form.variant))),
                        "also_called": form.also,
                    }
                    for form in family.forms
                ],
            }
            for family in FAMILIES
        ],
        "parts": [
            {"part": part.text, "meaning": part.meaning, "also_called": part.also} for part in PARTS
        ],
    }
