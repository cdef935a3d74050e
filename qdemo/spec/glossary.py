"""Words of the field that are no figures, each in one sentence, with what other tools call it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A word with what it means, in a sentence, and its names elsewhere; `key` is what pages call
    it by."""

    key: str
    name: str
    definition: str
    also_called: str = ""


TERMS = (
    Term("limit", "limit",
         "The physical limit of a token's time, where the line in the bar stands: the weights read "
         "once, at the bandwidth measured on this machine."),
    Term("quantization", "quantization",
         "Storing numbers in few bits: each becomes one of a few levels, and a scale says how "
         "large the levels are."),
    Term("scale", "scale",
         "The number that a stored integer is multiplied with to give the weight again; the "
         "distance between two neighbouring levels.",
         "step size, delta"),
    Term("zero_point", "zero point",
         "The stored integer that stands for 0, so that an uneven range is used in full.",
         "offset"),
    Term("symmetric", "symmetric",
         "The range reaches as far below 0 as above it, so a scale is enough: scale = absmax / "
         "qmax.",
         "absmax"),
    Term("affine", "affine",
         "The range goes from the smallest to the largest weight, widened to hold 0; it takes a "
         "zero point beside the scale.",
         "asymmetric"),
    Term("per_tensor", "per-tensor",
         "One scale for the whole tensor: one large weight makes all the others coarse.",
         "per-layer (torch)"),
    Term("per_channel", "per-channel",
         "One scale for each row of a weight matrix, that is for each output of the layer.",
         "PerRow (torchao), axis=0 (quanto)"),
    Term("per_group", "per-group",
         "One scale for so many neighbouring weights of a row; a large weight makes only its own "
         "group coarse.",
         "block-wise (bitsandbytes), group_size (torchao, GPTQ), block (llama.cpp)"),
    Term("embeddings", "+emb",
         "The tables of embeddings are quantized too; without it only linear layers are, and "
         "embeddings stay floats."),
    Term("bits", "bits",
         "Binary digits that one stored number takes; 8 of them are a byte."),
    Term("fp32", "fp32",
         "Single precision: 1 bit sign, 8 exponent, 23 fraction. Everything is compared with it.",
         "float32, full precision"),
    Term("fp16", "fp16",
         "Half precision: 5 bits exponent, 10 fraction. Finer than bf16, but it ends at 65,504.",
         "float16, half"),
    Term("bf16", "bf16",
         "8 bits exponent, 7 fraction: it reaches as far as fp32, with fewer digits.",
         "bfloat16, brain float"),
    Term("fp8", "fp8",
         "Floats of 8 bits: fp8_e4m3 has 4 bits exponent and 3 fraction, fp8_e5m2 has 5 and 2.",
         "float8_e4m3fn and float8_e5m2 (torch), E4M3 and E5M2"),
    Term("fp4", "4-bit floats",
         "Floats of 4 bits, used with a scale: e2m1 has 2 bits exponent and 1 fraction; fp4bnb "
         "is bitsandbytes' own.",
         "FP4; E2M1 in MXFP4 and NVFP4"),
    Term("int8", "int8",
         "Integers of 8 bits, −127 to 127 where symmetric, and a scale; one scale a row unless "
         "the name says otherwise.",
         "Int8WeightOnly (torchao), qint8 (quanto), W8A16"),
    Term("int4", "int4, int3, int2",
         "Integers of so many bits, packed: int4 has 15 levels where symmetric, int3 has 7, int2 "
         "has 3.",
         "Q4_0 (llama.cpp), about int4-g32"),
    Term("nf4", "nf4",
         "16 levels of 4 bits, placed so that weights of a normal distribution use them about "
         "equally.",
         "NormalFloat; bnb_4bit_quant_type=\"nf4\" (bitsandbytes)"),
    Term("codebook", "codebook",
         "Levels that need not be evenly spaced, such as those of nf4; a stored number says which "
         "of them a weight becomes.",
         "look-up table, quant_map (bitsandbytes)"),
    Term("double_quantization", "double quantization",
         "Scales are quantized too, to 8 bits in blocks of 256: 0.127 instead of 0.5 bits a "
         "weight, for blocks of 64.",
         "-dq; bnb_4bit_use_double_quant (bitsandbytes), nested quantization"),
    Term("block_scale", "block scale",
         "The scale of a few neighbouring weights, held in 8 bits: a power of two in MX, an e4m3 "
         "number in NVFP4.",
         "shared exponent, microscaling, E8M0 scale"),
    Term("super_block", "super-block",
         "256 weights of a row with one fp16 pair, in units of which their blocks have small "
         "integers as scales and minima.",
         "K-quants (llama.cpp), QK_K"),
    Term("range_search", "range search",
         "Of forty ranges, each narrower than the last, the one with the least error is kept: a "
         "few weights are clipped, and all others have finer steps.",
         "-mse; mse observer (llm-compressor), clipping search"),
    Term("hqq", "HQQ",
         "A float zero point that is searched for, so that large errors weigh less than in a mean "
         "square; it needs no data.",
         "half-quadratic quantization; HQQConfig (transformers)"),
    Term("calibration", "calibration",
         "Running a model on a few inputs before it is quantized, to know what its layers are "
         "given.",
         "calibration data set, observer"),
    Term("gptq", "GPTQ",
         "Columns are rounded one after the other, and those still to come make up for the error, "
         "as far as calibration found their inputs alike.",
         "optimal brain quantization; GPTQConfig (transformers), GPTQModifier (llm-compressor)"),
    Term("output_error", "output error",
         "How far what a layer gives is from what it gave before, ‖Y − XWᵀ‖ / ‖XWᵀ‖, on inputs of "
         "calibration."),
    Term("awq", "AWQ",
         "Columns of weights whose inputs are large are made larger before rounding, and their "
         "inputs smaller, so that they are rounded more finely.",
         "activation-aware weight quantization; AwqConfig (transformers)"),
    Term("smoothquant", "SmoothQuant",
         "A factor a column makes inputs smaller and weights larger, so that both fit into 8 bits.",
         "SmoothQuantModifier (llm-compressor)"),
    Term("rotation", "rotation",
         "Weights and inputs are turned by the same orthogonal matrix, which spreads an outlier "
         "over many columns and changes no product.",
         "Hadamard transform, incoherence processing; QuaRot, SpinQuant, QuIP#"),
    Term("llm_int8", "LLM.int8()",
         "Columns of inputs in which a number is large are multiplied as floats, all others as "
         "8-bit integers.",
         "load_in_8bit (bitsandbytes), mixed-precision decomposition"),
    Term("int8a8", "activations in 8 bits",
         "Activations are rounded to 8 bits too, one scale a token, so that products are of "
         "integers.",
         "W8A8, dynamic quantization"),
    Term("logit", "logit",
         "The number that a model gives each token of its vocabulary; softmax makes "
         "probabilities of them.",
         "score"),
    Term("token", "token",
         "A piece of text, a word or part of one, that a model reads and writes as one number."),
    Term("teacher_forcing", "teacher forcing",
         "Every format is fed fp32's own answer, so that each position compares like with like, "
         "whatever the format would have written before it."),
    Term("greedy", "greedy",
         "At each step the likeliest token is written; nothing is drawn by chance.",
         "do_sample=False (transformers), temperature 0"),
    Term("tie", "tie",
         "Two tokens are exactly equally likely, so which comes first says nothing; it counts as "
         "no change."),
    Term("kl", "KL",
         "How far a format's probabilities for the next token are from fp32's, Σ p_ref · "
         "log(p_ref / p): 0 where they are equal.",
         "KL divergence, relative entropy; KLD (llama.cpp)"),
    Term("nats", "nats",
         "The unit of KL with natural logarithms; 1 nat is 1.44 bits."),
    Term("centred", "centred",
         "After each position's mean difference is taken away, because softmax ignores a shift "
         "of all logits."),
    Term("percentile", "percentile",
         "A share of all values is at or below it, 90% for the 90th; by nearest rank, so it is "
         "one that occurs."),
    Term("wilson", "Wilson interval",
         "Where the true share may be, with 95% confidence, after so many were counted; it says "
         "something of 5 in 5 too.",
         "score interval"),
    Term("rms", "RMS",
         "Root mean square: the square root of the mean of the squares, which large errors "
         "dominate."),
    Term("sqnr", "SQNR",
         "Signal to quantization noise, 10 · log10(Σw² / Σ(ŵ − w)²) in dB: 6 dB more halve the "
         "error, as one bit more does.",
         "SNR"),
    Term("footprint", "footprint",
         "Bytes of storage really held; what several tensors share is counted once.",
         "get_memory_footprint (transformers)"),
    Term("quantized_share", "share quantized",
         "The share of parameters that is quantized; the others stay floats.",
         "coverage"),
    Term("quantized_weights", "quantized weights",
         "Bytes of the integers or codes themselves."),
    Term("scales_held", "scales and zero points",
         "Bytes of what is kept beside the integers: the scales that they are multiplied with to "
         "give the weights again, and the integers that stand for 0."),
    Term("float_weights", "float weights",
         "Bytes of weights that are still floats: embeddings, norms, biases."),
    Term("buffers", "buffers",
         "Bytes of what a model holds that is no weight, such as tables of positions."),
    Term("relative_error", "relative error",
         "The size of the error beside the size of the weights, ‖ŵ − w‖ / ‖w‖."),
    Term("clipping", "clipped",
         "What lies beyond the range became the end of it.",
         "saturated, clamped"),
    Term("rounding", "rounding",
         "What is lost by taking the nearest level; at most half a step of each number in the "
         "range."),
    Term("overflow", "overflow",
         "A number too large for its format, which becomes infinite; fp16's largest is 65,504."),
    Term("activation", "activation",
         "A number that comes out of a layer while the model computes."),
    Term("outlier", "outlier",
         "A number much larger than those around it; it stretches the scale that they share."),
    Term("eps", "eps",
         "The distance from 1 to the next larger number.",
         "machine epsilon"),
    Term("subnormal", "subnormal",
         "A float nearer to 0 than the exponent reaches; it has fewer digits the smaller it is.",
         "denormal"),
    Term("dtype", "dtype",
         "The number format of a tensor, by torch's name."),
    Term("verdict", "verdict",
         "Safe, check or broken, by the 95% interval of what a format loses beside fp32 on the "
         "same items."),
    Term("to_tell", "items to tell",
         "So many items would show, four times in five, that the loss which was seen is no chance; "
         "none are named where none was seen.",
         "sample size, power 80%"),
    Term("front", "front",
         "The formats that no other beats in both, cost and loss; which of two is on it may be "
         "chance where their intervals overlap.",
         "Pareto front, Pareto frontier"),
    Term("held_out", "held out",
         "Questions that training never saw; of the answers the share that is exactly right.",
         "test set, exact match"),
    Term("evidence", "evidence",
         "What many items say of a format: each figure with how many it rests on, and with the "
         "interval that so many leave open."),
    Term("flips", "flips",
         "Answers that are right in fp32 and wrong in a format, or the other way round; only these "
         "tell the two apart."),
    Term("mcnemar", "McNemar's test",
         "Whether a format loses more right answers than it wins: how likely flips so uneven would "
         "be, if either way were as likely.",
         "paired test, exact binomial test of discordant pairs"),
    Term("holm", "Holm's correction",
         "Of many formats tested at once one may differ by luck: each p is raised by how many are "
         "tested, the smallest p the most.",
         "Holm–Bonferroni, step-down Bonferroni"),
)  # fmt: skip
"""Every word, in the order in which one leads to the next."""
