"""The models that a host offers beside the catalogue's, as the variable QDEMO_MODELS names them.

Three forms, separated by blanks or commas: `google/flan-t5-xl`, a model of the catalogue that is
too large to be offered otherwise; `text2text:someone/my-t5@COMMIT`, any T5 on the Hub at a commit
(`captioning:` for a BLIP); `text2text:/data/my-t5`, a folder of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

from qdemo.models.catalogue import Entry, Task

_EXPECTED = (
    "a model of the catalogue, TASK:OWNER/NAME@COMMIT with a commit of 40 hex digits, or "
    f"TASK:FOLDER, where TASK is {' or '.join(get_args(Task))}"
)
_ON_THE_HUB = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40}|refs/pr/\d+)")


def allowed(text: str, catalogue: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries that `text` names, by name.

    Raises:
        ValueError: an item has none of the three forms, or names a folder that is not there.
    """
    entries = [catalogue.get(item) or _parse(item) for item in re.split(r"[\s,]+", text) if item]
    return {entry.name: entry for entry in entries}


def _parse(item: str) -> Entry:
    task, colon, place = item.partition(":")
    if not colon or task not in get_args(Task):
        raise ValueError(f"QDEMO_MODELS has {item!r}, expected {_EXPECTED}")
    known = cast(Task, task)
    if found := _ON_THE_HUB.fullmatch(place):
        return Entry(found[1], known, tied=False, parameters=0, revision=found[2])
    folder = Path(place)
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"QDEMO_MODELS has {item!r}, which is no folder of a model; expected {_EXPECTED}"
        )
    return Entry(folder.resolve().name, known, tied=False, parameters=0, folder=folder.resolve())
