"""A mix of formats for a target: each layer in the format that takes most KL away for its bytes.

All parts begin in the cheapest format. What each upgrade takes away is measured in the mix, on
calibration items: alone, in a model that is float elsewhere, errors are far smaller than where they
meet others. The upgrade that takes most away a byte is done, and so on; as what others take away
changes meanwhile, it is measured again for the one that comes first, until that stays first
(Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978). At first
only the upgrades to the largest format are measured: what lies between takes hardly more away.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from qdemo.compress.parts import Parts, quantized_layers
from qdemo.engine.divergence import Divergence
from qdemo.engine.sensitivity import groups
from qdemo.engine.weighing import Weighed, said
from qdemo.models.loading import Loaded
from qdemo.spec.messages import say
from qdemo.spec.mix import ITEMS, Chosen, Mix, Sized, Target
from qdemo.spec.sensitivity import By, Trying
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant

_AGAIN = 6
"""So many upgrades are measured again before one of them is done."""

Option = tuple[str, str]
"""A part and a format, by name."""


def check_formats(formats: Sequence[Variant]) -> None:
    """Whether they can be mixed.

    Raises:
        ValueError: fewer than two, one twice, one with exceptions, or one that computes in another
            type; or only some quantize embeddings.
    """
    if len(formats) < 2 or len(set(formats)) < len(formats):
        raise ValueError(say("a mix is of two formats or more, each named once"))
    for one in formats:
        if one.exceptions or one.compute != "fp32" or one.kv:
            raise ValueError(
                say(
                    "{format} can't be in a mix; expected a format that computes in fp32, without "
                    "exceptions",
                    format=str(one)[:60],
                )
            )
    if len({one.embeddings for one in formats if one.scheme is not None}) != 1:
        raise ValueError(say("of the formats in a mix all have +emb, or none has"))


def mix(
    loaded: Loaded,
    built: Mapping[Variant, nn.Module],
    target: Target,
    by: By = "layer",
    items: int = ITEMS,
) -> Generator[Trying, None, Mix]:
    """The mix of formats that is found for a target; `built` is the whole model in each. What is
    measured is told before. Closing it stops it.

    Raises:
        ValueError: the formats can't be mixed, the target can't be reached with them, or the mix is
            too long for a text.
        ArithmeticError: logits are not finite.
    """
    check_formats([*built])
    others = {str(variant): model for variant, model in built.items() if variant.scheme is not None}
    first = next(variant for variant in built if variant.scheme is not None)
    every = groups(quantized_layers(loaded.model, built[first]), by)
    measured = Weighed(loaded, Parts(loaded.model, others), Divergence(loaded, items), every)
    search = _Search(measured, target, [str(variant) for variant in built])
    yield from search.begin()
    yield from search.go_on()
    search.end()
    steps = {str(v): Step(cast="fp32") if v.scheme is None else v.default for v in built}
    held = {name: steps[search.chosen[one.name]] for one in every for name in one.layers}
    return search.told(said(loaded.model, held, first.embeddings), by)


@dataclass(eq=False)
class _Search:
    """Where it stands: the mix so far (`chosen`, `now`), and by how much each upgrade lowers KL, as
    far as that is known (`gains`); `added` are bytes over fp32's of each part and format."""

    measured: Weighed
    target: Target
    formats: list[str]
    chosen: dict[str, str] = field(default_factory=dict)
    gains: dict[Option, float] = field(default_factory=dict)
    added: dict[Option, int] = field(default_factory=dict)
    plain: list[Sized] = field(default_factory=list)

    def begin(self) -> Generator[Trying]:
        """Measure each format alone, and each upgrade of the mix of the cheapest.

        Raises:
            ValueError: that is too large already.
        """
        names = [part.name for part in self.measured.every]
        for number, format in enumerate(self.formats, 1):
            yield Trying(format, number, len(self.formats))
            self.plain.append(self.measured.sized(dict.fromkeys(names, format), format))
        kl = {one.format: one.kl.mean for one in self.plain}
        self.added = {(n, f): self.measured.added(n, f) for n in names for f in self.formats}
        for name in names:
            self.chosen[name] = min(self.formats, key=lambda f: (self.added[name, f], kl[f]))
        self.now = self.measured.sized(self.chosen)
        if not self._fits(self.now.bytes):
            raise ValueError(self._too_small())
        for number, name in enumerate(names, 1):
            largest = max(self.formats, key=lambda f: (self.added[name, f], -kl[f]))
            yield Trying(_told((name, largest)), number, len(names))
            gain = self.now.kl.mean - self._with((name, largest)).kl.mean
            others = [format for format in self.formats if format != self.chosen[name]]
            self.gains |= {(name, format): gain for format in others}

    def go_on(self) -> Generator[Trying]:
        """Upgrade, as long as the target leaves something to do.

        Raises:
            ValueError: it is a KL that is not reached.
        """
        done = 0
        while not self._is_reached():
            found = yield from self._next(done)
            if found is None:
                break
            done += 1
            self._do(*found)
        best = min([self.now, *self.plain], key=lambda one: one.kl.mean)
        if self.target.kind == "kl" and best.kl.mean > self.target.value:
            raise ValueError(
                say(
                    "a KL of {target:g} nats can't be reached with these formats; the best that "
                    "was found has {best:.3g}, with {size:.2f} MB",
                    target=self.target.value,
                    best=best.kl.mean,
                    size=best.bytes / 1e6,
                )
            )

    def _next(self, done: int) -> Generator[Trying, None, tuple[Option, Sized] | None]:
        """The upgrade that is worth most, with what comes of it; None where none is left."""
        fresh: dict[Option, Sized] = {}
        while True:
            left = [option for option in self.gains if self._fits(self._bytes_with(option))]
            worth = max(left, key=self._worth, default=None)
            if len(fresh) >= _AGAIN and (best := max(fresh, key=self._worth)) in left:
                worth = best if self.gains[best] > 0 else worth
            if worth is None or self.gains[worth] <= 0:
                return None
            if worth in fresh:
                return worth, fresh[worth]
            yield Trying(_told(worth), done + 1, len(self.measured.every))
            fresh[worth] = self._with(worth)
            self.gains[worth] = self.now.kl.mean - fresh[worth].kl.mean
            if not self._fits(fresh[worth].bytes):
                del self.gains[worth], fresh[worth]

    def _do(self, option: Option, after: Sized) -> None:
        """What the part's other formats would take away is guessed until it is measured."""
        part, format = option
        taken = self.gains[option]
        self.chosen[part], self.now = format, after
        for other in self.formats:
            known = self.gains.pop((part, other), None)
            if known is not None and self.added[part, other] > self.added[option]:
                self.gains[part, other] = known - taken

    def end(self) -> None:
        """Where one of the formats alone does better, take that."""

        def rank(one: Sized) -> tuple[float, float]:
            kl, size = one.kl.mean, float(one.bytes)
            return (size, kl) if self.target.kind == "kl" else (kl, size)

        for one in self.plain:
            is_enough = self.target.kind != "kl" or one.kl.mean <= self.target.value
            is_short = self.target.kind == "kl" and not self._is_reached()
            if self._fits(one.bytes) and is_enough and (is_short or rank(one) < rank(self.now)):
                self.chosen, self.now = dict.fromkeys(self.chosen, one.format), one

    def told(self, variant: Variant, by: By) -> Mix:
        """The end of it."""
        now, divergence = self.now, self.measured.divergence
        return Mix(
            self.measured.loaded.entry.name,
            self.target,
            by,
            divergence.items,
            divergence.positions,
            Sized(str(variant), now.bytes, now.bits_per_weight, now.kl),
            tuple(self.plain),
            tuple(Chosen(p.name, p.modules, self.chosen[p.name]) for p in self.measured.every),
            self.measured.tries,
        )

    def _with(self, option: Option) -> Sized:
        return self.measured.sized({**self.chosen, option[0]: option[1]})

    def _bytes_with(self, option: Option) -> int:
        return self.now.bytes + self._more(option)

    def _more(self, option: Option) -> int:
        return self.added[option] - self.added[option[0], self.chosen[option[0]]]

    def _worth(self, option: Option) -> float:
        """KL that goes for a byte."""
        return self.gains[option] / max(self._more(option), 1)

    def _fits(self, held: int) -> bool:
        """Whether a whole model of so many bytes is what the target allows."""
        if self.target.kind == "kl":
            return True
        is_mb = self.target.kind == "mb"
        return (held / 1e6 if is_mb else self.measured.bits(held)) <= self.target.value

    def _is_reached(self) -> bool:
        return self.target.kind == "kl" and self.now.kl.mean <= self.target.value

    def _too_small(self) -> str:
        return say(
            "{target:g} {unit} can't be reached with these formats; the smallest mix has "
            "{size:.3f} MB, {bits:.3f} bits a weight, and a KL of {kl:.3g} nats",
            target=self.target.value,
            unit=self.target.unit,
            size=self.now.bytes / 1e6,
            bits=self.now.bits_per_weight,
            kl=self.now.kl.mean,
        )


def _told(option: Option) -> str:
    return " = ".join(option)
