"""A text in windows, on which a language model's perplexity is measured.

Each window is `LONGEST` tokens at most, its own beginning where the tokenizer has one; the first
half is given and the second half scored, so that every token that counts has something before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from qdemo.models.families import Family, Prompt
from qdemo.spec.messages import say

LONGEST = 512
"""Tokens, as llama.cpp's perplexity has them."""


def windows(
    family: Family, text: str, chosen: Callable[[Sequence[int]], Iterable[int]] = iter
) -> Iterator[Prompt]:
    """The text's windows, one behind the other, as prompts whose second half is `forced`; or those
    that are `chosen` by the tokens at which they start. What is left at the end is no window,
    unless there is no other.

    Raises:
        ValueError: models of the family score no text, or it has fewer than two tokens.
    """
    if "score" not in family.reads:
        raise ValueError(say("only a language model is scored on a text; this one answers"))
    model = family.encode("a", "text")
    size = min(LONGEST, model.longest + len(model.prefix))
    beginning, tokens = _tokens(family, text)
    own = size - len(beginning)
    if len(tokens) < 2:
        raise ValueError(say("one token alone can't be scored; the text has to be longer"))
    for start in chosen(range(0, max(1, len(tokens) - own + 1), own)):
        part = (*beginning, *tokens[start : start + own])
        given, forced = part[: -(-len(part) // 2)], part[-(-len(part) // 2) :]
        left = model.longest + len(model.prefix) - len(given)
        shown = family.decode(part)
        yield replace(model, prefix=given, forced=forced, longest=left, shown=shown, read=())


def _tokens(family: Family, text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts before every text, and the text's own tokens."""
    own = family.tokenizer(text, add_special_tokens=False, return_attention_mask=False)
    whole, bare = (
        family.tokenizer("a")["input_ids"],
        family.tokenizer("a", add_special_tokens=False),
    )
    short = bare["input_ids"]
    before = next((n for n in range(len(whole)) if whole[n:][: len(short)] == short), 0)
    return tuple(whole[:before]), tuple(own["input_ids"])
