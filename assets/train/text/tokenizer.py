"""The vocabulary: SentencePiece unigram pieces learned from the training stream itself."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5Tokenizer

from assets.train.text.stream import training_items

PRINTABLE = "".join(map(chr, range(33, 127))) + "äöüÄÖÜßàâçèéêëîïôœùûÀÇÈÉÊŒáíñóúÁÍÑÓÚ¿¡"


def train_tokenizer(folder: Path, *, size: int = 2800, sentences: int = 120_000) -> None:
    """Learn `size` pieces and write `folder/spiece.model` and the tokenizer's own files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(_learn(size, sentences))
    tokenizer = T5Tokenizer.from_pretrained(folder, extra_ids=0, model_max_length=512)
    tokenizer.save_pretrained(folder)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer just as a user of the model does."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return tokenizer


def _learn(size: int, sentences: int) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=_sentences(sentences),
        model_writer=model,
        model_type="unigram",
        vocab_size=size,
        split_digits=True,  # each digit a piece: arithmetic is learned digit by digit
        character_coverage=1.0,
        required_chars=PRINTABLE,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,  # one thread, or the pieces differ from run to run
        minloglevel=1,
    )
    return model.getvalue()


def _sentences(count: int) -> Iterator[str]:
    for typed, item in islice(training_items("tokenizer"), count):
        yield typed
        yield item.answer
