"""A variant of a model as a value: what its weights are stored in, and what it computes in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from qdemo.spec.messages import say
from qdemo.spec.scheme import COMPUTE_FORMATS, Scheme
from qdemo.spec.step import Step

if TYPE_CHECKING:
    from torch import nn

    from qdemo import Stats

Model = TypeVar("Model", bound="nn.Module")

LONGEST = 4000
"""Characters of a text form."""

_KV = ("kv8", "kv4")
_CAST = Step()


@dataclass(frozen=True)
class Variant:
    """How a model is stored and computed.

    `default` is what becomes of its Linear layers and their like (of the Embedding layers too,
    where `embeddings`): quantized, the rest being in `compute`; or, without a scheme, cast to
    `compute` as all else is. `exceptions` name modules, for which and for all below which another
    step holds; the first that matches wins. `kv` is what the cache of keys and values is held in.

    >>> [str(Variant.parse(text)) for text in ("bf16", "int4-g64-affine+emb@bf16", "int8@fp32")]
    ['bf16', 'int4-g64-affine+emb@bf16', 'int8']
    >>> Variant.parse("int4-g64~lm_head=int8~encoder.block.0=fp32").exceptions[1][0]
    'encoder.block.0'

    Raises:
        ValueError: a combination that has no meaning.
    """

    default: Step = _CAST
    exceptions: tuple[tuple[str, Step], ...] = ()
    embeddings: bool = False
    kv: str | None = None
    compute: str = "fp32"

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_compute(self.compute)
        if self.default.cast is not None:
            raise ValueError(say("a model is cast by compute={cast!r}", cast=self.default.cast))
        if self.embeddings and self.scheme is None:
            raise ValueError(
                say("{compute} casts the embeddings anyway; leave +emb out", compute=self.compute)
            )
        if self.kv is not None and self.kv not in _KV:
            raise ValueError(
                say("kv is {kv!r}, expected {names} or None", kv=self.kv, names=", ".join(_KV))
            )
        _check_exceptions(self.exceptions)
        _check_length(str(self))

    @property
    def scheme(self) -> Scheme | None:
        """The scheme of what is quantized by default; None where the whole model is cast."""
        return self.default.scheme

    @property
    def is_found(self) -> bool:
        """Whether some of its numbers are searched for, which takes a while."""
        return any(step.is_found for step in (self.default, *(step for _, step in self.exceptions)))

    def __str__(self) -> str:
        """The text form, which `parse` reads."""
        head = self.compute
        if self.scheme is not None:
            compute = "" if self.compute == "fp32" else f"@{self.compute}"
            head = f"{self.default}{'+emb' * self.embeddings}{self._kv}{compute}"
        elif self.kv:
            head += self._kv
        return "".join([head, *(f"~{name}={step}" for name, step in self.exceptions)])

    @property
    def _kv(self) -> str:
        return f"+{self.kv}" if self.kv else ""

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read a text form such as `bf16`, `int8`, `int4-g64-affine+emb@bf16~lm_head=int8`.

        Raises:
            ValueError: says which part is wrong, and what is allowed.
        """
        _check_length(text)
        head, *rest = text.strip().split("~")
        exceptions = tuple(_exception(part) for part in rest)
        stored, at, compute = head.partition("@")
        first, *more = stored.split("+")
        kinds = [_added(part, head) for part in more]
        caches = [kind for kind in kinds if kind in _KV]
        if kinds.count("emb") > 1 or len(caches) > 1:
            raise ValueError(
                say("{text!r} says {part} a second time", text=head[:60], part=kinds[-1])
            )
        embeddings, kv = "emb" in kinds, caches[0] if caches else None
        step = Step.parse(first)
        if step.cast:
            if at:
                _check_compute(compute)
                raise ValueError(
                    say(
                        "{first!r} is computed in as well; leave @{compute} out",
                        first=first,
                        compute=compute,
                    )
                )
            return cls(Step(), exceptions, embeddings, kv, step.cast)
        return cls(step, exceptions, embeddings, kv, compute if at else "fp32")

    def excepting(self, modules: Iterable[str], step: Step) -> Variant:
        """The same with another step for those modules, which holds before other exceptions do.

        >>> str(Variant.parse("int2~a=int4~b=int8").excepting(["b", "c.0"], Step(cast="fp32")))
        'int2~b=fp32~c.0=fp32~a=int4'
        """
        names = dict.fromkeys(modules)
        others = [one for one in self.exceptions if one[0] not in names]
        return replace(self, exceptions=(*((name, step) for name in names), *others))

    def step_of(self, module: str) -> Step:
        """What becomes of a module of that name: by the first exception that is for it, or for one
        that it is below, or else what becomes of all.

        >>> str(Variant.parse("int8~a.b=int4~a=int2").step_of("a.c"))
        'int2'
        """
        own = (step for name, step in self.exceptions if f"{module}.".startswith(f"{name}."))
        return next(own, self.default)

    def check_built(self) -> None:
        """Whether all of it can be computed.

        Raises:
            ValueError: says which part can't, yet.
        """
        if self.kv:
            part, text = f"+{self.kv}", str(self)[:60]
            raise ValueError(
                say("{part} in {text!r} is known, but not built yet", part=part, text=text)
            )

    def build(self, reference: Model, stats: Mapping[str, Stats] | None = None) -> Model:
        """This variant of `reference`, which is untouched; what needs no change is shared with it.

        Raises:
            ValueError: a layer does not fit the scheme, a weight is NaN or infinite, or there are
                no statistics of the layers' inputs where the variant needs them.
        """
        import qdemo  # torch comes with what builds

        return qdemo.build(reference, self, stats)


def _check_compute(name: str) -> None:
    if name not in COMPUTE_FORMATS:
        allowed = ", ".join(COMPUTE_FORMATS)
        raise ValueError(
            say("cannot compute in {found!r}; expected {allowed}", found=name[:60], allowed=allowed)
        )


def _check_length(text: str) -> None:
    if len(text) > LONGEST:
        raise ValueError(
            say(
                "a format of {count:,} characters; at most {longest:,} are read",
                count=len(text),
                longest=LONGEST,
            )
        )


def _check_exceptions(exceptions: tuple[tuple[str, Step], ...]) -> None:
    names = set()
    for name, step in exceptions:
        if not re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", name):
            raise ValueError(
                say("{found!r} is no name of a module, such as encoder.block.0", found=name[:60])
            )
        if name in names:
            raise ValueError(say("there are two exceptions for {name}", name=name[:60]))
        if step == _CAST:
            raise ValueError(
                say("the exception {name} says nothing; expected a format", name=name[:60])
            )
        names.add(name)


def _exception(text: str) -> tuple[str, Step]:
    name, equals, step = text.partition("=")
    if not equals:
        raise ValueError(
            say("{found!r} is no exception; expected ~MODULE=FORMAT", found="~" + text[:60])
        )
    return name, Step.parse(step)


def _added(part: str, text: str) -> str:
    if part != "emb" and part not in _KV:
        raise ValueError(
            say(
                "{part!r} in {text!r} is not known; only +emb (embeddings too) and +kv8, "
                "+kv4 (the cache of keys and values) are",
                part="+" + part[:60],
                text=text[:60],
            )
        )
    return part
