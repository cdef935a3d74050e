"""The evaluation: counting, formats, the table; and a sample of the real figures."""

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from assets.train.evaluate import Score, default_formats, evaluate, subject_named, table
from qdemo import Variant


class Doubler:
    """A subject whose items are numbers and whose model is to double them."""

    name = "doubler"

    def load(self) -> nn.Module:
        model = nn.Linear(64, 1, bias=False)
        with torch.no_grad():
            model.weight.zero_()[0, 0] = 2.0
        return model

    def items(self) -> dict[str, list[float]]:
        return {"small": [1.0, 2.0, 3.0], "large": [100.0] * 130}

    def answer(self, model: nn.Module, items: Sequence[float]) -> list[str]:
        rows = torch.zeros(len(items), 64, dtype=next(model.parameters()).dtype)
        rows[:, 0] = torch.tensor(items)
        return [f"{value:g}" for value in model(rows).flatten().tolist()]

    def is_right(self, item: float, answer: str) -> bool:
        return answer == f"{2 * item:g}"


def test_a_right_model_scores_everything() -> None:
    scores = evaluate(Doubler(), Doubler().load())
    assert scores == {"small": Score(3, 3), "large": Score(130, 130)}


def test_a_wrong_model_scores_nothing() -> None:
    model = nn.Linear(64, 1, bias=False)
    nn.init.zeros_(model.weight)
    assert evaluate(Doubler(), model) == {"small": Score(0, 3), "large": Score(0, 130)}


def test_a_limit_takes_the_first_of_each_task() -> None:
    assert evaluate(Doubler(), Doubler().load(), limit=2)["large"] == Score(2, 2)


def test_the_table_pools_items_not_percentages() -> None:
    scores = {
        "fp32": {"a": Score(1, 1), "b": Score(0, 3)},
        "int2": {"a": Score(0, 1), "b": Score(0, 3)},
    }
    assert list(table(scores)) == [
        "| task | items | fp32 | int2 |",
        "|---|---:|---:|---:|",
        "| a | 1 | 100.0 | 0.0 |",
        "| b | 3 | 0.0 | 0.0 |",
        "| **all** | 4 | 25.0 | 0.0 |",
        "| 95% interval |  | 4.5 to 70.0 | 0.0 to 49.0 |",
    ]


@pytest.mark.parametrize(("length", "group"), [(128, "int4-g64"), (96, "int4-g32")])
def test_groups_divide_the_rows(length: int, group: str) -> None:
    assert group in default_formats(nn.Sequential(nn.Linear(length, 2)))


@pytest.mark.parametrize("form", default_formats(Doubler().load())[1:])
def test_a_variant_leaves_the_model_alone(form: str) -> None:
    model = nn.Sequential(nn.Linear(64, 8))
    before = copy.deepcopy(model.state_dict())
    changed = Variant.parse(form).build(model)
    assert changed is not model
    assert all(torch.equal(before[name], kept) for name, kept in model.state_dict().items())


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ValueError, match="no model is called 'gpt'; there are t5-tiny, blip-tiny"):
        subject_named("gpt")
