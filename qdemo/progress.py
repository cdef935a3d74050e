"""A comparison under way: what the events have told so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from qdemo.document import Document
from qdemo.report import as_json, reason_row, row
from qdemo.results import Comparison, Done, Event, Failed, Finished, Started, Stopped, Written


@dataclass(frozen=True, eq=False)
class Progress:
    """What is through, and the output so far of what is being run."""

    comparison: Comparison
    running: Mapping[str, str] = field(default_factory=dict)
    finished: bool = False

    @classmethod
    def begin(cls, event: Started) -> Progress:
        """Nothing has run yet."""
        return cls(event.comparison)

    def after(self, event: Event) -> Progress:
        """What is known after one more event."""
        comparison = self.comparison.after(event)
        if isinstance(event, Written):
            return replace(self, running={str(event.variant): event.text})
        if isinstance(event, Done | Failed):
            return Progress(comparison)
        return replace(self, finished=self.finished or isinstance(event, Finished))

    def stopped(self, reason: str) -> Progress:
        """The end, where it was ended early: what is not through was stopped for that reason."""
        through = {result.variant for result in self.comparison.results}
        through |= {failure.variant for failure in self.comparison.failures}
        comparison = self.comparison
        for variant in comparison.variants:
            if variant not in through:
                comparison = comparison.after(Stopped(variant, reason))
        return Progress(comparison, finished=True)

    def card_document(self) -> Document:
        """As much of the document as cards show; quick enough for every token."""
        comparison = self.comparison
        return {
            "model": comparison.model,
            "input": comparison.shown,
            "read": [asdict(token) for token in comparison.read],
            "formats": [str(variant) for variant in comparison.variants],
            "results": [row(result, comparison.results[0]) for result in comparison.results],
            "failures": [reason_row(failure) for failure in comparison.failures],
            "stopped": [reason_row(stopped) for stopped in comparison.stopped],
            "kept_wide": list(comparison.kept_wide),
        }

    def document(self) -> Document:
        """The whole document."""
        return as_json(self.comparison)
