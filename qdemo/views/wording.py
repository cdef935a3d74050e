"""Numbers and formats in words: the same ones on the page, in files and in the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from qdemo.spec.figure import Figure
from qdemo.spec.footprint import WHY, Coverage, Footprint
from qdemo.spec.formats import GRIDS
from qdemo.spec.report import InputToken, Overflow, Values
from qdemo.spec.scheme import COMPUTE_FORMATS, Scheme
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant

NONE = "–"

_STORED = {
    "fp32": "single precision, 32 bits",
    "fp16": "half precision: 5 bits exponent, 10 fraction",
    "bf16": "brain float: 8 bits exponent, 7 fraction",
    "fp8_e4m3": "8-bit floats, scaled: 4 bits exponent, 3 fraction",
    "fp8_e5m2": "8-bit floats, scaled: 5 bits exponent, 2 fraction",
}
_NAMED = {
    "nf4": "NormalFloat codebook of 16 levels",
    "nf3": "NormalFloat codebook of 8 levels",
    "nf2": "NormalFloat codebook of 4 levels",
    "fp4bnb": "bitsandbytes' float codebook of 16 levels",
}


def describe(variant: str) -> str:
    """What a variant's text form means, shortly.

    >>> describe("int4-g64-affine+emb@bf16")
    '4-bit integers, scale and zero point a group of 64; embeddings too; computes in bf16'
    >>> describe("bf16")
    'brain float: 8 bits exponent, 7 fraction'
    >>> describe("int4~lm_head=int8")
    '4-bit integers, one scale a row; lm_head: 8-bit integers, one scale a row; computes in fp32'
    """
    found = Variant.parse(variant)
    exceptions = [f"{name}: {_step(step)}" for name, step in found.exceptions]
    if found.scheme is None:
        return "; ".join([_STORED[found.compute], *exceptions])
    embeddings = ["embeddings too"] if found.embeddings else []
    computes = f"computes in {found.compute}"
    return "; ".join([_step(found.default), *embeddings, *exceptions, computes])


def _step(step: Step) -> str:
    if step.scheme is None:
        return step.cast or COMPUTE_FORMATS[0]
    grid = GRIDS[step.scheme.grid]
    what = _STORED.get(grid.name) or _NAMED.get(grid.name)
    if what is None:
        kind = "integers" if grid.kind == "integer" else "floats" if grid.is_float else "codes"
        what = f"{grid.bits}-bit {kind}"
    return f"{what}, {_scales(step.scheme)}"


def _scales(scheme: Scheme) -> str:
    scale = "one scale" if scheme.symmetric else "scale and zero point"
    if scheme.group_size:
        return f"{scale} a group of {scheme.group_size}"
    return f"{scale} a {({0: 'row', None: 'tensor'}).get(scheme.axis, 'column')}"


def computes(variant: str) -> str:
    """What a variant computes in, by its text form.

    >>> computes("fp16"), computes("int8+emb@bf16"), computes("int8")
    ('fp16', 'bf16', 'fp32')
    """
    return Variant.parse(variant).compute


def too_far(variant: str, first: Overflow) -> str:
    """Where numbers inside a model first went too far, and what became of them.

    >>> too_far("fp16", Overflow("a.wi", infinite=3, nan=0, numbers=4096))
    'Too large for fp16: of the 4,096 numbers out of a.wi, 3 became infinite.'
    """
    counts = ((first.infinite, "infinite"), (first.nan, "NaN"))
    became = joined([f"{count:,} became {what}" for count, what in counts if count])
    sentence = (
        f"Too large for {computes(variant)}: of the {first.numbers:,} numbers out of "
        f"{first.module}, {became}."
    )
    if first.clamped_in is None:
        return sentence
    where = first.clamped_in or "the model"
    return f"{sentence} {where} clamps them, so what follows is finite, and wrong."


def written(figure: Figure, values: Values, none: str = NONE) -> str:
    """A figure as text, without its unit.

    >>> sqnr = Figure("sqnr", "SQNR", "", unit="dB", zero="rms")
    >>> written(sqnr, {"sqnr": 45.123}), written(sqnr, {"sqnr": None, "rms": 0}), written(sqnr, {})
    ('45.1', 'exact', '–')
    """
    value = values.get(figure.key)
    if value is None:
        return "exact" if figure.zero and values.get(figure.zero) == 0 else none
    match figure.form:
        case "count" | "position":
            return f"{value:,.0f}"
        case "bytes":
            return megabytes(value)
        case "times":
            return times(value)
        case "share":
            return interval(value, values.get(figure.low), values.get(figure.high))
    return significant(value, figure.digits)


def covers(held: Footprint, coverage: Coverage | None) -> list[str]:
    """What a person should know of a format that quantizes little, or saves little: why, and what
    is held twice.

    >>> from qdemo.spec.footprint import Left
    >>> gpt = Coverage(100, 30, (Left("Conv1D", "class", 70, 1, "c_attn.weight"),), 200)
    >>> for sentence in covers(Footprint(231, {}, {}), gpt):
    ...     print(sentence)
    Only 30% of the parameters are quantized; 70% stay float, Conv1D: there is no quantized class.
    It is no smaller than the bf16 cast, which holds 0.000 MB and quantizes nothing.
    """
    sentences = [
        f"Held twice: {tie.quantized} was tied to {tie.float}, which stays float "
        f"({megabytes(tie.float_bytes)}). +emb shares it."
        for tie in held.split_ties
    ]
    if coverage is None or not coverage.quantized:
        return sentences
    if coverage.is_low:
        share = f"Only {percent(coverage.share)} of the parameters are quantized"
        sentences.append("; ".join([share, *_left(coverage)]) + ".")
    if not coverage.saves(held):
        sentences.append(
            f"It is no smaller than the bf16 cast, which holds {megabytes(coverage.bf16_bytes)} "
            "and quantizes nothing."
        )
    return sentences


def _left(coverage: Coverage) -> list[str]:
    """The larger parts that stay float, and why."""
    return [
        f"{percent(left.parameters / coverage.parameters)} stay float, {left.kind}: {WHY[left.why]}"
        for left in coverage.left
        if left.parameters >= _WORTH_TELLING * coverage.parameters
    ]


_WORTH_TELLING = 0.05


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


def read_as(tokens: Sequence[InputToken]) -> str:
    """How a prompt is read, in words; what its model does not know, or takes for a mark, by name.

    >>> read_as([InputToken("<unk>", "😀", "unknown")])
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


def _texts(tokens: Sequence[InputToken], kind: str) -> list[str]:
    """What tokens of that kind stand for, each once."""
    found = [token.text or token.piece for token in tokens if token.kind == kind]
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


def differing_words(reference: str, other: str) -> list[tuple[str, bool]]:
    """`other` cut into runs of text, each with whether its words differ from the reference's.

    The runs join to `other` again. Words are compared, the blanks between them are not.

    >>> differing_words("a dog on the beach", "a cat on the beach")
    [('a ', False), ('cat ', True), ('on the beach', False)]
    """
    words, wanted = _words(other), _words(reference)
    matcher = SequenceMatcher(None, _bare(wanted), _bare(words), autojunk=False)
    return [
        ("".join(words[start:end]), tag != "equal")
        for tag, _, _, start, end in matcher.get_opcodes()
        if start < end
    ]


def _words(text: str) -> list[str]:
    """Words with the blanks that follow them; leading blanks are a word of their own."""
    return re.findall(r"\S+\s*|\s+", text)


def _bare(words: list[str]) -> list[str]:
    return [word.strip() for word in words]
