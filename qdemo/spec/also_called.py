"""What terms and figures are called elsewhere, and how sentences and heads of tables write them."""

from __future__ import annotations

from collections.abc import Mapping

ALSO_CALLED: Mapping[str, str] = {
    "logit_kl_mean": "KL divergence, relative entropy; Mean KLD (llama.cpp)",
    "logit_kl_p90": "90.0% KLD (llama.cpp)",
    "logit_kl_max": "Maximum KLD (llama.cpp)",
    "logit_same_top": "Same top p (llama.cpp), top-1 agreement",
    "logit_token_probability_rms": "RMS Δp (llama.cpp)",
    "bytes": "footprint; get_memory_footprint (transformers)",
    "times_smaller": "compression ratio",
    "bits_per_weight": "BPW (llama.cpp)",
    "first_token_ms": "TTFT",
    "token_ms": "TPOT, inter-token latency",
    "perplexity": "PPL (llama.cpp)",
    "perplexity_ratio": "Mean PPL(Q)/PPL(base) (llama.cpp)",
    "accuracy": "exact match, acc (lm-evaluation-harness)",
    "kl_mean": "Mean KLD (llama.cpp), over items",
    "kl_p99": "99.0% KLD (llama.cpp), over items",
    "same_top": "Same top p (llama.cpp), top-1 agreement",
    "loss_mean": "cross entropy, negative log-likelihood a token",
    "weight_saturated": "saturated, clamped",
    "weight_relative": "relative Frobenius error",
}
"""Names of figures elsewhere, by their keys."""

IN_TEXT = ("kl", "nats", "sqnr", "rms", "wilson", "embeddings", "scale", "zero_point", "centred",
           "teacher_forcing", "outlier", "activation", "held_out", "codebook", "block_scale",
           "super_block", "range_search", "hqq", "calibration", "gptq", "awq", "smoothquant",
           "rotation", "llm_int8", "output_error", "double_quantization", "perplexity",
           "verdict", "flips", "mcnemar", "holm", "front")  # fmt: skip
"""The keys of those that are explained in sentences too, where they stand first."""

ALSO_WRITTEN: Mapping[str, str] = {
    "Wilson": "wilson",
    "McNemar": "mcnemar",
    "McNemar's p": "mcnemar",
    "Holm": "holm",
    "scales": "scale",
    "codebooks": "codebook",
    "error of the outputs": "output_error",
    "Error of the outputs": "output_error",
    "rotations": "rotation",
    "scale wanted": "scale",
    "activations": "activation",
    "held-out": "held_out",
    "fed fp32's own answer": "teacher_forcing",
    "fed the answer of fp32": "teacher_forcing",
    "smaller": "times_smaller",
    "relative": "relative_error",
    "RMS error": "weight_rms",
    "max error": "weight_max_abs",
    "smallest normal": "subnormal",
    "smallest subnormal": "subnormal",
    "clipping Σe²": "clipping",
    "rounding Σe²": "rounding",
    "largest |number|": "activation",
    "perplexity": "perplexity",
    "Perplexity": "perplexity",
    "Safe": "verdict",
    "Pareto front": "front",
}
"""Other ways in which a table's head, or a sentence, names a term."""
