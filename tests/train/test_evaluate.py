"""The embedded models' own evaluation: counting, formats, the table, and what is kept."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from assets.train import evaluate as evaluation
from assets.train.evaluate import (
    default_formats,
    evaluate,
    evidence_of,
    pooled,
    read,
    scores_of,
    table,
    write,
)
from qdemo import Variant
from qdemo.engine.datasets import held_out
from qdemo.engine.evaluation import Evaluation, Progress
from qdemo.engine.turns import Run
from qdemo.models.availability import get_entry
from qdemo.spec.evidence import Evidence, is_right
from qdemo.spec.proportion import Counted
from qdemo.spec.request import MAX_FORMATS

NAME = "t5-tiny"
DATA = held_out(get_entry(NAME))
TASKS = list(dict.fromkeys(item.task for item in DATA.items))
MANY = [f"int{bits}-g{size}" for bits in (8, 6, 5, 4) for size in (64, 32, 16)]


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return evaluate(NAME, ["int3"], limit=2)


def test_a_limit_takes_so_many_of_each_task_and_counts_are_by_task(evidence: Evidence) -> None:
    scores = scores_of(evidence)
    assert list(scores) == ["fp32", "int3"]
    for form, found in scores.items():
        outcomes = evidence.format_named(form).outcomes
        each = [*zip(evidence.items, outcomes, strict=True)]
        assert list(found) == TASKS
        for task in TASKS:
            own = [is_right(item, out) for item, out in each if item.task == task]
            assert found[task] == Counted(sum(own), 2) == Counted(sum(own), len(own))


def test_without_a_limit_all_held_out_items_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "evidence_of", lambda name, data, formats: data.items)
    asked = evaluate(NAME, [])
    assert sorted(asked, key=DATA.items.index) == list(DATA.items)


@pytest.mark.parametrize("right", [True, False])
def test_a_right_model_scores_everything_and_a_wrong_one_nothing(
    evidence: Evidence, right: bool
) -> None:
    outcomes = evidence.format_named("fp32").outcomes
    items = tuple(
        replace(item, expected=out.output if right else f"not {out.output}")
        for item, out in zip(evidence.items, outcomes, strict=True)
    )
    scores = scores_of(evidence_of(NAME, replace(DATA, items=items), []))
    assert scores == {"fp32": dict.fromkeys(TASKS, Counted(2 * right, 2))}


def test_more_formats_than_a_person_may_ask_for(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Evaluation] = []

    def told(evaluation: Evaluation, run: Run) -> Iterator[Progress]:
        asked.append(evaluation)
        yield Progress(evidence, "int3", 64, 64)

    monkeypatch.setattr(evaluation, "judged", told)
    assert len(MANY) >= MAX_FORMATS
    evaluate(NAME, ["fp32", *MANY, "int8-g64"], limit=2)
    assert asked[0].formats == ("fp32", *MANY)
    assert asked[0].data.items == evidence.items


def test_the_table_pools_items_not_percentages() -> None:
    scores = {
        "fp32": {"a": Counted(1, 1), "b": Counted(0, 3)},
        "int2": {"a": Counted(0, 1), "b": Counted(0, 3)},
    }
    assert pooled(scores["fp32"]) == Counted(1, 4)
    assert list(table(scores)) == [
        "| task | items | fp32 | int2 |",
        "|---|---:|---:|---:|",
        "| a | 1 | 100.0 | 0.0 |",
        "| b | 3 | 0.0 | 0.0 |",
        "| **all** | 4 | 25.0 | 0.0 |",
        "| 95% interval |  | 4.5 to 70.0 | 0.0 to 49.0 |",
    ]


def test_what_is_kept_of_other_formats_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "accuracy_file", lambda name: tmp_path / f"{name}.json")
    first, later = {"a": Counted(1, 2)}, {"a": Counted(2, 2)}
    write(NAME, {"fp32": first, "int8": first})
    write(NAME, {"int8": later, "int4": first})
    assert read(NAME) == {"fp32": first, "int8": later, "int4": first}


@pytest.mark.parametrize(("length", "group"), [(128, "int4-g64"), (96, "int4-g32")])
def test_groups_divide_the_rows(length: int, group: str) -> None:
    assert group in default_formats(nn.Sequential(nn.Linear(length, 2)))


@pytest.mark.parametrize("form", default_formats(nn.Linear(64, 1))[1:])
def test_a_variant_leaves_the_model_alone(form: str) -> None:
    model = nn.Sequential(nn.Linear(64, 8))
    before = copy.deepcopy(model.state_dict())
    changed = Variant.parse(form).build(model)
    assert changed is not model
    assert all(torch.equal(before[name], kept) for name, kept in model.state_dict().items())


def test_what_is_unknown_or_can_t_be_made_is_named() -> None:
    with pytest.raises(ValueError, match="unknown model 'gpt'; the models are t5-tiny, blip-tiny"):
        evaluate("gpt", [])
    with pytest.raises(ValueError, match="group_size 48 does not divide the row length 512"):
        evaluate(NAME, ["int8-g48"], limit=1)
    with pytest.raises(ValueError, match="limit is 0, expected 1 or more"):
        evaluate(NAME, [], limit=0)
