from threading import Thread

import pytest
import torch

from qdemo.lab import CASTS
from qdemo.lab.dummy import DEFAULT_DTYPE, IDS, Dummy, casts, default_dtype
from qdemo.models.loading import BUILDING
from tests.compress.models import Dummy as Course

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def test_the_parameters_are_those_of_the_course_s_model():
    ours, theirs = Dummy().state_dict(), Course().state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_logits_are_those_of_the_course_s_model():
    ids = torch.tensor(IDS)
    assert torch.equal(Dummy()(ids), Course()(ids))


def test_building_it_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    Dummy()
    casts()
    default_dtype("bfloat16")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("at", range(len(CASTS)))
def test_each_cast_is_torch_s_own(at):
    found, dtype = casts()[at], DTYPES[CASTS[at]]
    model = Course().to(dtype)
    with torch.no_grad():
        logits = model(torch.tensor(IDS)).reshape(4, 2)
    assert found.format == CASTS[at]
    assert found.logits == logits.double().tolist()
    names = [name for name, _ in model.named_parameters()]
    assert found.dtypes == dict.fromkeys(names, str(dtype).removeprefix("torch."))


def test_the_differences_are_those_of_the_logits():
    fp32, *others = casts()
    assert (fp32.difference.max_abs, fp32.difference.mean_abs) == (0, 0)
    reference = torch.tensor(fp32.logits, dtype=torch.float64)
    for found in others:
        off = (torch.tensor(found.logits, dtype=torch.float64) - reference).abs()
        assert found.difference.max_abs == off.max().item()
        assert found.difference.mean_abs == pytest.approx(off.mean().item(), rel=1e-12)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float64", "float32"])
def test_the_default_dtype_is_that_of_what_is_built_under_it(name):
    assert default_dtype(name) == (name, "float32")
    assert default_dtype(DEFAULT_DTYPE[0]) == DEFAULT_DTYPE
    assert torch.get_default_dtype() == torch.float32


def test_the_default_dtype_comes_back_after_an_error(monkeypatch):
    built = []

    def once():
        if built:
            raise RuntimeError("no memory")
        built.append(Course())
        return built[0]

    monkeypatch.setattr("qdemo.lab.dummy.Dummy", once)
    with pytest.raises(RuntimeError, match="no memory"):
        default_dtype("bfloat16")
    assert torch.get_default_dtype() == torch.float32


def test_it_is_not_built_while_another_model_is():
    """Meanwhile transformers may have changed how layers are drawn."""
    built = []
    thread = Thread(target=lambda: built.append(Dummy()))
    with BUILDING:
        thread.start()
        thread.join(0.05)
        assert built == []
    thread.join()
    assert len(built) == 1
