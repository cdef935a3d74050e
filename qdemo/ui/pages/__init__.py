"""The pages, the front page first: each is a file with a `build`, and a line here."""

from qdemo.ui.pages import about, casting, compare, formats, linear

PAGES = (
    ("Compare", "/", compare.build),
    ("Number formats", "/formats", formats.build),
    ("Casting", "/casting", casting.build),
    ("Linear quantization", "/linear", linear.build),
    ("About", "/about", about.build),
)
"""(title, path, what lays it out in a Blocks and connects it)."""
