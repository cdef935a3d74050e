import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo import first_divergence
from qdemo.measure.outputs import differing_words

tokens = st.lists(st.integers(0, 3), max_size=8)
texts = st.text(alphabet="ab \n<", max_size=30)


@given(tokens, tokens)
def test_first_divergence_is_the_length_of_the_common_start(a, b):
    at = first_divergence(a, b)
    if at is None:
        assert a == b
    else:
        assert a[:at] == b[:at]
        assert a[at : at + 1] != b[at : at + 1]


@given(texts, texts)
def test_the_runs_are_the_text(reference, other):
    assert "".join(run for run, _ in differing_words(reference, other)) == other


@given(texts)
def test_the_same_text_differs_nowhere(text):
    assert not any(differs for _, differs in differing_words(text, text))


@pytest.mark.parametrize(
    ("reference", "other", "marked"),
    [
        ("a dog on the beach", "a cat on the beach", ["cat "]),
        ("one two", "one  two", []),  # blanks are not words
        ("", "all of it", ["all of it"]),
        ("twelve", "", []),
        ("the cat sat", "the cat", []),
        ("<b>", "<i>", ["<i>"]),
    ],
)
def test_marked_words(reference, other, marked):
    assert [run for run, differs in differing_words(reference, other) if differs] == marked
