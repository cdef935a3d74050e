"""Tokens as people see them, where they are bytes: 日 and 👩‍💻 come whole, and no token looks like
another one at its place."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from qdemo.engine.answering import Question
from qdemo.models.families.causal import Causal
from qdemo.models.families.pieces import Spelling, of_signs, whole
from qdemo.spec.decoding import GREEDY
from qdemo.spec.setting import InputToken
from qdemo.spec.variant import Variant
from tests.causal_folder import Scripted, config, tokenizer

WRITTEN = "日本 is 👩‍💻 and 🇩🇪🇫🇷, ½ é\n\tThe wolf 👍🏽."


def sentencepiece():
    """A vocabulary of pieces with blanks as ▁, and of bytes for what it lacks."""
    plain = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "日"]
    every = plain + [f"<0x{byte:02X}>" for byte in range(256)]
    words = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(every)}, [("▁", "a")], unk_token="<unk>",
                   byte_fallback=True, fuse_unk=True)
    )  # fmt: skip
    words.normalizer = normalizers.Replace(" ", "▁")
    words.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


@pytest.fixture(scope="module", params=[tokenizer, sentencepiece], ids=["bytes", "sentencepiece"])
def words(request):
    return request.param()


@pytest.fixture(scope="module")
def family(words):
    return Causal(config("llama"), words)


def tokens_of(words, text):
    return words(text, add_special_tokens=False)["input_ids"]


def test_characters_are_shown_where_they_become_whole(words, family):
    pieces = family.pieces(tokens_of(words, "a 本\n"))
    assert pieces == ["a", "▁", "<0xE6>", "<0x9C>", "本", "↵"]
    assert family.pieces(tokens_of(words, "😀")) == ["<0xF0>", "<0x9F>", "<0x98>", "😀"]


def test_nothing_of_a_text_is_lost_in_its_pieces(words, family):
    """Without the bytes of what is not whole yet, they are the text again."""
    tokens = tokens_of(words, WRITTEN)
    pieces = [p for p in family.pieces(tokens) if not p.startswith("<0x")]
    names = {"U+200D": "\u200d", "▁": " ", "↵": "\n", "⇥": "\t"}
    text = "".join(names.get(p, p.replace("▁", " ")) for p in pieces)
    assert text == WRITTEN
    assert len(family.pieces(tokens)) == len(tokens)


def test_a_piece_depends_on_nothing_that_comes_later(words, family):
    tokens = tokens_of(words, WRITTEN)
    pieces = family.pieces(tokens)
    for count in range(len(tokens)):
        assert family.pieces(tokens[:count]) == pieces[:count]
        assert family.pieces(tokens[count:], tokens[:count]) == pieces[count:]
        assert family.alternatives(tokens[:count], tokens[count : count + 1]) == [pieces[count]]


@pytest.mark.parametrize("before", ["", "a", "日"])
def test_no_two_tokens_look_alike_at_one_place(words, family, before):
    """At each place inside of a character, too."""
    tokens = tokens_of(words, before)
    every = list(range(len(words)))
    for count in range(len(tokens) + 1):
        shown = family.alternatives(tokens[:count], every)
        assert all(shown)
        assert len(set(shown)) == len(shown)


def test_bytes_that_are_no_character_are_shown_as_bytes(words, family):
    first, second, third = tokens_of(words, "旦")
    letter = tokens_of(words, "a")[-1]
    assert family.pieces([first, letter]) == ["<0xE6>", "a"]
    assert family.pieces([second, first, second, first]) == ["<0x97>", "<0xE6>", "<0x97>", "<0xE6>"]
    assert family.pieces([third, first, second, third]) == ["<0xA6>", "<0xE6>", "<0x97>", "旦"]
    end = words.eos_token_id
    assert family.pieces([first, end, second, third])[2:] == ["<0x97>", "<0xA6>"]
    assert family.pieces([len(words) + 5]) == [f"id {len(words) + 5} (unused)"]


def test_a_text_is_written_without_broken_characters(words, family):
    tokens = tokens_of(words, WRITTEN)
    so_far = [family.written(tokens[:count]) for count in range(1, len(tokens) + 1)]
    assert so_far[-1] == family.decode(tokens) == WRITTEN
    for text in so_far:
        assert WRITTEN.startswith(text)
        assert "\ufffd" not in text
        assert not text.endswith(("\u200d", "👩\u200d", "🇩", "🇫"))
    assert any(text.endswith("👩") for text in so_far)
    assert any(text.endswith("🇩🇪") for text in so_far)


@given(some.text(max_size=8))
def test_of_any_text_what_is_written_is_its_beginning(text):
    words = tokenizer()
    family = Causal(config("llama"), words)
    tokens = tokens_of(words, text)
    pieces = family.pieces(tokens)
    assert all(pieces)
    assert family.written(tokens) == whole(text)
    for count, piece in enumerate(pieces):
        assert text.startswith(family.written(tokens[:count]))
        assert family.alternatives(tokens[:count], [tokens[count]]) == [piece]
    unbroken = [p for p in pieces if not re.search("<0x..>$", p)]
    assert len(unbroken) <= len(text)


def test_only_the_end_of_a_text_is_held_back():
    assert whole("a\ufffdb") == "a\ufffdb"
    assert whole("") == whole("\ufffd\ufffd\ufffd") == ""
    assert whole("🇩🇪🇫🇷") == "🇩🇪🇫🇷"


def test_what_a_model_writes_is_told_character_by_character(words, family):
    script = [*tokens_of(words, WRITTEN), words.eos_token_id]
    asked = Question(family, family.encode("a"), 100, GREEDY)
    told = [event.text for event in asked.answer(Variant(), Scripted(script, len(words)), True)]
    assert len(told) == len(script)
    assert told[-1] == WRITTEN
    assert all(WRITTEN.startswith(text) for text in told)


def test_a_prompt_is_read_token_by_token(family, words):
    read = family.encode("a 日</s>", "text").read
    assert [token.piece for token in read[:2]] == ["a", "▁"]
    assert read[0] == InputToken("a", "a", "")
    if words.unk_token:
        assert read[2:] == (InputToken("日", "日", ""), InputToken("</s>", "</s>", "special"))


def test_what_a_vocabulary_without_bytes_lacks_is_marked():
    words = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "one": 2}, unk_token="<unk>"))
    made = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="</s>", bos_token="</s>"
    )
    family = Causal(config("llama"), made)
    assert family.encode("日").read == (InputToken("<unk>", "日", "unknown"),)
    assert family.pieces([2, 1]) == ["one", "</s>"]


def test_what_a_byte_level_vocabulary_adds_is_written_as_it_is():
    words = tokenizer(chat=True)
    try:
        words.add_tokens(["  ", "<｜日｜>"])
        added = tokens_of(words, "  <｜日｜>")
        assert Spelling(words).pieces(added) == ["▁▁", "<｜日｜>"]
    finally:
        tokenizer.cache_clear()


def test_the_signs_of_bytes_are_those_of_gpt_2():
    """What tokenizers writes for each byte of all two-byte characters and ASCII."""
    words = tokenizer()
    for code in [*range(0x21, 0x7F), *range(0xA0, 0x800, 7), 0x65E5, 0x1F600]:
        text = chr(code)
        pieces = words.convert_ids_to_tokens(tokens_of(words, text))
        assert b"".join(map(of_signs, pieces)) == text.encode()
