"""What the command line finds out about a model: which layer hurts, and which mix of formats."""

from __future__ import annotations

import argparse
import json
from collections.abc import Generator, Sequence
from typing import TypeVar

from qdemo import listing
from qdemo.commands import bring, compute_on, file, write_over
from qdemo.spec import mix, sensitivity
from qdemo.spec.exports import TOOLS, Export
from qdemo.spec.messages import say
from qdemo.spec.mix import UNITS, Mix, Target
from qdemo.spec.report import Making
from qdemo.spec.request import DEVICES
from qdemo.spec.sensitivity import BY, Kl, Sensitivity, Trying
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant
from qdemo.spec.written import as_json, as_text
from qdemo.views import terminal
from qdemo.views.finding import making
from qdemo.views.numbers import percent, significant
from qdemo.views.tables import Table

Result = TypeVar("Result", Sensitivity, Mix)

_WORST = 3
"""So many parts are put back in the format that is named below the table."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Have the command line read what these commands ask for."""
    hurts = _command(commands, "sensitivity", say("which layer of a model a format hurts most"))
    hurts.add_argument("--format", required=True, metavar="FORMAT")
    told = say("a layer, all layers of one kind (q, wo), or a block at a time")
    hurts.add_argument("--by", choices=BY, default="layer", help=told)
    hurts.set_defaults(run=which_hurts, items=sensitivity.ITEMS)
    mixed = _command(commands, "search", say("which format for which layer, for a target"))
    told = say("formats to mix, such as int8,int4-g64,nf4-g64")
    mixed.add_argument("--formats", nargs="+", required=True, metavar="FORMAT", help=told)
    targets = mixed.add_mutually_exclusive_group(required=True)
    for kind in UNITS:
        told = say("at most so many {unit}", unit=say(UNITS[kind]))
        targets.add_argument(f"--target-{kind}", type=float, metavar="X", help=told)
    told = say("choose for each layer, or for each block")
    mixed.add_argument("--by", choices=("layer", "block"), default="layer", help=told)
    told = say("print the mix for a tool, too")
    mixed.add_argument("--export", choices=TOOLS, metavar="TOOL", help=told)
    mixed.set_defaults(run=search, items=mix.ITEMS)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, told: str
) -> argparse.ArgumentParser:
    """A command with what both read."""
    made = commands.add_parser(name, help=told)
    named = say("a name that `models` lists, OWNER/NAME on the Hub, or a folder")
    made.add_argument("model", help=named, type=listing.as_typed)
    made.add_argument("--items", type=int, metavar="N", help=say("so many calibration inputs"))
    made.add_argument("--device", choices=DEVICES, help=say("what computes (QDEMO_DEVICE)"))
    made.add_argument("--json", metavar="FILE", help=say("write all that was measured"))
    return made


def which_hurts(options: argparse.Namespace) -> None:
    """Each part of a model alone in a format, and each put back to fp32."""
    variant = Variant.parse(options.format)
    variant.check_built()
    with file(options.json) as write:  # before anything slow
        compute_on(options.device)
        bring(options.model)
        from qdemo.engine.engine import ENGINE
        from qdemo.engine.layerwise import sensitivity_of

        asked = (ENGINE, options.model, variant, options.by, options.items)
        found = _last(options.model, sensitivity_of(*asked), Sensitivity)
        _tell_sensitivity(found)
        write(as_text(found))


def search(options: argparse.Namespace) -> None:
    """The mix of formats for a target, and how other tools are told."""
    texts = [text for part in options.formats for text in part.split(",") if text]
    formats = [Variant.parse(text) for text in texts]
    given = {kind: getattr(options, f"target_{kind}") for kind in UNITS}
    (target,) = (Target(kind, value) for kind, value in given.items() if value is not None)
    with file(options.json) as write:  # before anything slow
        compute_on(options.device)
        bring(options.model)
        from qdemo.engine.engine import ENGINE
        from qdemo.engine.layerwise import exports_of, mix_of

        asked = (ENGINE, options.model, formats, target, options.by, options.items)
        found = _last(options.model, mix_of(*asked), Mix)
        others = exports_of(ENGINE, options.model, Variant.parse(found.found.format))
        _tell_mix(found, others, options.export)
        whole = {**as_json(found), "exports": [vars(one) for one in others]}
        write(json.dumps(whole, allow_nan=False, ensure_ascii=False, indent=1))


def _last(model: str, steps: Generator[object], kind: type[Result]) -> Result:
    """The result, which comes last; what is told before is written over."""
    from qdemo.engine.threads import for_size, on_threads
    from qdemo.models.availability import get_entry

    found: object = None
    for found in on_threads(for_size(get_entry(model).parameters), steps):
        if isinstance(found, Making):
            write_over(making(found))
        elif isinstance(found, Trying):
            write_over(f"{found.number}/{found.count} {found.name}")
    write_over("")
    assert isinstance(found, kind)
    return found


def _tell_sensitivity(found: Sensitivity) -> None:
    told = say(
        "{model}, {format}: KL from fp32 {kl} nats, over {items} calibration items ({positions} "
        "positions)",
        model=found.model,
        format=found.format,
        kl=_kl(found.whole),
        items=found.items,
        positions=found.positions,
    )
    terminal.tell(f"{told}\n", terminal.columns(_parts(found)))
    back = [name for part in found.worst()[:_WORST] for name in part.modules]
    variant = Variant.parse(found.format).excepting(back, Step(cast="fp32"))
    terminal.tell("\n" + say("the worst {count} put back: {format}", count=_WORST, format=variant))


def _parts(found: Sensitivity) -> Table:
    """A part a row, first the one whose going back takes most KL away."""
    parts = found.worst()
    return Table.of(
        "",
        (found.by, [part.name for part in parts]),
        (say("layers"), [str(part.layers) for part in parts]),
        (say("alone, nats"), [significant(part.alone.mean) for part in parts]),
        (say("all but this, nats"), [_kl(part.back) for part in parts]),
        (say("of all KL"), [percent(part.taken) for part in parts]),
        (say("output error"), [significant(part.output_error) for part in parts]),
        (say("weights"), [f"{part.parameters:,}" for part in parts]),
        (say("MB saved"), [f"{part.saved / 1e6:.3f}" for part in parts]),
    )


def _tell_mix(found: Mix, others: Sequence[Export], wanted: str | None) -> None:
    told = say(
        "{model}, at most {value:g} {unit}, on {items} calibration items ({positions} positions)",
        model=found.model,
        value=found.target.value,
        unit=found.target.unit,
        items=found.items,
        positions=found.positions,
    )
    terminal.tell(f"{told}\n", terminal.columns(_sizes(found)), "", found.found.format)
    terminal.tell("")
    for one in others:
        can = say("as {tool} takes it: --export {tool}", tool=one.tool)
        terminal.tell(one.why if one.text is None else can)
        if one.text is not None and one.tool == wanted:
            terminal.tell(f"# {one.note}", one.text)


def _sizes(found: Mix) -> Table:
    """The mix, and the formats that it is of."""
    rows = [(say("the mix"), found.found), *((one.format, one) for one in found.plain)]
    return Table.of(
        "",
        (say("format"), [name for name, _ in rows]),
        (say("MB"), [f"{one.bytes / 1e6:.3f}" for _, one in rows]),
        (say("bits a weight"), [f"{one.bits_per_weight:.3f}" for _, one in rows]),
        (say("KL, nats"), [_kl(one.kl) for _, one in rows]),
    )


def _kl(kl: Kl) -> str:
    mean = significant(kl.mean)
    return mean if kl.error is None else f"{mean} ± {significant(kl.error, 2)}"
