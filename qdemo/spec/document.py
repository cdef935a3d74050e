"""A report as JSON, both ways; what was written since the first schema is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any

from qdemo.spec.decoding import Decoding
from qdemo.spec.figure import Figure
from qdemo.spec.footprint import KINDS
from qdemo.spec.messages import say
from qdemo.spec.report import Parameter, Report, Trial
from qdemo.spec.variant import Variant

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 3
"""Raised whenever a field changes its meaning. Since 2 `first_divergent_token` counts from 1, and
the bytes of what is quantized are called `quantized weights`. Since 3 a report says what each of
its figures is (`figures`), what a format leaves as it is (`coverage`), and the device."""

Json = Mapping[str, object]
"""A document as another program reads it: numbers, text, lists, and null where there is none."""

_BY_POSITION = "_by_position"
_UNDER_WAY = ("running", "making", "finished")  # nothing that is written down


def as_json(report: Report) -> dict[str, object]:
    """Everything that was measured, and on what, as JSON-ready values."""
    plain: dict[str, Any] = _adapter(Report).dump_python(report, mode="json")
    for key in _UNDER_WAY:
        del plain[key]
    columns = {key: None for result in plain["results"] for key in result["by_position"]}
    plain["results"] = [_flat(result, columns) for result in plain["results"]]
    return {"schema": SCHEMA, **plain, **_chosen_how(report.decoding)}


def _chosen_how(decoding: Decoding) -> dict[str, object]:
    """As it has stood in a report from the first on: in a word, and the seed apart; `given` where
    no token is chosen, as all are."""
    chosen = "greedy" if decoding.is_greedy else "sampling"
    return {
        "decoding": "given" if decoding.read_as == "score" else chosen,
        "read_as": decoding.read_as,
        "temperature": decoding.temperature,
        "seed": None if decoding.is_greedy else decoding.seed,
    }


def as_text(report: Report) -> str:
    """The same as text."""
    return json.dumps(as_json(report), allow_nan=False, ensure_ascii=False)


def from_text(text: str | bytes, known: Sequence[Figure] = ()) -> Report:
    """The report that a file holds; `known` are the figures for those of before schema 3.

    Raises:
        ValueError: it is no report, or one of a later schema.
    """
    try:
        document = parsed(text)
    except ValueError:
        raise ValueError(say("expected a report as JSON; this is none")) from None
    return from_json(document, known)


def each_from_text(text: str | bytes, known: Sequence[Figure] = ()) -> list[Report]:
    """The reports that a file holds: one, or a list of them.

    Raises:
        ValueError: as `from_text`.
    """
    try:
        document = parsed(text)
    except ValueError:
        document = None
    if not isinstance(document, list) or not document:
        return [from_text(text, known)]
    return [from_json(one, known) for one in document]


def parsed(text: str | bytes) -> object:
    """JSON of anyone's, whose numbers are finite.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError from None


def _whole(digits: str) -> int:
    """Nothing that is counted has more than 18 digits."""
    if len(digits) > 19:
        raise ValueError
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


def from_json(document: object, known: Sequence[Figure] = ()) -> Report:
    """The report that a document holds.

    Raises:
        ValueError: it is no report, or one of a later schema.
    """
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(document, dict) or type(schema) is not int:
        raise ValueError(say("expected a report, with a schema; this is none"))
    if not 1 <= schema <= SCHEMA:
        raise ValueError(
            say(
                "a report of schema {schema}; this version reads 1 to {latest}",
                schema=schema,
                latest=SCHEMA,
            )
        )
    try:
        return _read(_upgraded(document, schema, known))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(
            say("the report is not whole: {error}", error=what_is_wrong(error))
        ) from None


def what_is_wrong(error: Exception) -> str:
    """What is wrong, in a line: the file may be anyone's."""
    found = str(error)
    if isinstance(error, KeyError):
        found = say("there is no {key}", key=found)
    elif hasattr(error, "errors"):  # pydantic's, of which the first is enough
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return "".join(filter(str.isprintable, found))[:200] or type(error).__name__


def _read(document: dict[str, Any]) -> Report:
    if not isinstance(document["results"], list):
        raise TypeError(say("results: expected a list"))
    keys = [figure["key"] for figure in document["figures"]]
    own = {field.name for field in fields(Report)} - set(_UNDER_WAY)
    plain = {key: value for key, value in document.items() if key in own}
    plain["decoding"] = vars(Decoding.read({key: document.get(key) for key in vars(Decoding())}))
    plain["results"] = [_nested(result, keys) for result in document["results"]]
    text = json.dumps({**plain, "finished": True}, allow_nan=False)
    report = _adapter(Report).validate_json(text, strict=True)
    _check(report)
    return report


def _check(report: Report) -> None:
    """Whether the parts belong together, as whatever shows them takes for granted.

    Raises:
        ValueError: says which do not.
    """
    for name in report.formats:
        Variant.parse(name)
    ended = [trial.format for trial in report.results]
    ended += [one.format for one in (*report.failures, *report.stopped)]
    if not report.formats or len(set(ended)) < len(ended) or set(ended) - set(report.formats):
        raise ValueError(
            say("results, failures and stopped are not those of its formats, each once")
        )
    if report.reference is not None and report.reference.format != report.formats[0]:
        raise ValueError(say("{format} is not the first result", format=report.formats[0]))
    if set(report.kept) - {trial.format for trial in report.results}:
        raise ValueError(say("something was kept that is no result"))
    for trial in report.results:
        _check_trial(trial, report.results[0], report.is_scored)


def _check_trial(trial: Trial, reference: Trial, is_scored: bool) -> None:
    positions = len(reference.tokens)
    by_position = dict(trial.by_position)
    if trial is not reference:
        by_position.setdefault("kl_by_position", ())
    if is_scored:
        by_position.setdefault("loss_by_position", ())
    lengths = {len(values) for values in (trial.top, *by_position.values())}
    if (
        not positions
        or lengths != {positions}
        or len(trial.pieces) != len(trial.tokens)
        or not all(trial.top)
    ):
        raise ValueError(say("{format} has not as much as there are tokens", format=trial.format))
    if set(KINDS) - set(trial.footprint.by_kind) or trial.footprint.total < 1:
        raise ValueError(
            say("{format} has a footprint that leaves something out", format=trial.format)
        )
    reached = trial.coverage
    if reached and not 0 <= reached.quantized <= reached.parameters != 0:
        raise ValueError(say("{format} has a coverage that can't be", format=trial.format))
    for name, parameter in trial.weights.items():
        if min(parameter.histogram.bin_width, parameter.log_histogram.bin_width) <= 0:
            raise ValueError(say("{format} has bins without a width", format=trial.format))
        if lacking := _OF_WEIGHTS - set(parameter.figures):
            raise ValueError(
                say(
                    "{format} has no {figure} of {parameter}",
                    format=trial.format,
                    figure=min(lacking),
                    parameter=name,
                )
            )


_OF_WEIGHTS = {"sqnr_db", "rms_steps", "overflowed"}


@cache
def _adapter(of: type[Report]) -> TypeAdapter[Report]:
    from pydantic import TypeAdapter  # not sooner: gradio has it, the command line may not need it

    return TypeAdapter(of)


def _flat(result: dict[str, Any], columns: Mapping[str, None]) -> dict[str, Any]:
    """Figures, and what is known by position, stand among the other fields; `columns` is for what
    only others have."""
    own = {field.name for field in fields(Trial)} - {"figures", "by_position", "weights"}
    return {
        "format": result["format"],
        "output": result["output"],
        **result["figures"],
        **{key: value for key, value in result.items() if key in own},
        **columns,
        **result["by_position"],
        "weights": {name: _flat_parameter(one) for name, one in result["weights"].items()} or None,
    }


def _flat_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    histograms = {key: parameter[key] for key in ("log_histogram", "histogram")}
    sizes = {key: parameter[key] for key in ("shape", "numel", "exact")}
    return {**sizes, **parameter["figures"], **histograms}


def _nested(result: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    own = {field.name for field in fields(Trial)} - {"figures", "by_position", "weights"}
    weights = result["weights"] or {}
    return {
        **{key: value for key, value in result.items() if key in own},
        "figures": {key: result[key] for key in keys if key in result},
        "by_position": {
            key: value for key, value in result.items() if key.endswith(_BY_POSITION) and value
        },
        "weights": {name: _nested_parameter(one) for name, one in weights.items()},
    }


def _nested_parameter(one: dict[str, Any]) -> dict[str, Any]:
    own = {field.name for field in fields(Parameter)} - {"figures"}
    return {
        **{key: value for key, value in one.items() if key in own},
        "figures": {key: value for key, value in one.items() if key not in own},
    }


def _upgraded(document: dict[str, Any], schema: int, known: Sequence[Figure]) -> dict[str, Any]:
    if schema < 2:
        document = document | {"results": [_since_2(one) for one in document["results"]]}
    if schema < 3:
        document = {"kept": [], "stopped": [], "read": [], "kept_wide": [], **document}
        document["results"] = [{"span": None, "computed": "", **r} for r in document["results"]]
        names = {key for result in document["results"] for key in result}
        document["figures"] = [vars(figure) for figure in known if figure.key in names]
    return document


def _since_2(result: dict[str, Any]) -> dict[str, Any]:
    """Tokens from 1, and bytes by what they are called now."""
    first, footprint = result["first_divergent_token"], result["footprint"]
    kinds = {
        "quantized weights" if kind == "integer weights" else kind: size
        for kind, size in footprint["by_kind"].items()
    }
    return result | {
        "first_divergent_token": None if first is None else first + 1,
        "footprint": footprint | {"by_kind": kinds},
    }
