"""One model is built at a time, of whatever kind."""

from __future__ import annotations

from threading import Lock

BUILDING = Lock()
"""Held while a model is built: transformers changes torch's initializers meanwhile, for everyone,
and two at once come out with weights missing."""
