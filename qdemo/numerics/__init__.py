"""Arithmetic on tensors: number formats, casting and linear quantization. Knows no model."""
