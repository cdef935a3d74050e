"""Models that a person types: an id of the Hub, or a folder; and those that were looked up so far.

What is typed is checked here before anything is asked of the Hub or of the disk.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from qdemo.models.catalogue import Entry
from qdemo.spec.messages import say

MOST = 64
"""How many are remembered."""

_LONGEST = 1000  # characters of a path
_HUB = "https://huggingface.co/"
_PATH = re.compile(r"[/~.].*|[A-Za-z]:[\\/].*")
_WORD = r"\w(?:[\w.-]{0,94}\w)?"  # as the Hub has it, without other alphabets
_ID = re.compile(rf"({_WORD}/{_WORD})(?:@([0-9a-f]{{40}}|refs/pr/\d{{1,9}}))?", re.ASCII)


@dataclass(frozen=True)
class Typed:
    """A model of the Hub, `repo` at a `revision` or as it is now; or a `folder` of this machine."""

    repo: str = ""
    revision: str | None = None
    folder: Path | None = None

    @property
    def name(self) -> str:
        """What it is called: with the commit, where one was typed; a folder by its last part."""
        if self.folder is not None:
            return self.folder.name
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


def parse(text: str) -> Typed:
    """What is meant by `text`; nothing is looked up.

    Raises:
        ValueError: it is neither an id of the Hub nor the path of a folder.

    >>> parse("EleutherAI/pythia-70m").repo
    'EleutherAI/pythia-70m'
    """
    text = text.strip().removeprefix(_HUB)
    if text.isprintable() and len(text) <= _LONGEST:
        if _PATH.fullmatch(text) and ".." not in re.split(r"[\\/]", text):
            return Typed(folder=Path(text))
        found = _ID.fullmatch(text)
        if found and _is_id(found[1]):
            return Typed(found[1], found[2])
    raise ValueError(
        say(
            "{text!r} is no name of a model; expected OWNER/NAME as the Hub has it, with @COMMIT "
            "or without, or the whole path of a folder",
            text=text[:60],
        )
    )


def _is_id(repo: str) -> bool:
    return "--" not in repo and ".." not in repo and not repo.endswith(".git")


class Looked:
    """The models that were looked up, the last `MOST` of them, by name and by what was typed; for
    any thread."""

    def __init__(self) -> None:
        """None was."""
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._names: dict[str, str] = {}
        self._lock = Lock()

    def get(self, text: str) -> Entry | None:
        """The one of that name, or the one that was found when this was typed."""
        with self._lock:
            return self._entries.get(self._names.get(text, text))

    def put(self, text: str, entry: Entry) -> None:
        """Remember what was found when `text` was typed."""
        with self._lock:
            self._entries[entry.name] = entry
            self._entries.move_to_end(entry.name)
            self._names[text] = entry.name
            if len(self._entries) > MOST:
                gone, _ = self._entries.popitem(last=False)
                self._names = {text: name for text, name in self._names.items() if name != gone}

    def entries(self) -> list[Entry]:
        """All of them, the last one last."""
        with self._lock:
            return list(self._entries.values())

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._entries.clear()
            self._names.clear()


LOOKED = Looked()
"""Those of this process."""
