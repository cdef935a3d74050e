import itertools

import pytest
import torch

from qdemo.lab.training import (
    CELLS,
    EDGE,
    FP32_STEPS,
    STEPS,
    data,
    learned,
    lessons,
    middles,
    network,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=[2, 3])
def bits(request):
    return request.param


@pytest.fixture(scope="module")
def taught(bits):
    return list(lessons(bits, 0, every=20))


@pytest.fixture(scope="module")
def ways(taught):
    """The three curves at the end: fp32, rounded after training, trained through rounding."""
    return list(taught[-1].losses.values())


def test_the_points_are_seeded_and_lie_on_two_spirals():
    points, spiral = data(0)
    assert points.shape == (400, 2)
    assert spiral.bincount().tolist() == [200, 200]
    assert points.abs().max() < 1.1
    assert all(torch.equal(a, b) for a, b in zip(data(0), (points, spiral), strict=True))
    assert not torch.equal(data(1)[0], points)


def test_the_network_is_seeded_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    first, again, other = (network(seed)[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    for count, _ in enumerate(lessons(2, 0)):
        if count == 2:
            break
    assert torch.equal(torch.get_rng_state(), state)


def test_the_lessons_are_the_same_each_time(taught, bits):
    again = list(lessons(bits, 0, every=20))
    assert len(again) == len(taught)
    for one, other in zip(taught, again, strict=True):
        assert (one.losses, one.flips) == (other.losses, other.flips)
        assert torch.equal(one.integers, other.integers)


def test_only_the_last_lesson_is_finished(taught):
    assert [lesson.finished for lesson in taught[:-1]] == [False] * (len(taught) - 1)
    assert taught[-1].finished


def test_the_loss_falls(taught, ways):
    fp32 = [lesson for lesson in taught if list(lesson.losses) == ["fp32"]]
    losses = fp32[-1].losses["fp32"]
    assert losses[-1] < losses[0] / 10
    _, _, through = ways
    assert through[-1] < through[0] / 2


def test_training_through_rounding_ends_below_rounding_after_training(ways):
    fp32, after, through = ways
    assert through[-1] < after[-1]
    assert through[0] == after[0] == after[-1]
    assert len(fp32) == FP32_STEPS
    assert len(after) == len(through) == STEPS
    assert fp32[-1] < after[0]


def test_the_curves_are_named(taught, bits):
    assert list(taught[-1].losses) == [
        "fp32",
        f"int{bits}, rounded after training",
        f"int{bits}, trained through rounding",
    ]


def test_the_grid_is_what_the_network_says_at_the_middle_of_each_cell():
    model, (points, spiral) = network(3), data(3)
    found = learned(model, points, spiral)
    assert found.grid.shape == (CELLS, CELLS)
    assert middles()[0].item() == pytest.approx(-EDGE + EDGE / CELLS)
    for row, column in ((0, 0), (0, 39), (17, 5), (39, 20)):
        at = torch.stack([middles()[column], middles()[row]])  # x, then y
        wanted = torch.softmax(model(at), 0)[1].item()
        assert found.grid[row, column].item() == pytest.approx(wanted, abs=1e-6)


def test_accuracy_and_loss_are_those_of_the_points():
    model, (points, spiral) = network(3), data(3)
    found = learned(model, points, spiral)
    right = [model(point).argmax() == which for point, which in zip(points, spiral, strict=True)]
    chance = model(points).softmax(-1)[torch.arange(len(spiral)), spiral]
    assert found.accuracy == sum(map(int, right)) / len(spiral)
    assert found.loss == pytest.approx(-chance.log().mean().item(), rel=1e-5)
    assert points.abs().max() < EDGE


def test_each_way_has_learned_its_own_boundary(taught):
    for lesson in taught:
        assert list(lesson.learned) == list(lesson.losses)
    fp32, after, through = taught[-1].learned.values()
    assert fp32.accuracy > 0.99
    assert after.accuracy < through.accuracy
    assert through.loss == pytest.approx(taught[-1].losses[list(taught[-1].losses)[2]][-1])
    assert not torch.equal(after.grid, through.grid)


def test_the_integers_fit_the_bits(taught, bits):
    for lesson in taught:
        assert lesson.integers.shape == lesson.flipped.shape == (8, 8)
        assert lesson.integers.abs().max() <= 2 ** (bits - 1) - 1


def test_flips_count_the_integers_that_changed():
    second = [lesson for lesson in lessons(3, 0, every=1) if len(lesson.losses) == 3]
    assert len(second) == len(second[-1].flips) == STEPS
    assert second[-1].flips[0] == 0
    for before, now in itertools.pairwise(second):
        assert torch.equal(now.flipped, now.integers != before.integers)
        assert int(now.flipped.sum()) <= now.flips[-1] <= 256
        assert now.flips[:-1] == before.flips
    assert sum(second[-1].flips) > 0


def test_a_lesson_that_was_given_does_not_change_later():
    course = lessons(2, 0)
    first = next(course)
    losses = list(first.losses["fp32"])
    next(course)
    assert first.losses["fp32"] == losses
    course.close()


def test_it_can_be_closed_early():
    course = lessons(2, 0)
    next(course)
    course.close()
    with pytest.raises(StopIteration):
        next(course)
