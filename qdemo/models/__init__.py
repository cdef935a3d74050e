"""The models that come with qdemo, and what they can be asked."""
