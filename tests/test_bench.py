"""What can be wrong with the tables of tests/bench without a clock: where they are written, what a
machine is called, how ratios are taken, when a goal is reached."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.machine import Machine, caches_of, cpu_of
from tests.bench.table import Goal, Growth, Line, as_markdown, goals, grid
from tests.bench.timing import Rounds, Spread, interleaved
from tests.bench.written import END, README, START, Measured, sections_of, written

INFO = """processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 26
model		: 2
model name	: AMD EPYC

processor	: 1
cpu family	: 25
model		: 1
model name	: AMD EPYC
"""
EMPTY = f"# Measured\n\n{START}\n\n{END}\n\n## The page\n"
GROWN = {"With size": "| s |", "With rows": "| r |"}
RUN = Measured("| a |", "1 of 1 goals reached.", GROWN)


def machine(**more):
    told = {"cpu": "AMD EPYC (family 26, model 2)", "cores": 2, "caches": (("L3", 32 << 20),)}
    return Machine(**(told | {"sets": (), "threads": 2, "bandwidth": 45e9} | more))


def sections(text):
    return sections_of(text.split(START)[1].split(END)[0])[1]


def test_another_machine_is_added_beside():
    one = written(EMPTY, "AMD, 2 cores", "2026-11-26", RUN)
    both = written(one, "Xeon, 2 cores", "2026-11-27", Measured("other"))
    assert list(sections(both)) == ["Xeon, 2 cores", "AMD, 2 cores"]
    assert sections(both)["AMD, 2 cores"] == sections(one)["AMD, 2 cores"]
    again = written(both, "AMD, 2 cores", "2027-01-01", Measured("new"))
    assert list(sections(again)) == list(sections(both))
    assert sections(again)["Xeon, 2 cores"] == sections(both)["Xeon, 2 cores"]


def test_the_same_machine_again_is_replaced():
    once = written(EMPTY, "AMD", "2026-11-26", RUN)
    assert written(once, "AMD", "2026-11-26", RUN) == once
    later = written(once, "AMD", "2026-12-01", Measured("new table", growth=GROWN))
    assert "2026-11-26" not in later
    assert RUN.table not in later
    assert later.count("### AMD") == 1


def test_what_was_not_measured_keeps_its_date():
    once = written(EMPTY, "AMD", "2026-11-26", RUN)
    rows = sections(written(once, "AMD", "2026-12-01", Measured(growth={"With rows": "| new |"})))
    assert rows["AMD"].startswith(f"\nMeasured 2026-11-26: {RUN.about}\n\n{RUN.table}\n")
    assert "With size, 2026-11-26</summary>\n\n| s |" in rows["AMD"]
    assert "With rows, 2026-12-01</summary>\n\n| new |" in rows["AMD"]
    assert "| r |" not in rows["AMD"]
    table = sections(written(once, "AMD", "2026-12-01", Measured("| t |", "new.")))
    assert table["AMD"].startswith("\nMeasured 2026-12-01: new.\n\n| t |\n")
    assert table["AMD"].count("2026-11-26</summary>") == 2


def test_growth_alone_makes_a_section():
    alone = written(EMPTY, "AMD", "2026-11-26", Measured(growth={"With size": "| s |"}))
    assert "Measured" not in sections(alone)["AMD"]
    assert "| s |" in sections(alone)["AMD"]


def test_the_readme_of_this_repository_can_be_written():
    text = README.read_text()
    new = written(text, machine().heading, "2026-11-26", RUN)
    before, kept = sections(text), sections(new)
    assert {name: kept[name] for name in before if name != machine().heading} == {
        name: body for name, body in before.items() if name != machine().heading
    }
    assert RUN.table in kept[machine().heading]
    for half in (0, 1):
        assert new.split((START, END)[half])[half] == text.split((START, END)[half])[half]


def test_a_readme_without_a_place_is_refused():
    with pytest.raises(ValueError, match="without its two markers, expected <!-- machines -->"):
        written("# Measured\n", "AMD", "2026-11-26", RUN)
    twice = EMPTY.replace(START, f"{START}\n\n### AMD\n\na\n\n### AMD\n\nb\n")
    with pytest.raises(ValueError, match="two machines have one heading"):
        written(twice, "AMD", "2026-11-26", RUN)


def test_the_growth_of_a_real_table_is_read_again():
    grown = Growth("With the model's size (32 tokens, then the ratio)", ("a", "b"), (("1", "2"),))
    once = written(EMPTY, "AMD", "2026-11-26", Measured(growth={grown.title: str(grown)}))
    assert written(once, "AMD", "2026-11-26", Measured()) == once


def test_a_heading_tells_machines_apart():
    assert machine().heading == "AMD EPYC (family 26, model 2), 2 cores, 32 MiB of L3"
    others = [
        machine(cpu="AMD EPYC (family 25, model 1)"),
        machine(cores=4),
        machine(caches=(("L3", 64 << 20),)),
        machine(cores=1, caches=()),
    ]
    assert len({each.heading for each in [machine(), *others]}) == 5
    assert others[-1].heading == "AMD EPYC (family 26, model 2), 1 core"


def test_a_heading_stays_from_run_to_run():
    later = machine(bandwidth=12e9, threads=1, torch="2.14.0", python="3.12.0")
    assert later.heading == machine().heading
    assert "12.0 GB/s" in later.told()
    assert "torch 2.14.0" in later.told()


def test_the_first_processor_names_the_machine():
    assert cpu_of(INFO) == "AMD EPYC (family 26, model 2)"
    assert cpu_of("BogoMIPS\t: 48.00\nCPU part\t: 0xd40\n") == ""
    assert cpu_of("") == ""


def test_caches_are_read_without_that_of_instructions(tmp_path):
    told = [("3", "Unified", "32768K"), ("1", "Instruction", "32K"), ("1", "Data", "48K"),
            ("2", "Unified", "1024K")]  # fmt: skip
    for i, parts in enumerate(told):
        (tmp_path / f"index{i}").mkdir()
        for name, text in zip(("level", "type", "size"), parts, strict=True):
            (tmp_path / f"index{i}" / name).write_text(text + "\n")
    assert caches_of(tmp_path) == (("L1d", 48 << 10), ("L2", 1 << 20), ("L3", 32 << 20))
    assert caches_of(tmp_path / "nowhere") == ()


@pytest.mark.parametrize("text", ["≤ 0.62", "≤ 1.20", "≤ 60 ms", "≤ 130 ms"])
def test_a_goal_is_read_as_it_is_told(text):
    assert str(Goal.parse(text)) == text


@pytest.mark.parametrize("text", ["", "0.62", "ratio 0.62", "≤ ms", "≤ 60 s", "≤ 0.62 ms?", "≤ -1"])
def test_another_goal_is_refused(text):
    with pytest.raises(ValueError, match=r"expected such as '≤ 0\.62' or '≤ 60 ms'"):
        Goal.parse(text)


def test_a_goal_is_reached_as_measured():
    def line(seconds, ratio, goal):
        return Line("a task", "a way", seconds, ratio, goal=goal and Goal.parse(goal))

    reached = [line(0.06, None, "≤ 60 ms"), line(9, 0.62, "≤ 0.62")]
    missed = [line(0.0601, 0.1, "≤ 60 ms"), line(1e-9, 0.6201, "≤ 0.62")]
    neither = [line(1, 1.0, None), line(None, None, "≤ 0.62")]
    told = [each.reached for each in (*reached, *missed, *neither)]
    assert told == [True, True, False, False, None, None]
    assert goals([*reached, *missed, *neither]) == "2 of 4 goals reached, 1 not measured."
    assert goals(missed) == "0 of 2 goals reached."
    with pytest.raises(ValueError, match=r"a task, a way: the goal ≤ 0\.62 needs a ratio"):
        _ = line(1, None, "≤ 0.62").reached


def test_a_line_says_what_it_is_without():
    absent = Line("a task", "qdemo int8a8", None, absent="not built")
    first, rule, row = as_markdown([absent]).splitlines()
    assert len(first) == len(rule) == len(row)
    assert [cell.strip() for cell in row.split("|")][1:4] == ["a task", "qdemo int8a8", "not built"]
    assert grid(("a",), [("bcde",)]) == "| a    |\n| ---- |\n| bcde |"


ROUND = st.fixed_dictionaries({"fp32": st.floats(0.1, 10), "int8": st.floats(0.1, 10)})


@given(st.lists(st.tuples(ROUND, st.floats(0.5, 100)), min_size=1, max_size=9))
def test_a_slow_phase_leaves_ratios_as_they_are(rounds):
    quiet = Rounds(tuple(each for each, _ in rounds)).ratio("int8", "fp32")
    slowed = Rounds(tuple({name: slow * took for name, took in each.items()}
                          for each, slow in rounds)).ratio("int8", "fp32")  # fmt: skip
    for part in ("lower", "median", "upper"):
        assert getattr(slowed, part) == pytest.approx(getattr(quiet, part))
    assert quiet.lower <= quiet.median <= quiet.upper


def test_quartiles_are_those_of_the_ratios():
    assert Spread.of([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(3.0, 2.0, 4.0)
    assert str(Spread.of([0.5])) == "0.50 (0.50–0.50)"


def test_a_turn_of_a_busy_phase_is_taken_again():
    asked, called = iter([True, False, True, False, False, False, False]), []
    ways = {"way": lambda: called.append(0)}
    found = interleaved(ways, 2, is_busy=lambda: next(asked), patience=0)
    # The first turn is not counted; one was busy before, one after, then two were quiet.
    assert (len(found.taken), found.repeated, found.busy) == (2, 2, 0)
    assert len(called) == 5


def test_only_the_way_that_was_hit_goes_again():
    asked, called = iter([False, False, False, True, False, False]), []
    ways = {"one": lambda: called.append("one"), "two": lambda: called.append("two")}
    found = interleaved(ways, 1, is_busy=lambda: next(asked), patience=0)
    assert called == ["one", "two", "one", "two", "two"]
    assert (sorted(found.taken[0]), found.repeated) == (["one", "two"], 1)


def test_a_busy_phase_is_waited_for():
    asked = iter([True, True, False, False])
    found = interleaved({"way": lambda: None}, 1, is_busy=lambda: next(asked), patience=60)
    assert (len(found.taken), found.repeated, found.busy) == (1, 0, 0)


def test_busy_for_ever_comes_to_an_end():
    found = interleaved({"way": lambda: None}, 3, is_busy=lambda: True, patience=0.2)
    assert (len(found.taken), found.repeated, found.busy) == (3, 6, 3)


def test_a_way_is_given_what_was_made_for_it():
    got = []
    ways = {"one": got.append, "two": got.append}
    interleaved(ways, 1, ready=lambda name: [name], is_busy=lambda: False)
    assert got == [["one"], ["two"], ["one"], ["two"]]
