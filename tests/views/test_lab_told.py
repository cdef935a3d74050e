from types import SimpleNamespace

import pytest

from qdemo.views import lab_told


def weight(**more):
    """A weight before anything was chosen, with what is another."""
    usual = {"weight": 2.302, "scale": 0.75, "neighbours": 7, "silent": 3, "zeros": 11, "rms": 0.15}
    return SimpleNamespace(**usual | more)


def test_of_an_outlier_its_scale_and_its_neighbours_are_told():
    after = weight(weight=46.04, scale=4.575, silent=7, rms=0.372)
    assert lab_told.one_weight(5, 5, weight(), after) == (
        "Row 6, column 6: 2.302 → 46.04. Its scale grew 6.10 times. 7 of the 7 other weights that "
        "share it now round to 0 (before: 3). RMS error 0.150 → 0.372."
    )


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (0.375, "Its scale shrank to 0.500 of what it was."),
        (0.7501, "Its scale stays as it was."),
        (1.5, "Its scale grew 2.00 times."),
    ],
)
def test_a_scale_grows_or_shrinks_or_stays(scale, said):
    assert said in lab_told.one_weight(0, 0, weight(), weight(scale=scale))


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "No other weight shares it."),
        (1, "Of the 1 other weight that shares it, 1 now rounds to 0 (before: 0)."),
    ],
)
def test_few_neighbours_are_told_in_their_own_words(count, said):
    before, after = weight(neighbours=count, silent=0), weight(neighbours=count, silent=count)
    assert said in lab_told.one_weight(0, 0, before, after)


def test_choices_are_told_with_what_was_and_what_is():
    after = weight(scale=0.54, rms=0.12, zeros=9)
    told = lab_told.choices([("Bits", "3", "2"), ("Range", "a", "b")], weight(), after, False)
    assert told == (
        "Bits 3 → 2, Range a → b: scale 0.750 → 0.540. RMS error 0.150 → 0.120. "
        "Rounded to 0: 11 → 9."
    )
    best = lab_told.choices([("Kept", "1", "0.7")], weight(), after, True)
    assert best.endswith("That is the least error that clipping can reach.")


@pytest.mark.parametrize(
    ("kept", "is_best", "said"),
    [
        (1, True, "Least error keeps 100% of the range: at 4 bits,"),
        (0.72, True, "72% of the range is kept: the least error already."),
        (1, False, "100% of the range is kept already."),
    ],
)
def test_a_button_that_changes_nothing_says_why(kept, is_best, said):
    assert lab_told.kept_already(kept, 4, is_best).startswith(said)


def test_how_far_a_training_is():
    assert lab_told.training(60, 600, 800) == "Training in fp32: step 60 of 600."
    assert lab_told.training(660, 600, 800) == "Training on through the rounding: step 60 of 200."


def test_what_came_of_a_training():
    ways = ("fp32", "int2, rounded after training", "int2, trained through rounding")
    found = [
        SimpleNamespace(accuracy=a, loss=b) for a, b in ((1, 0.006), (0.72, 1.4), (0.99, 0.02))
    ]
    assert lab_told.trained(dict(zip(ways, found, strict=True))) == (
        "Right on 100% of the points in fp32, on 72% once rounded to int2, and on 99% after "
        "training on through the rounding. Losses: 0.00600, 1.40 and 0.0200 nats."
    )
