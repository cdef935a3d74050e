"""What the host of the dashboard may set, by environment variables; read and checked once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from qdemo.spec.messages import say
from qdemo.spec.request import DEVICES

HUB = ("any", "listed")
"""What models a person may ask for: any of the Hub and of this machine's folders, or those listed.
"""

_LOOPBACK = ("", "127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True)
class Settings:
    """The limits of one server.

    `models` (QDEMO_MODELS): models offered beside the catalogue's, see `qdemo.models.availability`.
    `most_parameters` (QDEMO_MOST_PARAMETERS): what a model that is not named there may have.
    `deadline_s` (QDEMO_DEADLINE_S): the seconds that one comparison may take.
    `method_s` (QDEMO_METHOD_S): the seconds that a method may take to find one variant.
    `most_items` (QDEMO_MOST_ITEMS), `evaluate_s` (QDEMO_EVALUATE_S): the items that one evaluation
    may have, and the seconds that it may compute.
    `model_bytes` (QDEMO_MODEL_CACHE_MB), `result_bytes` (QDEMO_RESULT_CACHE_MB): what is kept of
    loaded models and of results that may be asked for again, in bytes.
    `device` (QDEMO_DEVICE): what computes, one of `DEVICES`.
    `frame_ancestors` (QDEMO_FRAME_ANCESTORS): who may show the pages in a frame, as origins.
    `tracebacks` (QDEMO_TRACEBACKS): whether errors are logged whole, and not in a line each.
    `in_space`: whether this is a Space of Hugging Face, which sets SPACE_ID.
    `hub` (QDEMO_HUB): whether models are `listed` alone, or `any` that a person names; without the
    variable any, unless others than this machine may ask: see `_who_may_ask`.
    """

    models: str = ""
    most_parameters: int = 1_000_000_000
    deadline_s: int = 300
    method_s: int = 60
    most_items: int = 1000
    evaluate_s: int = 900
    model_bytes: int = 4_000_000_000
    result_bytes: int = 200_000_000
    device: str = "auto"
    frame_ancestors: tuple[str, ...] = ()
    tracebacks: bool = False
    in_space: bool = False
    hub: str = "any"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that an environment holds, and the defaults for what it leaves out.

        Raises:
            ValueError: a variable is no whole number from 0 on, none of a few words, or no list of
                origins.

        >>> Settings.read({"QDEMO_DEADLINE_S": "60"}).deadline_s
        60
        """
        default = cls()
        return cls(
            models=environment.get("QDEMO_MODELS", default.models),
            most_parameters=_whole(environment, "QDEMO_MOST_PARAMETERS", default.most_parameters),
            deadline_s=_whole(environment, "QDEMO_DEADLINE_S", default.deadline_s),
            method_s=_whole(environment, "QDEMO_METHOD_S", default.method_s),
            most_items=_whole(environment, "QDEMO_MOST_ITEMS", default.most_items),
            evaluate_s=_whole(environment, "QDEMO_EVALUATE_S", default.evaluate_s),
            model_bytes=_megabytes(environment, "QDEMO_MODEL_CACHE_MB", default.model_bytes),
            result_bytes=_megabytes(environment, "QDEMO_RESULT_CACHE_MB", default.result_bytes),
            device=_one_of(environment, "QDEMO_DEVICE", default.device, DEVICES),
            frame_ancestors=_origins(environment, "QDEMO_FRAME_ANCESTORS"),
            tracebacks=_whole(environment, "QDEMO_TRACEBACKS", 0) > 0,
            in_space=bool(environment.get("SPACE_ID")),
            hub=_one_of(environment, "QDEMO_HUB", _who_may_ask(environment), HUB),
        )


def _who_may_ask(environment: Mapping[str, str]) -> str:
    """`any` where only this machine reaches the server: its host is then the one who asks.

    >>> _who_may_ask({}), _who_may_ask({"GRADIO_SERVER_NAME": "0.0.0.0"})
    ('any', 'listed')
    """
    listens_here = environment.get("GRADIO_SERVER_NAME", "").strip() in _LOOPBACK
    others = ("SPACE_ID", "GRADIO_ROOT_PATH")  # the second: a proxy stands before it
    is_shared = environment.get("GRADIO_SHARE", "").strip().lower() not in ("", "0", "false")
    is_open = is_shared or any(environment.get(name) for name in others)
    return "any" if listens_here and not is_open else "listed"


def _whole(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default)).strip()
    if not (text.isascii() and text.isdigit()):
        raise ValueError(
            say(
                "{name} is {found!r}, expected a whole number from 0 on", name=name, found=text[:40]
            )
        )
    return int(text)


def _one_of(
    environment: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]
) -> str:
    text = environment.get(name, "").strip() or default
    if text not in allowed:
        raise ValueError(
            say(
                "{name} is {found!r}, expected one of {names}",
                name=name,
                found=text[:40],
                names=", ".join(allowed),
            )
        )
    return text


def _megabytes(environment: Mapping[str, str], name: str, default: int) -> int:
    return 1_000_000 * _whole(environment, name, default // 1_000_000)


def _origins(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """A list of origins, as a Content-Security-Policy has them, by blanks or commas."""
    found = tuple(re.split(r"[\s,]+", environment.get(name, "").strip()))
    for origin in filter(None, found):
        if not re.fullmatch(r"\*|https?://(\*\.)?[A-Za-z0-9.-]+(:(\d{1,5}|\*))?", origin):
            raise ValueError(
                say(
                    "{name} has {found!r}, expected an origin such as https://example.org, "
                    "https://*.example.org:8443, or * for anyone",
                    name=name,
                    found=origin[:60],
                )
            )
    return tuple(filter(None, found))


SETTINGS = Settings.read(os.environ)
"""Those of this process."""
