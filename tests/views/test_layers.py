"""Which layer hurts, and a mix for a target, as a page shows them."""

import re
from html import unescape
from urllib.parse import parse_qs

import pytest

from qdemo.spec.exports import Export
from qdemo.spec.mix import Chosen, Mix, Sized, Target
from qdemo.spec.sensitivity import Kl, Part, Sensitivity
from qdemo.spec.variant import Variant
from qdemo.views.exceptions import module_called
from qdemo.views.layers import SHOWN, layers_html, lead
from qdemo.views.mixes import mix_html

NAMES = ("encoder.block.0.layer.0.SelfAttention.q", "encoder.block.0.layer.1.DenseReluDense.wo",
         "decoder.block.0.layer.0.SelfAttention.q", "lm_head")  # fmt: skip


def part(name, taken):
    return Part(name, (name,), 1, Kl(0.1, 0.01), Kl(1 - taken, 0.1), taken, 0.2, 1000, 3000)


def sensitivity(taken=(0.1, 0.8, -0.2, 0.4), names=NAMES, by="layer"):
    parts = tuple(map(part, names, taken))
    return Sensitivity("t5-tiny", "int2-mse", by, 64, 250, Kl(1.0, 0.1), parts)


def cells(html):
    """The strength of each cell of the map, in its order."""
    return [int(level) for level in re.findall(r'<[ai] class="m(\d)"', html)]


def test_each_layer_is_a_cell_as_strong_as_what_it_takes_away():
    html = layers_html(sensitivity(), "Hello")
    assert cells(html) == [1, 8, 0, 4]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td>', html)
    assert rows[:3] == ["encoder 0", "decoder 0", "others"]


def test_a_layer_that_is_in_no_block_has_the_first_column():
    heads = re.findall(r'<th scope="col">(?:<[^>]*>)*(.*?)<', layers_html(sensitivity(), "Hello"))
    assert heads[:3] == ["lm_head", "q", "wo"]


def test_the_worst_come_first_and_are_named():
    found = sensitivity()
    listed = re.findall(r'<th scope="row">(?:<a[^>]*>)?(.*?)<', layers_html(found, "Hello"))[3:]
    assert listed == [module_called(one.name) for one in found.worst()]
    told = lead(found)
    assert "encoder 0 DenseReluDense.wo (80%), lm_head (40%)" in told
    assert "decoder" not in told  # put back it makes things worse


def test_a_cell_compares_the_format_with_and_without_that_layer():
    html = layers_html(sensitivity(), "Say <b>hello</b> & go")
    links = [parse_qs(unescape(one)) for one in re.findall(r'href="\./#([^"]*)"', html)]
    assert len(links) == 2 * len(NAMES)  # on the map and in the list
    formats = {link["formats"][0] for link in links}
    for name in NAMES:
        assert f"int2-mse,{Variant.parse(f'int2-mse~{name}=fp32')}" in formats
    assert {link["input"][0] for link in links} == {"Say <b>hello</b> & go"}


@pytest.mark.parametrize("by", ["kind", "block"])
def test_parts_that_are_no_layers_have_a_list_alone(by):
    html = layers_html(sensitivity(by=by), "Hello")
    assert cells(html) == []
    assert html.count("<tr>") == 1 + len(NAMES)


def test_a_long_list_is_folded():
    names = tuple(f"encoder.block.{i}.layer.0.SelfAttention.q" for i in range(SHOWN + 5))
    html = layers_html(sensitivity([i / 100 for i in range(len(names))], names), "Hello")
    assert f"All {len(names)} parts" in html
    assert html.index("<details") < html.index("encoder 0 SelfAttention.q</a>")


def mix():
    text = "int4-g64~lm_head=int8"
    plain = (Sized("int8", 6_000_000, 8.1, Kl(1e-5, 1e-6)),
             Sized("int4-g64", 4_000_000, 4.5, Kl(1e-2, 1e-3)))  # fmt: skip
    parts = (Chosen("encoder.block.0.layer.0.SelfAttention.q", ("q",), "int4-g64"),
             Chosen("lm_head", ("lm_head",), "int8"))  # fmt: skip
    found = Sized(text, 4_500_000, 5.0, Kl(1e-3, 1e-4))
    return Mix("t5-tiny", Target("mb", 4.6), "layer", 256, 1000, found, plain, parts, 12)


EXPORTS = (Export("torchao", "config = <1>"), Export("llama.cpp", None, "it can't be told int3"))


def test_a_mix_stands_between_the_formats_that_it_is_of():
    html = mix_html(mix(), EXPORTS, "Hello")
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>', html)
    assert rows == ["int4-g64", "the mix", "int8"]
    assert "For at most 4.6 MB, t5-tiny as a mix: 4.50 MB, 5 bits a weight" in re.sub(
        "<[^>]*>", "", html
    )


def test_a_mix_is_compared_and_evaluated_as_any_other_format():
    html = mix_html(mix(), EXPORTS, "Hello")
    compare, evaluate = re.findall(r'href="\./(?:evidence)?#([^"]*)"', html)
    formats = ["int4-g64~lm_head=int8,int8,int4-g64"]
    assert parse_qs(unescape(compare)) == {
        "model": ["t5-tiny"], "formats": formats, "input": ["Hello"], "run": ["1"],
    }  # fmt: skip
    assert parse_qs(unescape(evaluate)) == {"model": ["t5-tiny"], "formats": formats, "run": ["1"]}


def test_other_tools_are_told_or_it_is_said_why_not():
    html = mix_html(mix(), EXPORTS, "Hello")
    assert "config = &lt;1&gt;" in html
    assert "llama.cpp: it can&#39;t be told this mix" in html
    assert "it can&#39;t be told int3" in html
