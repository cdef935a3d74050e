"""t5-tiny's vocabulary, batches and model, as they go into training."""

import pytest
import sentencepiece
import torch

from assets.train.text.batches import PART, Batches, Trimmed
from assets.train.text.model import new_model
from assets.train.text.tokenizer import load_tokenizer
from assets.train.text.train import MODEL

TOKENIZER = load_tokenizer(MODEL)
PROMPTS = [
    "Translate to German: Tuesday",
    "  what is 23 +  45 ",
    "HELLO, MY NAME IS",
    "Nein, Straße, forêt, mañana: #@~",
    "",
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_tokenizer_cuts_as_sentencepiece_does(prompt: str) -> None:
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(MODEL / "spiece.model"))
    assert TOKENIZER(prompt)["input_ids"] == [*pieces.encode(prompt), TOKENIZER.eos_token_id]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_text_survives_the_tokenizer_but_for_blanks(prompt: str) -> None:
    tokens = TOKENIZER(prompt)["input_ids"]
    assert TOKENIZER.decode(tokens, skip_special_tokens=True) == " ".join(prompt.split())


def test_each_digit_is_a_piece() -> None:
    assert TOKENIZER.tokenize("907") == ["▁", "9", "0", "7"]


def test_a_batch_depends_on_its_step_alone() -> None:
    there, back = Batches(TOKENIZER, 16, 0), Batches(TOKENIZER, 16, 0)
    forward = [there(step) for step in range(8)]
    for step in reversed(range(8)):
        for name, tensor in back(step).items():
            assert torch.equal(tensor, forward[step][name])


def test_padding_is_masked_and_costs_no_loss() -> None:
    batch = Batches(TOKENIZER, 16, 0)(0)
    assert torch.equal(batch["attention_mask"] == 0, batch["input_ids"] == TOKENIZER.pad_token_id)
    assert not (batch["labels"] == TOKENIZER.pad_token_id).any()
    assert ((batch["labels"] == TOKENIZER.eos_token_id).sum(dim=1) == 1).all()


def test_the_new_model_is_untied_and_of_the_right_size() -> None:
    model = new_model(len(TOKENIZER))
    assert model.lm_head.weight is not model.shared.weight
    assert model.encoder.embed_tokens.weight is model.shared.weight
    assert 3e6 <= sum(p.numel() for p in model.parameters()) <= 5e6


def test_a_batch_in_parts_costs_what_the_whole_costs() -> None:
    model, batch = new_model(len(TOKENIZER)), Batches(TOKENIZER, PART + 8, 0)(0)
    with torch.no_grad():
        whole, parts = model(**batch).loss, Trimmed(model)(**batch).loss
    assert parts.item() == pytest.approx(whole.item(), rel=1e-5)
