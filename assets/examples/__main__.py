"""Compute what pages show before anyone has asked: python -m assets.examples."""

from qdemo import compare
from qdemo.spec.document import as_text
from qdemo.spec.report import Finished
from qdemo.ui import beginning, dashboard
from qdemo.ui.held import FILE

PROMPT = "Sort these words: pig, onion, river, wolf"
FORMATS = ("fp16", "bf16", "int8", "int3")


def main() -> None:
    """The comparison first: the pages are laid out with it."""
    compute_comparison()
    compute_pages()


def compute_pages() -> None:
    """What the pages of the lab begin with."""
    dashboard.build()
    beginning.FILE.write_text(beginning.as_text(beginning.computed()), encoding="utf-8")


def compute_comparison() -> None:
    """Run it twice, so that the times are those of a machine that is warm, and write it."""
    for _ in range(2):
        *_, last = compare("t5-tiny", PROMPT, FORMATS)
        assert isinstance(last, Finished)
    FILE.write_text(as_text(last.report) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
