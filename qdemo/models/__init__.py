"""The models that can be compared; nothing else in qdemo knows transformers."""
