"""The word lists: tables (TSV with a header), plain lists and JSON, in the folder `data`."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "data"


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """Read `data/<name>.tsv` as one dictionary a row."""
    with (FOLDER / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@cache
def lines(name: str) -> tuple[str, ...]:
    """Read `data/<name>.txt` as one entry a line."""
    return tuple((FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:-1])


@cache
def tree(name: str) -> Any:
    """Read `data/<name>.json`; callers don't change it."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def wordings(task: str) -> list[str]:
    """Return the ways in which `task` is asked."""
    found: list[str] = tree("wordings")[task]
    return found
