"""tests/bench/README.md: each machine's tables under a heading of its own, between two markers.

A machine's section is its heading, its table with a line about both, and folded tables of how time
grows. Writing replaces, in the section of the same heading, the tables that were measured, with
their date; its other tables and every other section stay as they are. A machine without a section
gets one, before the others.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill

README = Path(__file__).with_name("README.md")
START, END = "<!-- machines -->", "<!-- end of machines -->"

_HEADING = re.compile(r"^### (.+)$", re.MULTILINE)
_FOLDED = "<details><summary>{title}, {date}</summary>\n\n{text}\n\n</details>"
_FOLDS = re.compile(
    r"<details><summary>(.+?), (\d{4}-\d\d-\d\d)</summary>\n\n(.*?)\n\n</details>", re.DOTALL
)


@dataclass(frozen=True)
class Measured:
    """What one run measured: the text of the table with a line about it, and of each table of
    growth by its title."""

    table: str = ""
    about: str = ""
    growth: dict[str, str] = field(default_factory=dict)


def written(readme: str, heading: str, date: str, measured: Measured) -> str:
    """The text of the README with the tables of this run.

    Raises:
        ValueError: the README has no place for them.
    """
    if readme.count(START) != 1 or readme.count(END) != 1:
        raise ValueError(f"the README is without its two markers, expected {START} and {END} once")
    before, rest = readme.split(START)
    machines, after = rest.split(END)
    lead, sections = sections_of(machines)
    new = _section(sections.get(heading, ""), date, measured)
    sections = sections | {heading: new} if heading in sections else {heading: new} | sections
    text = "".join(f"### {name}\n{body}" for name, body in sections.items())
    return f"{before}{START}{lead}{text}{END}{after}"


def sections_of(machines: str) -> tuple[str, dict[str, str]]:
    """What stands before the first heading, and what stands below each.

    Raises:
        ValueError: two sections have one heading.
    """
    lead, *parts = _HEADING.split(machines)
    names, bodies = parts[::2], [body.removeprefix("\n") for body in parts[1::2]]
    if len(set(names)) < len(names):
        raise ValueError(f"two machines have one heading, expected each once: {', '.join(names)}")
    return lead, dict(zip(names, bodies, strict=True))


def _section(old: str, date: str, measured: Measured) -> str:
    table = old.partition("<details>")[0].strip("\n")
    if measured.table:
        about = fill(f"Measured {date}: {measured.about}", 100, break_on_hyphens=False)
        table = f"{about}\n\n{measured.table}"
    folded = {title: (day, text) for title, day, text in _FOLDS.findall(old)}
    folded |= {title: (date, text) for title, text in measured.growth.items()}
    growth = [
        _FOLDED.format(title=title, date=day, text=text) for title, (day, text) in folded.items()
    ]
    return "".join(f"\n{part}\n" for part in [table, *growth] if part) + "\n"
