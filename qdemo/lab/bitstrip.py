"""One value in every float format, and in int8 where a scale is given, bit by bit.

>>> [row.stored for row in rows("1/3")[:3]]
['0.3333333432674408', '0.333251953125', '0.333984375']
>>> flip("1", "fp16", 15)
'fp16:0xbc00'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from qdemo.numerics.bits import Bits, from_pattern, from_value
from qdemo.numerics.exact import Exact, is_finite, to_exact
from qdemo.spec.formats import FORMATS, GRIDS, Format
from qdemo.spec.messages import say

FIRST = ("fp32", "fp16", "bf16", "fp8_e4m3", "e2m1")
LATER = ("fp64", "fp8_e5m2")
"""What is shown on demand."""

SHOWN = (*FIRST, *LATER)
FLOATS = {name: FORMATS.get(name) or GRIDS[name] for name in SHOWN}
"""The formats of those names."""
WORDS = ("max", "min", "smallest normal", "smallest subnormal", "eps", "pi", "e", "NaN", "inf")
_CONSTANTS = {
    "pi": "3.14159265358979323846264338327950288419716939937510",
    "e": "2.71828182845904523536028747135266249775724709369995",
}
_BY_DIGITS = {16: "fp64", 8: "fp32", 4: "fp16", 2: "fp8_e4m3"}


@dataclass(frozen=True)
class Row:
    """What a format makes of a value, in words.

    `parts` are (name, bits as text) from the first bit on; `digits` is the stored value with 60
    digits; `error` is stored minus wanted. `alarm` names what a person must not miss: overflow,
    clipped, underflow, or nothing.
    """

    format: str
    pattern: str
    parts: tuple[tuple[str, str], ...]
    stored: str
    digits: str
    error: str
    below: str
    above: str
    words: str
    alarm: str = ""


def rows(text: str, scale: str = "") -> list[Row]:
    """A row a format; with a `scale` one for int8 too.

    Raises:
        ValueError: `text` or `scale` can't be read; says what can.
    """
    found = [_row(text, name) for name in SHOWN]
    if scale.strip():
        found.append(_int8_row(_value(text), _scale(scale)))
    return found


def flip(text: str, format: str, bit: int, scale: str = "") -> str:
    """The text of the value that has one bit of one format toggled; bit 0 is the last."""
    if format == "int8":
        step = _scale(scale)
        number = (_nearest(_value(text), step) & 0xFF) ^ 1 << bit
        return _decimal((number - 256 if number > 127 else number) * step)
    flipped = _read(text, format)[0].flip(bit)
    return f"{format}:{flipped.pattern:#0{2 + flipped.format.bits // 4}x}"


def _row(text: str, name: str) -> Row:
    format = FLOATS[name]
    if not format.has_nan and _value(text) != _value(text):
        return _no_nan(format)
    return _float_row(*_read(text, name))


def _read(text: str, name: str) -> tuple[Bits, Exact]:
    """What a format stores, and what was wanted of it."""
    format = FLOATS[name]
    word = _word(text, format)
    wanted = _value(text) if word is None else to_exact(word)
    pattern = _pattern(text)
    own = pattern is not None and str(pattern.format) == name  # a NaN has many, each with its bits
    return (pattern if own and pattern else from_value(wanted, format)), wanted


def _pattern(text: str) -> Bits | None:
    """The bits that the text spells out, or None where it is a value."""
    found = re.fullmatch(r"(?:(\w+):)?(0x[0-9a-f]+|0b[01]+)", text.strip().lower())
    if not found:
        return None
    format = FLOATS[_format_of(found[1], found[2])]
    if len(found[2]) > 2 + format.bits:
        raise ValueError(
            say(
                "{pattern} does not fit the {bits} bits of {format}",
                pattern=found[2][:40],
                bits=format.bits,
                format=format,
            )
        )
    return from_pattern(found[2], format)


def _word(text: str, format: Format) -> float | None:
    """A word that means another number in each format."""
    key = text.strip().lower().replace(" ", "_")
    names = ("max", "min", "smallest_normal", "smallest_subnormal", "eps")
    return getattr(format, key) if key in names else None


def _value(text: str) -> Exact:
    key = text.strip().lower()
    if _word(key, FORMATS["fp32"]) is not None:
        return to_exact(_word(key, FORMATS["fp32"]) or 0.0)
    if key in _CONSTANTS:
        return to_exact(_CONSTANTS[key])
    pattern = _pattern(key)
    if pattern:
        return pattern.value
    try:
        return to_exact(text.strip())
    except ValueError:
        raise ValueError(
            say(
                "{found!r} is no number; type a decimal, a fraction such as 1/3, a pattern "
                "such as 0x3C00 or bf16:0x3F80, or one of {names}",
                found=text.strip()[:40],
                names=", ".join(WORDS),
            )
        ) from None


def _format_of(name: str | None, digits: str) -> str:
    """The format that a pattern is of: as named, or by the number of its digits."""
    if name is None and digits.startswith("0x"):
        name = _BY_DIGITS.get(len(digits) - 2)
    if name not in SHOWN:
        raise ValueError(
            say(
                "which format is {found} a pattern of? Write 16, 8, 4 or 2 digits for fp64, "
                "fp32, fp16 or fp8_e4m3, or the name before it: bf16:0x3F80",
                found=digits[:40],
            )
        )
    return name


def _float_row(bits: Bits, wanted: Exact) -> Row:
    format, alarm = bits.format, _alarm(bits, wanted)
    return Row(
        format=str(format),
        pattern=f"0x{bits.pattern:0{format.bits // 4}X}",
        parts=_parts(format, f"{bits.pattern:0{format.bits}b}"),
        stored=_decimal(bits.value),
        digits=bits.decimal(60),
        error=_error(bits.error(wanted), wanted),
        below=_decimal(bits.below.value) if bits.below else "none",
        above=_decimal(bits.above.value) if bits.above else "none",
        words=_words(bits, alarm),
        alarm=alarm,
    )


def _parts(format: Format, text: str) -> tuple[tuple[str, str], ...]:
    """The bits of a float, by what they are."""
    middle = 1 + format.exponent_bits
    return ("sign", text[0]), ("exponent", text[1:middle]), ("fraction", text[middle:])


def _no_nan(format: Format) -> Row:
    """Of NaN in a format that has none: no pattern stands for it."""
    parts = _parts(format, "–" * format.bits)
    words = say("{format} has no NaN: nothing is stored", format=format)
    return Row(str(format), "–", parts, "none", "–", "–", "none", "none", words, "overflow")


def _int8_row(wanted: Exact, step: Fraction) -> Row:
    q = _nearest(wanted, step)
    stored = q * step
    clipped = abs(Fraction(wanted) / step) > Fraction(255, 2)
    return Row(
        format="int8",
        pattern=f"0x{q & 0xFF:02X}",
        parts=(("integer", f"{q & 0xFF:08b}"),),
        stored=_decimal(stored),
        digits=_decimal(stored),
        error=_error(stored - Fraction(wanted), wanted),
        below=_decimal((q - 1) * step) if q > -127 else "none",
        above=_decimal((q + 1) * step) if q < 127 else "none",
        words=f"q = {q}; {'clipped at the end of the range' if clipped else f'{q} · scale'}",
        alarm="clipped" if clipped else "",
    )


def _nearest(wanted: Exact, step: Fraction) -> int:
    """q = clamp(round(x / scale), −127, 127), half to even."""
    if not is_finite(wanted):
        raise ValueError(
            say("int8 has no NaN and no infinity; take the scale away, or another value")
        )
    return max(-127, min(127, round(Fraction(wanted) / step)))


def _scale(text: str) -> Fraction:
    try:
        step = Fraction(to_exact(text.strip()))
    except (ValueError, OverflowError):  # letters, NaN; infinity
        step = Fraction(0)
    if step <= 0:
        raise ValueError(
            say(
                "{found!r} is no scale; type a number above 0, such as 0.01",
                found=text.strip()[:40],
            )
        )
    return step


def _decimal(value: Exact) -> str:
    try:
        return repr(float(value)).replace("inf", "infinity").replace("nan", "NaN")
    except OverflowError:
        return "beyond 1.8e308"


def _error(error: Exact, wanted: Exact) -> str:
    if error == 0:
        return "exact"
    if not is_finite(error):
        return say("NaN is stored as NaN") if wanted != wanted else "infinite"
    relative = ""
    if is_finite(wanted) and wanted:
        share = float(abs(Fraction(error) / Fraction(wanted)))
        relative = f" ({share:.2%})" if share >= 1e-4 else f" ({share:.1e} of it)"
    return f"{_rounded(Fraction(error))}{relative}"


def _rounded(error: Fraction) -> str:
    """Three digits, of thousands all; a fraction can be beyond what a float holds."""
    try:
        number = float(error)
        return f"{number:+,.0f}" if 1e3 <= abs(number) < 1e7 else f"{number:+.3g}"
    except OverflowError:
        return "more than 1e308"


def _is_beyond(wanted: Exact, format: Format) -> bool:
    exact = wanted if isinstance(wanted, float) else Fraction(wanted)
    return bool(exact > format.rounds_to_max or -exact > format.rounds_to_max)


def _words(bits: Bits, alarm: str) -> str:
    """What happened on the way into the format."""
    match alarm:
        case "overflow":
            return say("too large for this format: overflows to infinity")
        case "clipped":
            return say("too large for this format: stays at {max:g}", max=bits.format.max)
        case "underflow":
            return say("too small for this format: underflows to zero")
    if bits.kind == "subnormal":
        left = bits.fraction.bit_length()
        return say(
            "subnormal: {left} of {digits} binary digits are left",
            left=left,
            digits=bits.format.fraction_bits + 1,
        )
    return bits.kind


def _alarm(bits: Bits, wanted: Exact) -> str:
    if bits.format.finite_only and _is_beyond(wanted, bits.format):
        return "clipped"
    if is_finite(wanted) and not is_finite(bits.value):
        return "overflow"
    return "underflow" if bits.kind == "zero" and wanted != 0 else ""
