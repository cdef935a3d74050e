"""What an evaluation comes to, in tables and sentences: a verdict for each format, and all that it
rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qdemo.spec.evidence import Evidence
from qdemo.spec.evidence_figures import verdict_rules
from qdemo.spec.judging import Summary, Verdict
from qdemo.spec.messages import say, say_counted
from qdemo.spec.proportion import Counted
from qdemo.views.colours import colour
from qdemo.views.evidence_points import Findings, bits
from qdemo.views.evidence_reading import why
from qdemo.views.exceptions import called
from qdemo.views.numbers import NONE, bounds, duration, megabytes, percent, significant, times
from qdemo.views.tables import Table
from qdemo.views.templates import fill
from qdemo.views.terms import heads, with_terms

Cell = Callable[[Summary], str]


def verdicts_html(findings: Findings) -> str:
    """The table of all formats, each row of which can be chosen."""
    if not findings.formats:
        return ""
    table = verdicts(findings)
    rows = [
        (
            one.format,
            colour(one.format),
            one.verdict,
            verdict_named(one.verdict),
            why(one),
            one.ended,
            row,
        )
        for one, row in zip(findings.formats, table.rows, strict=True)
    ]
    return fill("verdicts", table=table, heads=heads(table), rows=rows,
                caption=with_terms(table.caption))  # fmt: skip


def verdicts(findings: Findings) -> Table:
    """A row a format; a column that no format has anything for is left out."""
    columns = [
        (head, key, [cell(one) for one in findings.formats])
        for head, key, cell in _columns(findings.evidence)
    ]
    told = [column for column in columns if any(cell != NONE for cell in column[2])]
    table = Table.of(_caption(findings), *((head, cells) for head, _, cells in told))
    return replace(table, keys=tuple(key for _, key, _ in told))


def _columns(evidence: Evidence) -> list[tuple[str, str, Cell]]:
    """What stands above each column, the term that it is, and its cells."""
    is_text = evidence.data.kind == "text"
    return [
        (say("format"), "", lambda one: called(one.format)),
        (say("verdict"), "verdict", lambda one: verdict_named(one.verdict)),
        (say("accuracy"), "held_out", lambda one: _share(one.correct)),
        (say("perplexity"), "perplexity", _perplexity),
        (say("beside fp32's"), "perplexity_ratio", _ratio),
        (say("lost"), "flips", lambda one: str(one.flips.right_to_wrong) if one.flips else NONE),
        (say("won"), "flips", lambda one: str(one.flips.wrong_to_right) if one.flips else NONE),
        (say("p (McNemar, Holm)"), "mcnemar", _p),
        (say("KL, nats"), "kl", _kl),
        (say("KL, 99%"), "percentile", _kl_99),
        (say("same top token"), "logit_same_top", _same_top),
        (say("answers changed"), "", lambda one: _share(one.changed, intervals=False)),
        (say("bits a weight"), "bits_per_weight", lambda one: f"{bits(one):.3g}"),
        (say("memory"), "bytes", lambda one: megabytes(one.bytes)),
        (say("output error"), "output_error", lambda one: significant(one.output_error, 2)),
        (say("windows") if is_text else say("items"), "", lambda one: f"{one.n:,}"),
        (say("items to tell"), "to_tell", _to_tell),
    ]  # fmt: skip


def _caption(findings: Findings) -> str:
    evidence = findings.evidence
    if evidence.data.kind == "text":
        return say("{model} scored on {data}, with 95% intervals", model=evidence.model,
                   data=data_named(findings))  # fmt: skip
    return say("{model} on {data}, with 95% intervals: of shares Wilson's, of means by item",
               model=evidence.model, data=data_named(findings))  # fmt: skip


def verdict_named(verdict: Verdict) -> str:
    """A verdict as it is read."""
    named = {"safe": say("safe"), "check": say("check"), "broken": say("broken")}
    return named.get(verdict, NONE)


def _share(counted: Counted | None, intervals: bool = True) -> str:
    if counted is None:
        return NONE
    if not intervals:
        return percent(counted.share)
    low, high = bounds(*counted.interval, 1)
    return say("{share} ({low} to {high})", share=percent(counted.share), low=low, high=high)


def _perplexity(one: Summary) -> str:
    return significant(one.perplexity.value, 4) if one.perplexity else NONE


def _ratio(one: Summary) -> str:
    found = one.perplexity
    if found is None or found.ratio is None:
        return NONE
    if found.interval is None:
        return times(found.ratio)
    low, high = (f"{end:.3f}" for end in found.interval)
    return say("{ratio} ({low} to {high})", ratio=f"{found.ratio:.3f}×", low=low, high=high)


def _p(one: Summary) -> str:
    if one.flips is None:
        return NONE
    p = one.flips.p_holm
    return "<0.001" if p < 0.001 else f"{p:.3f}".rstrip("0").rstrip(".")


def _kl(one: Summary) -> str:
    """With its 95% interval as one number to either side."""
    found = one.kl
    if found is None:
        return NONE
    if found.interval is None:
        return significant(found.mean, 2)
    half = (found.interval[1] - found.interval[0]) / 2
    return f"{significant(found.mean)} ± {significant(half, 2)}"


def _kl_99(one: Summary) -> str:
    return significant(dict(one.kl.percentiles)[99], 2) if one.kl else NONE


def _same_top(one: Summary) -> str:
    return percent(one.same_top.mean) if one.same_top else NONE


def _to_tell(one: Summary) -> str:
    """How many items or windows it would take to tell a format from fp32."""
    needed = one.flips.to_tell if one.flips else None
    needed = one.perplexity.to_tell if one.perplexity else needed
    return NONE if needed is None else f"{needed:,}"


def tasks_table(findings: Findings) -> Table | None:
    """The share that is right, task by task, a column a format; None where there is one kind."""
    found = [one for one in findings.formats if one.by_task]
    if not found or len(findings.evidence.tasks) < 2:
        return None
    by_format = {one.format: dict(one.by_task) for one in found}
    counts = by_format[found[0].format]
    return Table.of(
        say("Share of right answers, task by task"),
        (say("task"), list(counts)),
        (say("items"), [str(each.total) for each in counts.values()]),
        *((called(name), [_share(each.get(task), intervals=False) for task in counts])
          for name, each in by_format.items()),
    )  # fmt: skip


def rules(evidence: Evidence) -> str:
    """By what rules the verdicts are made."""
    of_answers, of_changes, of_text = verdict_rules()
    if evidence.data.kind == "text":
        return f"{of_answers} {of_text}"
    return of_answers if evidence.has_answers else f"{of_answers} {of_changes}"


def progress_told(
    format: str, done: int, total: int, seconds_left: float | None, yielding: bool, making: str = ""
) -> str:
    """How far an evaluation is, in words: what is computed, and the time left."""
    far = say(
        "{format}: {done:,} of {total:,} answers", format=called(format), done=done, total=total
    )
    words: list[str] = [far]
    if yielding:
        words.append(say("a comparison goes first"))
    elif making:
        words.append(making)
    elif seconds_left is not None:
        words.append(say("{time} left", time=duration(seconds_left)))
    return ", ".join(words)


def progress_html(done: int, total: int, words: str) -> str:
    """The same as a bar over its words."""
    return fill("evidence_progress", done=done, total=total, words=words)


def data_named(findings: Findings) -> str:
    """What it was evaluated on."""
    evidence, counted, total = findings.evidence, findings.counted, findings.evidence.data.total
    if evidence.data.kind == "text":
        return say("{n} windows of {name}", n=counted, name=evidence.data.name)
    if evidence.data.is_held_out:
        return say("{n} of {total:,} held-out items", n=counted, total=total)
    return say("{n} of {total:,} items of {name}", n=counted, total=total, name=evidence.data.name)


def basis(findings: Findings) -> list[tuple[str, str]]:
    """Where it comes from, and what computed it, by name."""
    evidence, machine = findings.evidence, findings.evidence.machine
    threads = say_counted("{count} thread", "{count} threads", machine.threads,
                          count=machine.threads)  # fmt: skip
    made = [machine.processor, machine.device, threads, f"torch {machine.torch}"]
    return [
        (say("model"), evidence.model),
        (say("data"), data_named(findings)),
        (say("order drawn by"), say("seed {seed}", seed=evidence.seed)),
        (say("longest answer"), say("{count} tokens", count=evidence.max_tokens)),
        (say("computed"), evidence.computed[:16].replace("T", " ") or NONE),
        (say("on"), ", ".join(filter(None, made))),
    ]


def basis_html(findings: Findings) -> str:
    """The rules and the facts."""
    note: str = say(
        "Methods that look at inputs were fitted to calibration inputs, and output errors measured "
        "on others."
    )
    if findings.evidence.data.is_held_out:
        note = f"{note} {say('None of these items are among them.')}"
    return fill("evidence_basis", rules=with_terms(rules(findings.evidence)), note=with_terms(note),
                facts=basis(findings))  # fmt: skip
