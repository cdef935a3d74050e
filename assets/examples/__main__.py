"""Compute what the page opens with, and what the stories show: python -m assets.examples."""

from assets.examples import stories
from qdemo.spec.document import as_text
from qdemo.ui.held import FILE
from qdemo.views.stories import FILE as STORIES
from qdemo.views.stories import QUESTIONS


def main() -> None:
    """The first of them is run again, so that its times are those of a machine that is warm."""
    STORIES.write_text(stories.written(stories.compute()), encoding="utf-8")
    FILE.write_text(as_text(stories.report(QUESTIONS["agree"])) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
