"""Small random models of many architectures, and what they hold, counted by hand.

V tokens, width H, inner width F, K numbers of keys; everything is a sum over the matrices as the
papers draw them, and none of it asks the code that is tested.
"""

from dataclasses import dataclass
from functools import cache

import torch
import transformers as hf

V, H, F, K, P = 96, 64, 128, 32, 32
L = 2
SHAPE = {
    "vocab_size": V, "hidden_size": H, "num_hidden_layers": L, "num_attention_heads": 4,
}  # fmt: skip
DEEP = {**SHAPE, "intermediate_size": F, "max_position_embeddings": P}
GROUPED = {**DEEP, "num_key_value_heads": 2}
QWEN = {**GROUPED, "head_dim": 16}
ATTENTION, ATTENTION_ROWS = 2 * H * H + 2 * K * H, 2 * H + 2 * K
GATED, GATED_ROWS = 3 * F * H, 2 * F + H


@dataclass(frozen=True)
class Counted:
    """How many `parameters`; the `quantized` ones by default and the `rows` of their matrices; what
    +emb adds; and the classes that stay float for the reasons of `left`."""

    make: type
    config: type
    settings: dict
    parameters: int
    quantized: int
    rows: int
    table: int
    table_rows: int
    left: frozenset = frozenset()

    def model(self):
        torch.manual_seed(7)
        return self.make(self.config(**self.settings)).eval()

    def shapes(self):
        with torch.device("meta"):
            return self.make(self.config(**self.settings)).eval()


def left(*told):
    """Classes and reasons."""
    return frozenset(tuple(one.split()) for one in told)


def _encoder(layers, attention=1):
    """Of layers with biases: weights, rows, and the rest of biases and norms."""
    matrices = layers * (attention * 4 * H * H + 2 * F * H)
    rows = layers * (attention * 4 * H + F + H)
    return matrices, rows, rows + layers * (attention + 1) * 2 * H


NEOX, NEOX_ROWS, NEOX_REST = _encoder(L)
MOE = L * (ATTENTION + 4 * 3 * H * H)
MAMBA = L * (2 * F * H + F * (64 + 16) + F * H)
OSS, OSS_BIASES = 4 * 3 * F * H, 4 * (2 * F + H)
GPT2, GPT2_ROWS = L * 12 * H * H, L * 9 * H
FALCON, FALCON_ROWS = L * ((H + K) * H + H * H + 8 * H * H), L * (H + K + H + 4 * H + H)
ENCODER, ENCODER_ROWS, ENCODER_REST = _encoder(1)
DECODER, DECODER_ROWS, DECODER_REST = _encoder(1, attention=2)
FILTERS = 3 * 16 * H + 3 * H * H

MODELS = {
    "GPT-NeoX": Counted(
        hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig, DEEP,
        2 * V * H + NEOX + NEOX_REST + 2 * H, NEOX + V * H, NEOX_ROWS + V, V * H, V,
        left("Embedding embedding"),
    ),
    "Llama": Counted(
        hf.LlamaForCausalLM, hf.LlamaConfig, GROUPED,
        2 * V * H + L * (ATTENTION + GATED + 2 * H) + H,
        L * (ATTENTION + GATED) + V * H, L * (ATTENTION_ROWS + GATED_ROWS) + V, V * H, V,
        left("Embedding embedding"),
    ),
    "tied Llama": Counted(
        hf.LlamaForCausalLM, hf.LlamaConfig, {**GROUPED, "tie_word_embeddings": True},
        V * H + L * (ATTENTION + GATED + 2 * H) + H,
        L * (ATTENTION + GATED), L * (ATTENTION_ROWS + GATED_ROWS), V * H, V,
        left("Embedding tied"),
    ),
    "Qwen3": Counted(
        hf.Qwen3ForCausalLM, hf.Qwen3Config, QWEN,
        2 * V * H + L * (ATTENTION + GATED + 2 * H + 2 * 16) + H,
        L * (ATTENTION + GATED) + V * H, L * (ATTENTION_ROWS + GATED_ROWS) + V, V * H, V,
        left("Embedding embedding"),
    ),
    "Qwen3-MoE": Counted(
        hf.Qwen3MoeForCausalLM, hf.Qwen3MoeConfig,
        {**QWEN, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": H},
        2 * V * H + MOE + L * (4 * H + 2 * H + 2 * 16) + H,
        MOE + V * H, L * (ATTENTION_ROWS + 4 * 3 * H) + V, V * H, V,
        left("Embedding embedding", "Qwen3MoeTopKRouter class"),
    ),
    "GPT-OSS": Counted(  # whose experts are transposed, and have biases
        hf.GptOssForCausalLM, hf.GptOssConfig,
        {**QWEN, "num_local_experts": 4, "num_experts_per_tok": 2, "rope_parameters": None},
        2 * V * H + L * (ATTENTION + ATTENTION_ROWS + 4 + 4 * H + 4 + OSS + OSS_BIASES + 2 * H) + H,
        L * (ATTENTION + OSS) + V * H, L * (ATTENTION_ROWS + OSS_BIASES) + V, V * H, V,
        left("Embedding embedding", "GptOssTopKRouter class"),
    ),
    "Gemma-3": Counted(
        hf.Gemma3ForCausalLM, hf.Gemma3TextConfig, QWEN,
        V * H + L * (ATTENTION + GATED + 4 * H + 2 * 16) + H,
        L * (ATTENTION + GATED), L * (ATTENTION_ROWS + GATED_ROWS), V * H, V,
        left("Gemma3TextScaledWordEmbedding tied"),
    ),
    "GPT-2": Counted(
        hf.GPT2LMHeadModel, hf.GPT2Config,
        {"vocab_size": V, "n_embd": H, "n_layer": L, "n_head": 4, "n_positions": P,
         "bos_token_id": 0, "eos_token_id": 0},
        (V + P) * H + GPT2 + GPT2_ROWS + L * 4 * H + 2 * H, GPT2, GPT2_ROWS, (V + P) * H, V + P,
        left("Embedding tied", "Embedding embedding"),
    ),
    "OPT": Counted(
        hf.OPTForCausalLM, hf.OPTConfig,
        {**SHAPE, "ffn_dim": F, "max_position_embeddings": P, "word_embed_proj_dim": H},
        (V + P + 2) * H + NEOX + NEOX_REST + 2 * H, NEOX, NEOX_ROWS, (V + P + 2) * H, V + P + 2,
        left("Embedding tied", "OPTLearnedPositionalEmbedding embedding"),
    ),
    "Falcon": Counted(
        hf.FalconForCausalLM, hf.FalconConfig, SHAPE,
        V * H + FALCON + L * 2 * H + 2 * H, FALCON, FALCON_ROWS, V * H, V,
        left("Embedding tied"),
    ),
    "Mamba": Counted(
        hf.MambaForCausalLM, hf.MambaConfig,
        {"vocab_size": V, "hidden_size": H, "num_hidden_layers": L, "state_size": 8,
         "time_step_rank": 64},
        V * H + MAMBA + L * (F * 64 + F + 5 * F + 9 * F + H) + H,
        MAMBA, L * (2 * F + 64 + 16 + H), V * H, V,
        left("Linear read", "Conv1d read", "Embedding tied", "MambaMixer class"),
    ),
    "Whisper": Counted(
        hf.WhisperForConditionalGeneration, hf.WhisperConfig,
        {"vocab_size": V, "d_model": H, "encoder_layers": 1, "decoder_layers": 1,
         "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": F,
         "decoder_ffn_dim": F, "num_mel_bins": 16, "max_source_positions": 16,
         "max_target_positions": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
         "decoder_start_token_id": 1},
        # Keys have no bias; each half ends in a norm.
        FILTERS + 2 * H + (V + 32) * H + ENCODER + DECODER + ENCODER_REST + DECODER_REST - 3 * H
        + 4 * H,
        ENCODER + DECODER, ENCODER_ROWS + DECODER_ROWS, (V + 32) * H, V + 32,
        left("Conv1d convolution", "Embedding tied", "Embedding embedding",
             "WhisperPositionalEmbedding embedding"),
    ),
    "BART": Counted(  # whose tables are scaled, and three ends and the output layer are one
        hf.BartForConditionalGeneration, hf.BartConfig,
        {"vocab_size": V, "d_model": H, "encoder_layers": 1, "decoder_layers": 1,
         "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": F,
         "decoder_ffn_dim": F, "max_position_embeddings": P, "scale_embedding": True},
        (V + 2 * (P + 2)) * H + ENCODER + DECODER + ENCODER_REST + DECODER_REST + 4 * H,
        ENCODER + DECODER, ENCODER_ROWS + DECODER_ROWS,
        (V + 2 * (P + 2)) * H, V + 2 * (P + 2),
        left("BartScaledWordEmbedding tied", "BartLearnedPositionalEmbedding embedding"),
    ),
    "ViT": Counted(
        hf.ViTForImageClassification, hf.ViTConfig,
        {"hidden_size": H, "num_hidden_layers": L, "num_attention_heads": 4,
         "intermediate_size": F, "image_size": 32, "patch_size": 8},
        (3 * 64 + 1 + 1 + 17) * H + NEOX + NEOX_REST + 2 * H + 2 * H + 2,
        NEOX + 2 * H, NEOX_ROWS + 2, 0, 0,
        left("Conv2d convolution", "ViTEmbeddings shape"),
    ),
}  # fmt: skip


@cache
def inputs(name):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(3, V, (2, 6), generator=generator)
    if name == "ViT":
        return {"pixel_values": torch.randn(2, 3, 32, 32, generator=generator)}
    if name == "Whisper":
        sound = torch.randn(2, 16, 32, generator=generator)
        return {"input_features": sound, "decoder_input_ids": tokens}
    return {"input_ids": tokens}
