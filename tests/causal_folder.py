"""Small language models with random weights, in the layout that `from_pretrained` reads, with a
tokenizer of bytes and pairs of them: `write(folder, "llama", chat=True)`."""

import json
from functools import cache

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.modeling_outputs import CausalLMOutputWithPast

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SMALL, "intermediate_size": 64, "num_key_value_heads": 2}
CONFIGS = {
    "gpt_neox": {**SMALL, "intermediate_size": 64, "tie_word_embeddings": False},
    "llama": {**WIDE, "tie_word_embeddings": False},
    "tied llama": {**WIDE, "model_type": "llama", "tie_word_embeddings": True},
    "qwen3": {**WIDE, "head_dim": 8, "tie_word_embeddings": True},
    "qwen3_moe": {
        **WIDE, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16, "decoder_sparse_step": 1, "tie_word_embeddings": False,
    },
    "gemma3_text": {**WIDE, "head_dim": 8, "sliding_window": 8, "tie_word_embeddings": True,
                    "layer_types": ["sliding_attention", "full_attention"]},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "opt": {**SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "falcon": {**SMALL, "new_decoder_architecture": False, "multi_query": True},
    "rwkv": {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
}  # fmt: skip
"""By kind, what its configuration has beside the vocabulary; named as transformers names the type,
but for the second Llama."""

POSITIONS = 256
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>")
END, TURN, END_OF_TURN, START = range(len(MARKS))

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEXT = (
    "The wolf and the pig went to the river. What is the name of the onion? Hello, my name is "
    "Hugo, and this is the story of a small model that goes on with what one has written to it. "
)


@cache
def tokenizer(chat=False, starts=False):
    """Bytes, and up to 120 pairs of them, of ASCII alone. `chat` has a template, which begins with
    <s>; `starts` puts <s> before every text."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=len(MARKS) + 256 + 120, special_tokens=list(MARKS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ))  # fmt: skip
    if starts:
        words.post_processor = processors.TemplateProcessing(
            "<s> $A", special_tokens=[("<s>", START)]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<|endoftext|>", bos_token="<s>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )  # fmt: skip
    if chat:
        made.chat_template = TEMPLATE
    return made


def config(kind):
    """The configuration of a kind of model."""
    own = {"model_type": kind, "max_position_embeddings": POSITIONS} | CONFIGS[kind]
    vocabulary = len(tokenizer())
    return AutoConfig.for_model(
        **own, vocab_size=vocabulary, bos_token_id=START, eos_token_id=END, pad_token_id=END
    )


@cache
def _weights(kind, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config(kind), trust_remote_code=False)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.25)
    return model.eval()


def model(kind, seed=0):
    """A model of that kind, in fp32, whose greedy answers are seldom circles: a copy."""
    made = AutoModelForCausalLM.from_config(config(kind), trust_remote_code=False)
    made.load_state_dict(_weights(kind, seed).state_dict())
    return made.eval()


def write(folder, kind="llama", chat=False, starts=False, seed=0):
    """A folder with such a model and its tokenizer, ready for `causal:FOLDER`.

    `chat`: with a chat template, of which only generation_config.json knows that <|im_end|> ends a
    turn. `starts`: the tokenizer puts <s> before what it reads.
    """
    _weights(kind, seed).save_pretrained(folder)
    tokenizer(chat, starts).save_pretrained(folder)
    if chat:
        ends = {"eos_token_id": [END, END_OF_TURN], "bos_token_id": START}
        (folder / "generation_config.json").write_text(json.dumps(ends))
    return folder


class Scripted(nn.Module):
    """A model that says what it is given to say, whatever it reads."""

    def __init__(self, script, vocabulary):
        super().__init__()
        self.script, self.vocabulary = script, vocabulary

    def forward(self, input_ids, past_key_values=None, use_cache=None):
        at = past_key_values or 0
        logits = torch.zeros(1, input_ids.shape[1], self.vocabulary)
        logits[0, -1, self.script[at]] = 1
        return CausalLMOutputWithPast(logits=logits, past_key_values=at + 1)
