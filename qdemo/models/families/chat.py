"""Chat templates: how a model wants a message, and where its answer ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdemo.spec.messages import say

_MESSAGE = "Hello"
_ANSWER = "qdemo"
_MOST = 100_000  # characters that a template may make of a message


def as_message(words: Any, text: str) -> str:
    """The text as a person's message in the tokenizer's template, up to where the answer begins;
    models that can think first are told not to.

    Raises:
        ValueError: the template will not have it.
    """
    try:
        found = _filled(
            words, [{"role": "user", "content": text}],
            add_generation_prompt=True, enable_thinking=False,
        )  # fmt: skip
    except Exception as error:  # a template is a program of its own, and raises what it will
        raise ValueError(
            say("its chat template refuses the message: {error:.200}", error=str(error))
        ) from error
    return found


def _filled(words: Any, turns: Sequence[Mapping[str, str]], **how: bool) -> str:
    """The turns in the template, which may raise anything.

    Raises:
        ValueError: what comes is far too long, or no text.
    """
    found: str = words.apply_chat_template(turns, tokenize=False, **how)
    if len(found) > _MOST:
        raise ValueError(say("it makes {count:,} characters of it", count=len(found)))
    found.encode()  # half a character can't be
    return found


def end_of_turn(words: Any) -> int | None:
    """The mark that the tokenizer's template puts behind an answer; None where there is no
    template, or it puts none, as where a turn ends with a line."""
    if not words.chat_template:
        return None
    turns = [{"role": "user", "content": _MESSAGE}, {"role": "assistant", "content": _ANSWER}]
    try:
        text = _filled(words, turns)
    except Exception:  # one that wants other turns
        return None
    _, answered, behind = text.rpartition(_ANSWER)
    if not answered:
        return None
    tokens = words(behind, add_special_tokens=False)["input_ids"]
    first = next((token for token in tokens if words.decode([token]).strip()), None)
    return first if first in special_tokens(words) else None


def special_tokens(words: Any) -> frozenset[int]:
    """Marks that are no text: ends, turns, padding; what the vocabulary lacks is none."""
    named = {token for token in words.all_special_ids if token != words.unk_token_id}
    added = {token for token, mark in words.added_tokens_decoder.items() if mark.special}
    ends = {words.eos_token_id, words.bos_token_id} - {None}
    return frozenset(named | (added - {words.unk_token_id}) | ends)
