"""Language models of all shapes: what is read in parts is what is read at once, as transformers
itself would; and where their texts begin and end."""

import json
from types import SimpleNamespace

import pytest
import torch
from transformers import GenerationConfig

from qdemo.models.availability import UnavailableError
from qdemo.models.catalogue import Entry
from qdemo.models.decoding import generate, score, why_ended
from qdemo.models.families import FAMILIES
from qdemo.models.families.base import row
from qdemo.models.families.causal import LONGEST, MOST_LOGITS, Causal
from qdemo.models.loading import load
from tests.causal_folder import (
    CONFIGS,
    END,
    END_OF_TURN,
    POSITIONS,
    START,
    TURN,
    config,
    model,
    tokenizer,
    write,
)

WOLF = "The wolf and the pig went to the river."
PAIRS = [("What is the name of the onion?", " Hugo"), ("Hello", " my name is the wolf"), ("a", "")]


@pytest.fixture(scope="module", params=CONFIGS)
def asked(request):
    """A model of each kind, its family, and a prompt."""
    made = model(request.param)
    family = Causal(made.config, tokenizer(), made.generation_config)
    return SimpleNamespace(model=made, family=family, prompt=family.encode(WOLF))


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def whole(asked, tokens):
    """Logits (T, V) of the model alone, in one pass, without a cache."""
    return asked.model(input_ids=torch.tensor([list(tokens)]), use_cache=False).logits[0]


def test_what_is_read_in_parts_is_what_is_read_at_once(asked):
    family, prompt, forced = asked.family, asked.prompt, (40, 50, 60, 70, 80, 90, 100, 110, 120)
    wanted = whole(asked, (*prompt.prefix, *forced))[-1 - len(forced) :]
    at_once, _ = family.prefill(asked.model, prompt, forced)
    assert torch.allclose(at_once, wanted, atol=1e-4)
    rows, state = family.prefill(asked.model, prompt)
    for token in forced[:3]:
        logits, state = family.step(asked.model, state, row(asked.model, [token]))
        rows = torch.cat([rows, logits])
    logits, _ = family.step(asked.model, state, row(asked.model, forced[3:]))
    assert torch.allclose(torch.cat([rows, logits]), wanted, atol=1e-4)


def test_padding_changes_no_logits(asked):
    batch = asked.family.calibration_batch(PAIRS)
    logits = asked.family.forward(asked.model, batch)
    (mask,) = batch.masks
    assert mask.sum(1).min() < mask.shape[1]
    for own, logits_of_row, tokens in zip(mask, logits, batch.inputs["input_ids"], strict=True):
        assert torch.allclose(logits_of_row[own], whole(asked, tokens[own].tolist()), atol=1e-4)


def test_the_answer_is_that_of_transformers(asked):
    ours = list(generate(asked.family, asked.model, asked.prompt, 40))
    prompt = torch.tensor([asked.prompt.prefix])
    theirs = asked.model.generate(
        prompt.clone(), attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=40
    )[0, prompt.shape[1] :].tolist()
    assert ours == theirs[: len(ours)]
    why = why_ended(ours, asked.prompt, 40)
    assert why == "repetition" or ours == theirs
    logits = score(asked.family, asked.model, asked.prompt, ours)
    assert logits.argmax(1).tolist() == ours


def test_which_types_are_language_models():
    takes = FAMILIES["causal"].takes
    known = ("gpt_neox", "llama", "qwen3", "qwen3_moe", "gemma3_text", "gpt2", "opt", "falcon",
             "mamba", "mistral", "phi3", "bloom", "mpt", "qwen2", "gpt_oss", "rwkv")  # fmt: skip
    assert all(map(takes, known))
    for other in (
        "t5", "bart", "marian", "bert", "roberta", "bert-generation",  # read to both sides, or two
        "gemma3", "llama4", "qwen3_5", "git", "fuyu", "phi4_multimodal",  # see, or hear
        "whisper", "musicgen", "moshi", "trocr",
        "xlnet", "openai-gpt", "gemma4_assistant",
        "chatglm", "mine", "",  # would need code of their own
    ):  # fmt: skip
        assert not takes(other), other


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    write(tmp_path)
    path = tmp_path / "config.json"
    text = json.loads(path.read_text()) | {"model_type": "mine", "auto_map": {"AutoConfig": "a.B"}}
    path.write_text(json.dumps(text))
    (tmp_path / "a.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(UnavailableError, match="of type 'mine', expected a language model"):
        load(Entry("mine", "causal", tied=False, parameters=0, folder=tmp_path))


def family_of(chat=False, starts=False, **settings):
    made = config("llama")
    generation = GenerationConfig(**settings.pop("generation", {}))
    for name, value in settings.items():
        setattr(made, name, value)
    return Causal(made, tokenizer(chat, starts), generation)


def test_an_answer_ends_where_anything_says_so():
    assert family_of().encode("a").ends == {END}
    assert family_of(chat=True).encode("a").ends == {END, END_OF_TURN}
    assert family_of(generation={"eos_token_id": [END, TURN]}).encode("a").ends == {END, TURN}
    assert family_of(eos_token_id=7).encode("a").ends == {END, 7}
    nothing = SimpleNamespace(eos_token_id=None)
    words = SimpleNamespace(eos_token_id=None, chat_template=None)
    with pytest.raises(ValueError, match="names an end token"):
        Causal(nothing, words)


@pytest.mark.parametrize(
    ("template", "end"),
    [
        ("{% for m in messages %}[{{ m.role }}] {{ m.content }} <|im_end|>{% endfor %}", {2}),
        ("{% for m in messages %}{{ m.content }}</turn>{% endfor %}", set()),
        ("{% for m in messages %}{{ m.content }}{{ eos_token }}\n<|im_end|>{% endfor %}", set()),
        ("{% if messages | length > 1 %}{{ raise_exception('no') }}{% endif %}user", set()),
        ("{{ messages[0].content }}", set()),
    ],
)
def test_the_end_of_a_turn_is_the_mark_behind_an_answer(template, end):
    words = tokenizer(chat=True)
    try:
        words.chat_template = template
        assert Causal(config("llama"), words).encode("a").ends == {END} | end
    finally:
        tokenizer.cache_clear()


def test_a_folder_s_generation_settings_say_where_an_answer_ends(tmp_path):
    write(tmp_path, "gpt_neox", chat=True)
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    (tmp_path / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": [99]}))
    loaded = load(Entry("small", "causal", tied=False, parameters=0, folder=tmp_path))
    assert loaded.family.encode("a").ends == {99, END, END_OF_TURN}


@pytest.mark.parametrize("end", [2.0, [[2]], "2", {"a": 2}, [None]])
def test_an_end_that_is_no_token_is_none(tmp_path, end):
    folder = write(tmp_path / "mine")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": end}))
    loaded = load(Entry("mine", "causal", tied=False, parameters=0, folder=folder))
    assert loaded.family.encode("a").ends == {END}


def test_a_message_stands_in_its_template_with_one_beginning():
    words = tokenizer(chat=True, starts=True)
    wanted = words.apply_chat_template(
        [{"role": "user", "content": WOLF}], add_generation_prompt=True, return_dict=True
    )["input_ids"]
    prompt = family_of(chat=True, starts=True).encode(WOLF)
    assert list(prompt.prefix) == wanted
    assert prompt.prefix.count(START) == 1
    assert prompt.prefix[:2] == (START, TURN)
    kinds = [(token.piece, token.kind) for token in prompt.read]
    assert kinds[:3] == [("<s>", "special"), ("<|im_start|>", "special"), ("u", "")]
    assert ("<|im_end|>", "special") in kinds


def test_a_text_is_read_as_it_is():
    for chat in (False, True):
        prompt = family_of(chat=chat, starts=True).encode(WOLF, "text")
        assert list(prompt.prefix) == [START, *tokenizer()(WOLF)["input_ids"]]
    assert family_of().encode(WOLF).prefix == family_of().encode(WOLF, "text").prefix
    assert family_of().encode(WOLF).shown == WOLF


def test_a_text_that_is_scored_is_all_forced_but_its_beginning():
    tokens = tuple(tokenizer()(WOLF)["input_ids"])
    with_start = family_of(starts=True).encode(WOLF, "score")
    without = family_of(chat=True).encode(WOLF, "score")
    assert (with_start.prefix, with_start.forced) == ((START,), tokens)
    assert (without.prefix, without.forced) == (tokens[:1], tokens[1:])
    assert len(without.read) == len(tokens)
    assert family_of().encode(WOLF).forced == ()


@pytest.mark.parametrize(
    ("given", "read_as", "says"),
    [
        ("", "chat", "the prompt is empty"),
        (" \n\t", "text", "the prompt is empty"),
        (3, "chat", "expected a prompt as text, got int"),
        ("a", "score", "one token alone can't be scored"),
    ],
)
def test_what_can_not_be_read_is_refused_in_words(given, read_as, says):
    with pytest.raises(ValueError, match=says):
        family_of(chat=True).encode(given, read_as)


@pytest.mark.parametrize(
    ("read_as", "says"),
    [
        ("text", "has 270 tokens; at most 255 are read, as the answer comes behind them"),
        ("chat", "has 287 tokens; at most 255"),  # the template's own too
        ("score", "has 270 tokens; at most 256 are scored"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(read_as, says):
    with pytest.raises(ValueError, match=says):
        family_of(chat=True).encode("日" * 90, read_as)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ raise_exception('only for <tools>') }}", "only for <tools>"),
        ("{{ messages[-1]['content'] + '\\ud800' }}", "'utf-8' codec can't encode"),
        ("{{ messages[-1]['content'] * 10**6 }}", "it makes 1,000,000 characters of it"),
    ],
)
def test_a_template_that_refuses_is_told_in_words(template, says):
    words = tokenizer(chat=True)
    try:
        words.chat_template = template
        with pytest.raises(ValueError, match=f"refuses the message: {says}"):
            Causal(config("llama"), words).encode("a")
    finally:
        tokenizer.cache_clear()


def test_a_word_that_was_added_and_the_model_does_not_know_is_refused():
    words, own = tokenizer(), config("llama")
    try:
        words.add_tokens(["<extra>"])
        family = Causal(own, words)
        for read_as in ("chat", "text", "score"):
            with pytest.raises(ValueError, match="the model does not know '<extra>'"):
                family.encode("a wolf <extra>", read_as)
        assert family.encode("a wolf <extr").prefix
    finally:
        tokenizer.cache_clear()


def test_prompt_and_answer_share_the_room():
    prompt = family_of().encode("日" * 80)
    assert len(prompt.prefix) + prompt.longest == POSITIONS
    assert family_of(max_position_embeddings=10**6).encode("a").longest == LONGEST - 1
    large = family_of(max_position_embeddings=10**6, vocab_size=2**18)
    assert MOST_LOGITS // 2**18 == 128
    assert len(large.encode("a " * 60, "score").forced) <= 127
    with pytest.raises(ValueError, match="at most 128 are scored"):
        large.encode("日" * 50, "score")
    made = model("gpt2")
    family = Causal(made.config, tokenizer())
    prompt = family.encode("日" * 84)
    ours = list(generate(family, made, prompt, 100))
    assert len(ours) == POSITIONS - 252
    assert why_ended(ours, prompt, 100) == "length"
