"""A comparison as plain values: what is shown on the page, written to files and sent by the API.

It grows by events, one fold for everyone: `Report.after`. Positions and tokens count from 1 in what
is told of them; figures have the unit that they declare, and None where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from qdemo.spec.cache import Cache
from qdemo.spec.decoding import GREEDY, Decoding, Ending
from qdemo.spec.figure import Figure
from qdemo.spec.footprint import Coverage, Footprint
from qdemo.spec.setting import Calibration, InputToken, Machine
from qdemo.spec.variant import Variant

WHOLE_MODEL = "the whole model"
"""The name under which the pooled error of all parameters stands among those of each."""

Values = Mapping[str, int | float | None]
"""Figures by key."""


@dataclass(frozen=True)
class Histogram:
    """Counts in equal bins, the first of which begins at `start`."""

    start: float
    bin_width: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """What a format made of one parameter, or of all: its figures, without the `weight_` of their
    keys; `exact` of its `numel` weights have no error and stand in no histogram."""

    shape: tuple[int, ...] | None
    numel: int
    exact: int
    figures: Values
    log_histogram: Histogram
    histogram: Histogram

    @property
    def values_by_key(self) -> Values:
        """Its figures by their whole keys."""
        return {**{f"weight_{key}": value for key, value in self.figures.items()}, **self.figures}


@dataclass(frozen=True)
class Overflow:
    """The first module whose output was not finite: `infinite` and `nan` of its `numbers`.

    `clamped_in` names the module around it whose output is finite all the same, if there is one.
    """

    module: str
    infinite: int
    nan: int
    numbers: int
    clamped_in: str | None = None


@dataclass(frozen=True)
class Span:
    """The largest finite |number| that came out of any module, which one that was, and where
    numbers first went too far."""

    largest: float
    module: str
    overflow: Overflow | None


@dataclass(frozen=True)
class Trial:
    """What one format did.

    `output` and `tokens` are its own answer, `pieces` the tokens as the vocabulary writes them.
    `top` holds, at each position of the reference's answer, the likeliest tokens with their
    probabilities; `by_position` what is measured there, such as `kl_by_position`. `weights` are
    against the reference, which has none. `span` is how far numbers went where half precision
    computes, fed the reference's answer. `computed`: when, as an ISO 8601 time, on which `device`,
    and by which `WAYS` there. `ended` says why the answer ends there: "end" at an end token,
    "length" at the longest that was asked for or has room, "repetition" where it went round in a
    circle, "given" for a text that is scored; "" where it is not known.
    """

    format: str
    output: str
    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    footprint: Footprint
    top: tuple[tuple[tuple[str, float | None], ...], ...] = ()
    figures: Values = field(default_factory=dict)
    by_position: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    weights: Mapping[str, Parameter] = field(default_factory=dict)
    coverage: Coverage | None = None
    span: Span | None = None
    computed: str = ""
    device: str = "cpu"
    ways: tuple[str, ...] = ()
    ended: Ending = ""

    @property
    def variant(self) -> Variant:
        """The format as a value."""
        return Variant.parse(self.format)

    @property
    def text(self) -> str:
        """The output."""
        return self.output


@dataclass(frozen=True)
class Ended:
    """A format that is not through, and why, in a sentence."""

    format: str
    reason: str


@dataclass(frozen=True)
class Report:
    """All that came out for one model and one input; the reference is the first result.

    `formats` were to run, fp32 first. `read` are the tokens of the input; a picture has none.
    `kept` names the formats whose result an earlier comparison had computed, `kept_wide` the layers
    that transformers would keep in fp32 in a model that it loads as fp16. `calibration` says which
    inputs methods and measures looked at, `decoding` how the input was read and tokens were chosen,
    `cache` what a language model holds of a text. `running` is the output so far of what is being
    run, `making` how far that is while it is made.
    """

    model: str
    input: str
    max_tokens: int
    formats: tuple[str, ...]
    figures: tuple[Figure, ...] = ()
    read: tuple[InputToken, ...] = ()
    kept_wide: tuple[str, ...] = ()
    results: tuple[Trial, ...] = ()
    failures: tuple[Ended, ...] = ()
    stopped: tuple[Ended, ...] = ()
    kept: tuple[str, ...] = ()
    machine: Machine = field(default_factory=Machine)
    computed: str = ""
    calibration: Calibration | None = None
    running: Mapping[str, str] = field(default_factory=dict)
    making: Making | None = None
    finished: bool = False
    decoding: Decoding = GREEDY
    cache: Cache | None = None

    @property
    def reference(self) -> Trial | None:
        """What all else is compared with; None as long as, or where, it did not run."""
        return self.results[0] if self.results else None

    @property
    def variants(self) -> tuple[Trial, ...]:
        """The results that are compared with the reference's."""
        return self.results[1:]

    @property
    def is_scored(self) -> bool:
        """Whether a text was given of which nothing is answered: each format was fed its tokens,
        which are those of every result."""
        return self.decoding.read_as == "score"

    @property
    def parameters(self) -> list[str]:
        """What weight errors are known of: the whole model, then each parameter by name."""
        return list(self.variants[0].weights) if self.variants else []

    @property
    def matrices(self) -> list[str]:
        """The parameters that are matrices, in the model's order."""
        found = self.variants[0].weights if self.variants else {}
        return [name for name, error in found.items() if error.shape and len(error.shape) > 1]

    def figure(self, key: str) -> Figure:
        """The figure of that key.

        Raises:
            KeyError: the report has none.
        """
        return {figure.key: figure for figure in self.figures}[key]

    def after(self, event: Event) -> Report:
        """This report with what `event` adds to it."""
        making = event if isinstance(event, Making) else None
        return replace(self._after(event), making=making)

    def _after(self, event: Event) -> Report:
        match event:
            case Started(report):
                return report
            case Making(format):
                return replace(self, running={format: ""})
            case Written(format, text):
                return replace(self, running={format: text})
            case Done(trial, kept):
                names = (*self.kept, trial.format) if kept else self.kept
                return replace(self, results=(*self.results, trial), kept=names, running={})
            case Failed():
                ended = Ended(event.format, event.reason)
                return replace(self, failures=(*self.failures, ended), running={})
            case Stopped():
                ended = Ended(event.format, event.reason)
                return replace(self, stopped=(*self.stopped, ended), running={})
            case Finished(report):
                return replace(self, running={}, finished=True, computed=report.computed)
        raise AssertionError(event)

    def ended(self, reason: str) -> Report:
        """The end, where it was ended early: what is not through was stopped for that reason."""
        known = self
        for name in self.not_through:
            known = known.after(Stopped(name, reason))
        return replace(known, running={}, making=None, finished=True)

    @property
    def not_through(self) -> list[str]:
        """The formats that neither ran nor failed."""
        through = {trial.format for trial in self.results}
        through |= {ended.format for ended in (*self.failures, *self.stopped)}
        return [name for name in self.formats if name not in through]


@dataclass(frozen=True)
class Started:
    """What will be compared; nothing has run yet."""

    report: Report


@dataclass(frozen=True)
class Written:
    """The output of a format so far."""

    format: str
    text: str


@dataclass(frozen=True)
class Making:
    """A format that takes long to find is being made: it is at the `number`th of `count` layers,
    from 1 on, or so many of the inputs that it will be fitted to are through."""

    format: str
    number: int
    count: int
    what: Literal["layers", "inputs"] = "layers"


@dataclass(frozen=True)
class Done:
    """A format is through; `kept` where an earlier comparison had computed it. `logits` are the
    reference's own, a numpy array (T, V), as it leaves what computes it: who keeps them takes them
    off. (Of a tensor, torch sends another process only the address.)"""

    trial: Trial
    kept: bool = False
    logits: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Failed:
    """A format could not be built or run; the others go on."""

    format: str
    reason: str


@dataclass(frozen=True)
class Stopped:
    """A format was not through when a person, or the deadline, ended the comparison."""

    format: str
    reason: str


@dataclass(frozen=True)
class Finished:
    """Every format is through, or says why not."""

    report: Report

    @property
    def comparison(self) -> Report:
        """The report, which holds everything."""
        return self.report


Event = Started | Making | Written | Done | Failed | Stopped | Finished
