"""The bytes of a cache, by hand."""

import pytest

from qdemo import Variant
from qdemo.spec.cache import Cache, Layers


def bytes_after(tokens, *layers, text="fp32", longest=10**6):
    return Cache(layers, longest, tokens).nbytes(Variant.parse(text))


def test_full_layers_grow_with_the_text_and_sliding_ones_stop():
    full, sliding = Layers(2, numbers=10), Layers(3, numbers=10, most=7)
    assert bytes_after(5, full, sliding) == (2 + 3) * 5 * 10 * 4
    assert bytes_after(100, full, sliding) == (2 * 100 + 3 * 7) * 10 * 4


def test_a_state_is_of_one_size_and_part_of_it_stays_fp32():
    state = Layers(4, fixed=30, wide=20)
    for tokens in (1, 10_000):
        assert bytes_after(tokens, state) == 4 * (30 + 20) * 4
        assert bytes_after(tokens, state, text="bf16") == 4 * (30 * 2 + 20 * 4)


@pytest.mark.parametrize(
    ("text", "each"), [("int4-g64", 4), ("int4-g64@bf16", 2), ("fp16", 2), ("bf16", 2)]
)
def test_it_is_held_in_what_the_format_computes_in(text, each):
    assert bytes_after(3, Layers(1, numbers=8), text=text) == 3 * 8 * each


def test_it_is_told_of_as_many_tokens_as_usual_or_as_the_model_takes():
    assert [Cache.of((), longest).context for longest in (256, 5000, None)] == [256, 4096, 4096]
    assert Cache.of((), None).contexts == (1024, 2048, 4096, 8192, 16384, 32768)
    assert Cache.of((), 8192).contexts == (1024, 2048, 4096, 8192)


@pytest.mark.parametrize("tokens", [0, -1, 2049])
def test_a_context_that_the_model_does_not_take_is_refused(tokens):
    with pytest.raises(ValueError, match=r"tokens of context; the model takes 1 to 2,048"):
        Cache.of((), 2048).at(tokens)


def test_nothing_is_less_than_nothing():
    for layers, longest in (((Layers(-1),), 5), ((Layers(1, numbers=-2),), 5), ((), 0)):
        with pytest.raises(ValueError, match="less than nothing"):
            Cache(layers, longest, 1)
