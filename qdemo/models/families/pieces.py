"""Tokens that are bytes of text, as people see them.

A byte-level vocabulary cuts characters: 日 may be three tokens, of which none is one. A piece shows
what its token adds to those before it: a token that completes a character shows all of it, one that
leaves it unfinished its bytes, <0xE6>. So a piece depends on nothing that is still to come, it
stands while an answer is written, and different tokens at one place look different (but for a
character that comes whole where the same one was begun in bytes).

Blanks are shown as SentencePiece writes them, ▁, and other marks that nobody would see as signs.
"""

from __future__ import annotations

import re
import unicodedata
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

ZWJ = "\u200d"  # joins emoji to one

_SIGNS = {chr(code): chr(0x2400 + code) for code in range(32)} | {
    " ": "▁", "\n": "↵", "\t": "⇥", "\x7f": "␡",
}  # fmt: skip
_LOST = {chr(0xDC00 + byte): f"<0x{byte:02X}>" for byte in range(0x80, 0x100)}
"""Python's characters for bytes that are none."""

_SHOWN = str.maketrans(_SIGNS | _LOST)
_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")


def shown(parts: Iterable[bytes], before: Sequence[bytes] = ()) -> Iterator[str]:
    """A piece for each token of a text that goes on after others, of its bytes, and theirs.

    >>> list(shown([b"The", b" \\xe6\\x97", b"\\xa5", b"\\n", b"\\xe6", b"a"]))
    ['The', '▁<0xE6><0x97>', '日', '↵', '<0xE6>', 'a']
    """
    held = _unfinished(b"".join(before))
    for part in parts:
        yield _added(held, part)
        held = _unfinished(held + part)


def shown_after(before: Sequence[bytes], parts: Iterable[bytes]) -> list[str]:
    """A piece for each token that might come after those `before`, of its bytes.

    >>> shown_after([b"\\xe6", b"\\x97"], [b"\\xa5", b"\\xa9", b"a"])
    ['日', '早', 'a']
    """
    held = _unfinished(b"".join(before))
    return [_added(held, part) for part in parts]


def _unfinished(text: bytes) -> bytes:
    """The beginning of a character with which a text ends."""
    decoder = getincrementaldecoder("utf-8")("ignore")
    decoder.decode(text)
    return decoder.getstate()[0]


def _added(held: bytes, own: bytes) -> str:
    """What bytes add to those of an unfinished character."""
    text = (held + own).decode(errors="surrogateescape")
    return _seen(text.removeprefix(held.decode(errors="surrogateescape")))  # still unfinished


def _seen(text: str) -> str:
    if text and all(map(_is_unseen, text)):
        return "".join(f"U+{ord(character):04X}" for character in text)
    return text.translate(_SHOWN)


def _is_unseen(character: str) -> bool:
    code = ord(character)
    is_selector = 0xFE00 <= code < 0xFE10
    return is_selector or (code >= 0x80 and unicodedata.category(character) in _UNSEEN)


def whole(text: str) -> str:
    """A text as far as its characters are whole: without an unfinished one at its end, the sign
    that waits for the emoji that it joins, or half a flag.

    >>> whole("日\\ufffd"), whole("👩\\u200d"), whole("🇩🇪🇫")
    ('日', '👩', '🇩🇪')
    """
    text = text.rstrip("\ufffd").removesuffix(ZWJ)
    flags = len(text) - len(text.rstrip(_LETTERS_OF_FLAGS))
    return text[:-1] if flags % 2 else text


_LETTERS_OF_FLAGS = "".join(map(chr, range(0x1F1E6, 0x1F200)))


@cache
def byte_of_sign() -> dict[str, int]:
    """The byte of each sign in which a byte-level vocabulary writes it: GPT-2's table, in which
    what can be printed stands for itself, and the rest for what comes after Latin-1.

    >>> byte_of_sign()["Ġ"], byte_of_sign()["A"]
    (32, 65)
    """
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printed]
    signs = {chr(byte): byte for byte in printed}
    return signs | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def of_signs(piece: str) -> bytes:
    """The bytes of a piece of a byte-level vocabulary; of any other its characters.

    >>> of_signs("æĹ¥").decode()
    '日'
    """
    table = byte_of_sign()
    if all(sign in table for sign in piece):
        return bytes(table[sign] for sign in piece)
    return piece.encode()


def of_fallback(piece: str) -> bytes:
    """The bytes of a piece of a SentencePiece vocabulary, in which <0xE6> is a byte.

    >>> of_fallback("<0xE6>"), of_fallback("▁a")
    (b'\\xe6', b' a')
    """
    if found := _BYTE.fullmatch(piece):
        return bytes.fromhex(found[1])
    return piece.replace("▁", " ").encode()


_BYTE = re.compile("<0x([0-9A-F]{2})>")


def _spelling(words: Any) -> Callable[[str], bytes]:
    """How a vocabulary writes bytes, as its decoder, where it is one of tokenizers', tells."""
    told = str(getattr(getattr(words, "backend_tokenizer", None), "decoder", ""))
    return (
        of_signs if "ByteLevel" in told else of_fallback if "ByteFallback" in told else str.encode
    )


def _twins(vocabulary: Mapping[str, int]) -> dict[int, str]:
    """The bytes that are a character for which there is a piece too."""
    signs = {f"<0x{code:02X}>": chr(code).replace(" ", "▁") for code in range(128)}
    return {
        vocabulary[byte]: byte
        for byte, sign in signs.items()
        if byte in vocabulary and sign in vocabulary
    }


class Spelling:
    """How the tokens of a tokenizer are shown."""

    def __init__(self, words: Any) -> None:
        """`words` is transformers' tokenizer, whatever kind of vocabulary it has."""
        self._words, self._bytes = words, _spelling(words)
        self._as_is = {token: mark.content for token, mark in words.added_tokens_decoder.items()}
        if self._bytes is of_fallback:
            self._as_is |= _twins(words.get_vocab())

    def pieces(self, tokens: Sequence[int], before: Sequence[int] = ()) -> list[str]:
        """What each token adds to those before it."""
        found = shown(self._parts(tokens), self._parts(before))
        return [piece or unused(token) for token, piece in zip(tokens, found, strict=True)]

    def alternatives(self, before: Sequence[int], tokens: Sequence[int]) -> list[str]:
        """What each token would add to those `before`."""
        last = self._parts(before[-3:])  # no unfinished character has more
        found = shown_after(last, self._parts(tokens))
        return [piece or unused(token) for token, piece in zip(tokens, found, strict=True)]

    def _parts(self, tokens: Sequence[int]) -> list[bytes]:
        pieces = self._words.convert_ids_to_tokens(list(tokens))
        return [
            self._as_is[token].encode() if token in self._as_is else self._bytes(piece or "")
            for token, piece in zip(tokens, pieces, strict=True)
        ]


def unused(token: int) -> str:
    """A token that no vocabulary has, as a model may have more than that."""
    return f"id {token} (unused)"
