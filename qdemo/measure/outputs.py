"""Where two outputs diverge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import zip_longest


def first_divergence(reference: Sequence[int], other: Sequence[int]) -> int | None:
    """The index, from 0, of the first token in which two sequences differ; None if they are equal.

    >>> first_divergence([5, 6, 7], [5, 6, 8]), first_divergence([5, 6], [5, 6, 7])
    (2, 2)
    """
    pairs = zip_longest(reference, other)  # a missing token is None, which equals no token
    return next((i for i, (a, b) in enumerate(pairs) if a != b), None)


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
