"""The text form of a variant: read back as it was written, safe everywhere, or refused."""

import contextlib
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo.spec.formats import GRIDS
from qdemo.spec.scheme import COMPUTE_FORMATS, NAMED, Scheme
from qdemo.spec.step import Activations, Recipe, Step
from qdemo.spec.variant import LONGEST, Variant

SAFE = re.compile(r"[A-Za-z0-9_.+@~=-]+")
INTEGERS = [name for name, format in GRIDS.items() if format.kind == "integer"]
PARTS = [*GRIDS, *NAMED, *COMPUTE_FORMATS, "llm.int8", "int8a8", "tensor", "axis0", "axis1", "g64",
         "g0", "affine", "dq", "mse", "hqq", "awq", "sq0.5", "sq1", "rot", "gptq", "-", "+", "emb",
         "kv8", "kv4", "@", "~", "=", "lm_head", ".", " ", "", "²", "٣"]  # fmt: skip


@st.composite
def steps(draw):
    """Every quantized weight that has a text."""
    ways = {
        "transform": draw(st.sampled_from([None, "awq", "rot", "sq0", "sq0.25", "sq0.5", "sq1"])),
        "compensate": draw(st.sampled_from([None, "gptq"])),
    }
    found = draw(st.sampled_from(["absmax", "mse"]))
    if draw(st.booleans()):
        return Step(NAMED[draw(st.sampled_from(sorted(NAMED)))], Recipe(**ways))
    grid = draw(st.sampled_from(sorted(GRIDS)))
    symmetric = grid not in INTEGERS or draw(st.booleans())
    axis = draw(st.sampled_from([None, 0, 1, 2]))
    group_size = None if axis is None else draw(st.none() | st.integers(1, 999_999_999))
    scheme = Scheme(grid, symmetric, axis, group_size, draw(st.sampled_from(["fp32", "dq"])))
    if not symmetric and draw(st.booleans()):
        scheme, found = Scheme(*list(vars(scheme).values())[:5], "float"), "hqq"
    bits = draw(st.sampled_from([None, 8])) if grid == "int8" else None
    return Step(scheme, Recipe(found, **ways), Activations(bits))


ANY_STEP = (
    steps()
    | st.sampled_from(COMPUTE_FORMATS).map(lambda name: Step(cast=name))
    | st.just(Step(Scheme("int8"), activations=Activations(8, 6.0)))
)
NAMES = st.from_regex(r"[A-Za-z0-9_]{1,8}(\.[A-Za-z0-9_]{1,8}){0,3}", fullmatch=True)


@st.composite
def variants(draw):
    default = draw(ANY_STEP.map(lambda step: Step() if step.cast else step))
    named = draw(st.lists(st.tuples(NAMES, ANY_STEP), max_size=4, unique_by=lambda pair: pair[0]))
    return Variant(
        default,
        tuple(named),
        embeddings=default.scheme is not None and draw(st.booleans()),
        kv=draw(st.sampled_from([None, "kv8", "kv4"])),
        compute=draw(st.sampled_from(COMPUTE_FORMATS)),
    )


@given(variants())
def test_a_text_is_read_back_as_the_same_value(variant):
    assert Variant.parse(str(variant)) == variant


@given(variants())
def test_a_text_is_safe_in_a_shell_an_address_and_a_file_name(variant):
    assert SAFE.fullmatch(str(variant))


@given(steps())
def test_a_step_is_read_back_as_the_same_value(step):
    assert Step.parse(str(step)) == step


@given(st.text(max_size=40) | st.lists(st.sampled_from(PARTS), max_size=9).map("".join)
       | st.lists(st.sampled_from(PARTS), max_size=5).map("-".join))  # fmt: skip
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        variant = Variant.parse(text)
        assert Variant.parse(str(variant)) == variant
        assert SAFE.fullmatch(str(variant))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("int8@fp32", "int8"),
        (" int8 ", "int8"),
        ("int4-affine-g64", "int4-g64-affine"),
        ("int8+kv8+emb", "int8+emb+kv8"),
        ("nf4", "nf4-g64"),
        ("nf4-axis0", "nf4-axis0"),
        ("int2-gptq-g64-mse", "int2-g64-mse-gptq"),
        ("int4-hqq", "int4-hqq"),
        ("int8-sq0.5", "int8-sq0.5"),
        ("int8a8-sq0.5", "int8a8-sq0.5"),
        ("bf16+kv4", "bf16+kv4"),
        ("fp16~a.b=fp32~c=mxfp4", "fp16~a.b=fp32~c=mxfp4"),
        ("int8~a=int4-g64-hqq~b=llm.int8", "int8~a=int4-g64-hqq~b=llm.int8"),
    ],
)
def test_canonical_texts(text, canonical):
    assert str(Variant.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int8+emb+emb", "says emb a second time"),
        ("int8+kv8+kv4", "says kv4 a second time"),
        ("bf16+emb", "bf16 casts the embeddings anyway"),
        ("int8@bf16+emb", r"cannot compute in 'bf16\+emb'"),
        ("int8~a", "'~a' is no exception; expected ~MODULE=FORMAT"),
        ("int8~", "'~' is no exception"),
        ("int8~=int4", "'' is no name of a module"),
        ("int8~a..b=int4", r"'a\.\.b' is no name of a module"),
        ("int8~a*=int4", r"'a\*' is no name of a module"),
        ("int8~a=int4~a=int2", "two exceptions for a"),
        ("int8~a=int9", "unknown format 'int9'"),
        ("int8~a=int4+emb", r"unknown format 'int4\+emb'"),
        ("int4-affine-hqq", "-hqq is affine"),
        ("q4_0-hqq", "q4_0 defines its scales; leave -hqq out"),
        ("llm.int8-rot", "llm.int8 is int8 alone; leave -rot out"),
        ("q4k", "unknown format 'q4k'; .* q4_k, .*llm.int8"),
        ("int4-sq2", "'sq2' in 'int4-sq2' is not known; .* -sq0.5,"),
        ("mxfp4-g64", "mxfp4 has a granularity of its own"),
        ("int4-mse-hqq", "'hqq' in 'int4-mse-hqq' says range a second time"),
        ("int4a8", "go with int8 weights, not with int4"),
        ("nf4-affine", "nf4 is a codebook, which has no affine form"),
        ("int8-sq0.٣", "'sq0.٣' in 'int8-sq0.٣' is not known"),
        ("int8-sq2", "'sq2' in 'int8-sq2' is not known"),
    ],
)
def test_refusals_say_what_is_wrong(text, says):
    with pytest.raises(ValueError, match=says):
        Variant.parse(text)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Variant(Step(cast="fp16")), "compute='fp16'"),
        (lambda: Variant(kv="kv2"), "kv is 'kv2', expected kv8, kv4 or None"),
        (lambda: Variant(exceptions=(("a", Step()),)), "the exception a says nothing"),
        (
            lambda: Variant(exceptions=(("a", Step(cast="fp64")),)),
            "cast is 'fp64', expected one of fp32",
        ),
        (lambda: Step(Scheme("int8"), cast="fp16"), "not both"),
        (lambda: Step(Scheme("int4", scale="k6")), "scales in k6 belong to mxfp4, mxfp8"),
        (lambda: Step(recipe=Recipe("mse")), "a cast has no recipe"),
        (lambda: Step(Scheme("int8"), Recipe("best")), "range is 'best'"),
        (lambda: Step(Scheme("int8"), Recipe(transform="gptq")), "transform is 'gptq'"),
        (lambda: Step(Scheme("int8"), Recipe("hqq")), "a float zero point"),
        (lambda: Step.parse("mxfp4-mse"), "mxfp4 defines its scales; leave -mse out"),
        (lambda: Step.parse("q4_0-gptq-mse"), "q4_0 defines its scales; leave -mse out"),
        (lambda: Step(NAMED["q8_0"], activations=Activations(8)), "not with q8_0"),
        (lambda: Step(Scheme("int4"), activations=Activations(8, 6.0)), "not with int4"),
        (lambda: Step(Scheme("int8", axis=1), activations=Activations(8, 6.0)), "is int8 alone"),
        (lambda: Activations(8, 5.0), "threshold=5.0"),
        (lambda: Activations(4), "bits=4"),
    ],
)
def test_values_without_a_text_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_the_longest_text():
    text = "int8" + "".join(f"~block.{i:04}=int4" for i in range(249)) + "~a.bcde=int2"
    assert len(text) == LONGEST
    assert str(Variant.parse(text)) == text
    with pytest.raises(ValueError, match="a format of 4,001 characters; at most 4,000 are read"):
        Variant.parse("x" * (LONGEST + 1))
    with pytest.raises(ValueError, match="at most 4,000 are read"):
        Variant(exceptions=tuple((f"a{i}", Step(Scheme("int8"))) for i in range(900)))


@pytest.mark.parametrize(("text", "part"), [("int8+kv8", r"\+kv8"), ("bf16+kv4", r"\+kv4")])
def test_what_is_not_built_yet_is_read_and_named(text, part):
    variant = Variant.parse(text)
    with pytest.raises(ValueError, match=f"{part} in '.*' is known, but not built yet"):
        variant.check_built()


def test_a_variant_is_read_without_torch():
    code = (
        "import sys; from qdemo.spec.variant import Variant; import qdemo.spec.footprint; "
        "Variant.parse('int4-g64+emb~lm_head=int8').check_built(); "
        "assert not {'torch', 'transformers', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
