"""Numbers and formats in words: the same ones on the page, in files and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NONE = "–"

_STORED = {
    "fp32": "single precision, 32 bits",
    "fp16": "half precision: 5 bits exponent, 10 fraction",
    "bf16": "brain float: 8 bits exponent, 7 fraction",
    "fp8_e4m3": "8-bit floats, scaled: 4 bits exponent, 3 fraction",
    "fp8_e5m2": "8-bit floats, scaled: 5 bits exponent, 2 fraction",
}
_GRANULARITY = {"": "a row", "tensor": "a tensor", "axis1": "a column"}


def describe(variant: str) -> str:
    """What a variant's text form means, shortly.

    >>> describe("int4-g64-affine+emb@bf16")
    '4-bit integers, scale and zero point a group of 64; embeddings too; computes in bf16'
    >>> describe("bf16")
    'brain float: 8 bits exponent, 7 fraction'
    """
    rest, _, compute = variant.partition("@")
    stored, emb, _ = rest.partition("+emb")
    base, *options = stored.split("-")
    if base in ("fp32", "fp16", "bf16"):
        return _STORED[base]
    what = _STORED.get(base, f"{base.removeprefix('int')}-bit integers")
    what += f", {_scales(options)}"
    return "; ".join(
        [what, *(["embeddings too"] if emb else []), f"computes in {compute or 'fp32'}"]
    )


def computes(variant: str) -> str:
    """What a variant computes in, by its text form.

    >>> computes("fp16"), computes("int8+emb@bf16"), computes("int8")
    ('fp16', 'bf16', 'fp32')
    """
    stored, at, compute = variant.partition("@")
    return compute if at else stored if stored in ("fp16", "bf16") else "fp32"


def too_far(variant: str, first: Mapping[str, Any]) -> str:
    """Where numbers inside a model first went too far, and what became of them.

    >>> first = {"module": "a.wi", "infinite": 3, "nan": 0, "numbers": 4096, "clamped_in": None}
    >>> too_far("fp16", first)
    'Too large for fp16: of the 4,096 numbers out of a.wi, 3 became infinite.'
    """
    counts = ((first["infinite"], "infinite"), (first["nan"], "NaN"))
    became = joined([f"{count:,} became {what}" for count, what in counts if count])
    sentence = (
        f"Too large for {computes(variant)}: of the {first['numbers']:,} numbers out of "
        f"{first['module']}, {became}."
    )
    if first["clamped_in"] is None:
        return sentence
    where = first["clamped_in"] or "the model"
    return f"{sentence} {where} clamps them, so what follows is finite, and wrong."


def _scales(options: Sequence[str]) -> str:
    scale = "scale and zero point" if "affine" in options else "one scale"
    groups = [option for option in options if option[0] == "g"]
    where = next((option for option in options if option in _GRANULARITY), "")
    return f"{scale} {f'a group of {groups[0][1:]}' if groups else _GRANULARITY[where]}"


def megabytes(size: float | None) -> str:
    """Bytes in MB, 1 MB being 1,000,000 bytes, to three digits at least.

    >>> megabytes(307844608), megabytes(5867584), megabytes(1234)
    ('307.8 MB', '5.87 MB', '0.001 MB')
    """
    if size is None:
        return NONE
    mb = size / 1e6
    return f"{mb:,.1f} MB" if mb >= 100 else f"{mb:,.2f} MB" if mb >= 0.1 else f"{mb:.3f} MB"


def significant(value: float | None, digits: int = 3) -> str:
    """So many significant digits, without powers of ten where that reads well.

    >>> [significant(x) for x in (0, 0.0169, 12.345, 2541.2, 1.18e-7, None)]
    ['0', '0.0169', '12.3', '2,541', '1.18e-07', '–']
    """
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, decimals)}f}"


def percent(share: float | None) -> str:
    """A share in per cent, to a tenth where it is not whole.

    >>> percent(1.0), percent(0.875), percent(None)
    ('100%', '87.5%', '–')
    """
    return NONE if share is None else f"{100 * share:.1f}".removesuffix(".0") + "%"


def interval(share: float | None, low: float | None, high: float | None) -> str:
    """A share of a sample with its 95% interval; of all and of none, the end that is open.

    >>> interval(1.0, 0.566, 1.0), interval(0.8, 0.376, 0.964), interval(0.0, 0.0, 0.434)
    ('100%, at least 57%', '80%, 38 to 96%', '0%, at most 43%')
    """
    if share is None or low is None or high is None:
        return NONE
    if share in (0, 1):
        end = f"at least {100 * low:.0f}%" if share else f"at most {100 * high:.0f}%"
        return f"{percent(share)}, {end}"
    return f"{percent(share)}, {100 * low:.0f} to {100 * high:.0f}%"


def times(ratio: float | None) -> str:
    """A ratio as a factor.

    >>> times(2.849)
    '2.85×'
    """
    return NONE if ratio is None else f"{ratio:.2f}×"


def duration(seconds: float) -> str:
    """A time to wait, as exact as one cares.

    >>> duration(9.7), duration(75), duration(4000)
    ('10 s', '1 min 15 s', '1 h 6 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def read_as(tokens: Sequence[Mapping[str, Any]]) -> str:
    """How a prompt is read, in words; what its model does not know, or takes for a mark, by name.

    >>> read_as([{"piece": "<unk>", "text": "😀", "kind": "unknown"}])
    'read as 1 token; this model does not know 😀'
    """
    if not tokens:
        return ""
    sentence = f"read as {len(tokens)} token{'s' * (len(tokens) > 1)}"
    if unknown := _texts(tokens, "unknown"):
        sentence += f"; this model does not know {joined(unknown)}"
    if marks := _texts(tokens[:-1], "special"):
        sentence += f"; {joined(marks)} inside is a mark to it, not text"
    return sentence


def _texts(tokens: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """What tokens of that kind stand for, each once."""
    found = [token["text"] or token["piece"] for token in tokens if token["kind"] == kind]
    return list(dict.fromkeys(found))


def shortened(text: str, longest: int) -> str:
    """The first `longest` characters, where there are more.

    >>> shortened("reduced precision", 7), shortened("int8", 7)
    ('reduced…', 'int8')
    """
    return text if len(text) <= longest else f"{text[:longest]}…"


def joined(names: Sequence[str]) -> str:
    """A list in a sentence.

    >>> joined(["fp16", "bf16", "int8"])
    'fp16, bf16 and int8'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
