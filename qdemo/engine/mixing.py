"""A mix of formats for a target: each layer in the format that takes most KL away for its bytes.

What each part does in each format is measured alone, in a model that is float elsewhere, on
calibration items. All parts begin in the cheapest format; the upgrade that takes most away a byte
is done, and so on, until the target is used up, or, of a KL, until a mix that is measured whole has
it. What parts do together is more than the sum of what they do alone, but in about the same order;
chosen by what it does in the mix itself, an upgrade fits the few items that it was measured on: for
t5-tiny such mixes had twice the KL on others.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
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
    steps = {str(v): Step(cast="fp32") if v.scheme is None else v.default for v in built}
    held = {name: steps[search.chosen[one.name]] for one in every for name in one.layers}
    return search.told(said(loaded.model, held, first.embeddings), by)


@dataclass(eq=False)
class _Search:
    """What is known of each part in each format, by name: KL where it alone is so (`alone`), and
    the bytes that it has more than in fp32 (`added`); and of the formats (`plain`)."""

    measured: Weighed
    target: Target
    formats: list[str]
    alone: dict[Option, float] = field(default_factory=dict)
    added: dict[Option, int] = field(default_factory=dict)
    plain: list[Sized] = field(default_factory=list)

    def begin(self) -> Generator[Trying]:
        """Measure each format, and each part in each.

        Raises:
            ValueError: the smallest mix is larger than the target, which is known before.
        """
        names = [part.name for part in self.measured.every]
        options = [(name, format) for name in names for format in self.formats]
        self._weigh(options)
        for number, format in enumerate(self.formats, 1):
            yield Trying(format, number, len(self.formats))
            self.plain.append(self.measured.sized(dict.fromkeys(names, format), format))
        for number, option in enumerate(options, 1):
            yield Trying(" = ".join(option), number, len(options))
            self.alone[option] = self.measured.sized(dict([option])).kl.mean

    def _weigh(self, options: Sequence[Option]) -> None:
        """What each part holds in each format, and whether any mix is small enough."""
        least: dict[str, int] = {}
        for part, format in options:
            added = self.measured.held({part: format}) - self.measured.whole
            self.added[part, format] = added
            least[part] = min(added, least.get(part, added))
        smallest = self.measured.whole + sum(least.values())
        if not self._fits(smallest):
            raise ValueError(self._too_small(smallest))

    def go_on(self) -> Generator[Trying]:
        """Find the mix, and measure it.

        Raises:
            ValueError: no mix was found with a KL so small.
        """
        mixes = list(self._upgraded())
        if self.target.kind != "kl":
            self.chosen = mixes[-1]
            self.now = self.measured.sized(self.chosen)
        else:
            yield from self._first_within(mixes)
        self._or_plain()
        if self.target.kind == "kl" and self.now.kl.mean > self.target.value:
            raise ValueError(self._too_far())

    def _upgraded(self) -> Iterator[dict[str, str]]:
        """The mix of the cheapest, and each that has one upgrade more."""
        chosen = {
            part.name: min(self.formats, key=lambda f: self._rank((part.name, f)))
            for part in self.measured.every
        }
        held = self.measured.whole + sum(self.added[option] for option in chosen.items())
        yield dict(chosen)
        while True:
            worth = {
                option: self._worth(option, chosen)
                for option in self.added
                if self._fits(held + self._more(option, chosen))
            }
            best = max(worth, key=lambda option: worth[option], default=None)
            if best is None or worth[best] <= 0:
                return
            held += self._more(best, chosen)
            chosen[best[0]] = best[1]
            yield dict(chosen)

    def _first_within(self, mixes: Sequence[dict[str, str]]) -> Generator[Trying]:
        """The first that has the KL, by halving: a mix with more upgrades seldom has more; the last
        where none has it."""
        low, high, number = 0, len(mixes) - 1, 0
        self.chosen = mixes[-1]
        self.now = self.measured.sized(self.chosen)
        while low < high:
            middle, number = (low + high) // 2, number + 1
            yield Trying(say("mix {number}", number=middle + 1), number, len(mixes).bit_length())
            found = self.measured.sized(mixes[middle])
            if found.kl.mean <= self.target.value:
                high, self.chosen, self.now = middle, mixes[middle], found
            else:
                low = middle + 1

    def _or_plain(self) -> None:
        """Where one of the formats alone does better, take that."""

        def rank(one: Sized) -> tuple[bool, float, float]:
            size, kl = float(one.bytes), one.kl.mean
            if self.target.kind == "kl" and kl <= self.target.value:
                return False, size, kl
            return not self._fits(one.bytes) or self.target.kind == "kl", kl, size

        best = min(self.plain, key=rank)
        if rank(best) < rank(self.now):
            self.chosen, self.now = dict.fromkeys(self.chosen, best.format), best

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

    def _rank(self, option: Option) -> tuple[int, float]:
        return self.added[option], self.alone[option]

    def _more(self, option: Option, chosen: Mapping[str, str]) -> int:
        return self.added[option] - self.added[option[0], chosen[option[0]]]

    def _worth(self, option: Option, chosen: Mapping[str, str]) -> float:
        """KL that goes for a byte; a format with fewer bytes is no upgrade."""
        gain = self.alone[option[0], chosen[option[0]]] - self.alone[option]
        more = self._more(option, chosen)
        return gain / max(more, 1) if more >= 0 else 0.0

    def _fits(self, held: int) -> bool:
        """Whether a whole model of so many bytes is what the target allows."""
        if self.target.kind == "kl":
            return True
        is_mb = self.target.kind == "mb"
        return (held / 1e6 if is_mb else self.measured.bits(held)) <= self.target.value

    def _too_small(self, smallest: int) -> str:
        return say(
            "{target:g} {unit} can't be reached with these formats; the smallest mix has "
            "{size:.3f} MB, and {bits:.3f} bits a weight",
            target=self.target.value,
            unit=self.target.unit,
            size=smallest / 1e6,
            bits=self.measured.bits(smallest),
        )

    def _too_far(self) -> str:
        return say(
            "a KL of {target:g} nats can't be reached with these formats; the best that was found "
            "has {best:.3g}, with {size:.2f} MB",
            target=self.target.value,
            best=self.now.kl.mean,
            size=self.now.bytes / 1e6,
        )
