"""What is shown of a report: words, tables, charts, HTML. Nothing here knows torch."""

from qdemo.views.sections import LOGITS, MAP, MEMORY, WEIGHTS

SECTIONS = (MEMORY, LOGITS, WEIGHTS, MAP)
"""The charts, in the order in which they stand, on the page and in the report."""
