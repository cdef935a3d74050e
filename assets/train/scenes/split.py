"""Which scenes are held out: a hash of what they hold decides, before any training."""

from __future__ import annotations

import hashlib

from qdemo.models.scenes import Scene

PERCENT = 10


def key(scene: Scene) -> str:
    """What a scene holds, order and relation left out: "cat+dog"; for one object, "2 dog park"."""
    names = sorted(group.name for group in scene.groups)
    if len(names) > 1:
        return "+".join(names)
    return f"{scene.groups[0].count} {names[0]} {scene.place}"


def held_out(scene: Scene) -> bool:
    """Whether training must never see a scene with this key."""
    digest = hashlib.sha256(key(scene).encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < PERCENT
