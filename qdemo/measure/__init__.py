"""How far two things are apart: weights, logits, outputs."""
