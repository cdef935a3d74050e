from hypothesis import given
from hypothesis import strategies as st

from qdemo import Variant, first_divergence
from qdemo.measure.measure import Found, Ran
from qdemo.measure.outputs import MEASURE

tokens = st.lists(st.integers(0, 3), max_size=8)


@given(tokens, tokens)
def test_first_divergence_is_the_length_of_the_common_start(a, b):
    at = first_divergence(a, b)
    if at is None:
        assert a == b
    else:
        assert a[:at] == b[:at]
        assert a[at : at + 1] != b[at : at + 1]


def ran(*tokens, reference=None):
    """What a measure finds of a variant that answers so."""
    return Ran(Variant(), None, tokens, (), None, reference=reference)


def test_the_first_divergent_token_is_counted_from_one():
    fp32 = ran(5, 6, 7)
    for tokens, wanted in (((5, 6, 7), None), ((4,), 1), ((5, 6, 8), 3), ((5, 6), 3)):
        found = MEASURE.of(ran(*tokens, reference=fp32))
        assert found == Found({"first_divergent_token": wanted})
