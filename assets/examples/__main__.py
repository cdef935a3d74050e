"""Compute what pages show before anyone has asked: python -m assets.examples."""

from assets.examples import evidence, layers, stories
from qdemo.measure import FIGURES
from qdemo.spec.document import as_text
from qdemo.spec.written import as_text as found_as_text
from qdemo.ui import beginning, dashboard, layers_part, mix_part
from qdemo.ui.evidence_held import FILE as EVIDENCE
from qdemo.ui.held import FIGURES as FIGURES_FILE
from qdemo.ui.held import FILE, figures_as_text
from qdemo.views.stories import FILE as STORIES
from qdemo.views.stories import QUESTIONS


def main() -> None:
    """The comparisons first: the pages are laid out with one. The first of them is run again, so
    that its times are those of a machine that is warm."""
    STORIES.write_text(stories.written(stories.compute()), encoding="utf-8")
    FILE.write_text(as_text(stories.report(QUESTIONS["agree"])) + "\n", encoding="utf-8")
    layers_part.FILE.write_text(found_as_text(layers.hurts()) + "\n", encoding="utf-8")
    mix_part.FILE.write_text(mix_part.as_text(layers.mixed()), encoding="utf-8")
    EVIDENCE.write_bytes(evidence.written(evidence.compute()))
    FIGURES_FILE.write_text(figures_as_text(FIGURES), encoding="utf-8")
    compute_pages()


def compute_pages() -> None:
    """What the pages of the lab begin with."""
    dashboard.build()
    beginning.FILE.write_text(beginning.as_text(beginning.computed()), encoding="utf-8")


if __name__ == "__main__":
    main()
