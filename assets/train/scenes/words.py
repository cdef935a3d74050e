"""The vocabulary of captions: every word is one token."""

from __future__ import annotations

from transformers import BertTokenizer, BlipImageProcessorPil, BlipProcessor

from qdemo.models.places import PLACES
from qdemo.models.scenes import NUMBERS, glyphs

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
GRAMMAR = ("a", "an", "and", "next", "to", "above", "under", "on", ",")
IMAGE_SIZE = 96


def vocabulary() -> list[str]:
    """Special tokens, then the words in a fixed order, each once."""
    words = [*GRAMMAR, *NUMBERS.values()]
    words += [word for place in PLACES.values() for word in place.phrase.split()]
    words += [word for glyph in glyphs().values() for word in (glyph.name, glyph.plural)]
    return list(dict.fromkeys([*SPECIAL, *words]))


def make_processor() -> BlipProcessor:
    """A processor for pictures of any size and captions in this vocabulary."""
    ids = {word: index for index, word in enumerate(vocabulary())}
    tokenizer = BertTokenizer(vocab=ids, do_lower_case=True, model_max_length=32)
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return BlipProcessor(BlipImageProcessorPil(size=size), tokenizer)
