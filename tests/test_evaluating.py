"""`python -m qdemo evaluate`, as a person at a terminal uses it."""

import json

import pytest

from qdemo.__main__ import main
from qdemo.engine import outcomes
from qdemo.engine.engine import ENGINE
from qdemo.spec.evidence_file import from_text
from tests import causal_folder

ITEMS = [
    {"input": "What is 40 + 2?", "expected": "42"},
    {"input": "Translate to German: Tuesday", "expected": "Dienstag", "task": "translate"},
    {"input": "What is 1 + 1?", "expected": "3"},
]
FIELDS = (
    "format", "n", "correct", "accuracy", "accuracy_low", "accuracy_high", "right_to_wrong",
    "wrong_to_right", "mcnemar_p", "kl_mean", "kl_se", "kl_p99", "same_top", "output_error",
    "bytes", "bits_per_weight", "verdict",
)  # fmt: skip
pytestmark = pytest.mark.usefixtures("no_trials_kept")


@pytest.fixture
def items(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    return str(file)


def run(capsys, *arguments):
    status = main(["evaluate", *arguments])
    return status, *capsys.readouterr()


def test_held_out_items_are_told_as_a_table_and_written_as_json(capsys, tmp_path):
    file = tmp_path / "evidence.json"
    formats = ("int8", "int2")
    status, out, err = run(capsys, "t5-tiny", "--limit", "30", "--formats", *formats,
                           "--json", str(file))  # fmt: skip
    assert (status, err) == (0, "")
    assert "t5-tiny on 30 of 990 held-out items" in out
    assert "int2 is broken." in out
    document = json.loads(file.read_text())
    assert [result["format"] for result in document["results"]] == ["fp32", *formats]
    for result in document["results"]:
        assert set(FIELDS) <= set(result)
    assert document["results"][2]["right_to_wrong"] > 25
    assert len(from_text(file.read_text()).items) == 30


def test_a_file_of_one_s_own(capsys, items, tmp_path):
    file = tmp_path / "evidence.json"
    status, out, _ = run(capsys, "t5-tiny", "--data", items, "--formats", "int8",
                         "--json", str(file))  # fmt: skip
    assert status == 0
    assert "t5-tiny on 3 of 3 items of mine.jsonl" in out
    int8 = json.loads(file.read_text())["results"][1]
    assert (int8["correct"], int8["right_to_wrong"], int8["verdict"]) == (2, 0, "check")


def test_a_text_is_scored(capsys, tmp_path):
    folder, file = tmp_path / "neox", tmp_path / "text.txt"
    folder.mkdir()
    causal_folder.write(folder, "gpt_neox")
    file.write_text(causal_folder.TEXT * 12)
    asked = (str(folder), "--data", str(file), "--as-text", "--formats", "int3-g8")
    status, out, _ = run(capsys, *asked)
    assert status == 0
    assert "perplexity" in out
    assert "windows" in out


def test_what_broke_off_is_gone_on_with(capsys, items, tmp_path, monkeypatch):
    trials = tmp_path / "trials.jsonl"
    asked = ("t5-tiny", "--data", items, "--resume", str(trials))
    first = run(capsys, *asked, "--formats", "int8")
    ENGINE.keeping.trials.clear()
    calls, answering = [], outcomes.answering
    monkeypatch.setattr(outcomes, "answering", lambda *given: calls.append(1) or answering(*given))
    assert run(capsys, *asked, "--formats", "int8") == first
    assert not calls
    run(capsys, *asked, "--formats", "int8", "int3")
    assert len(calls) == 1
    status, _, err = run(capsys, *asked, "--seed", "1")
    assert status == 2
    assert "trials.jsonl holds trials of another evaluation" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody/nothing",), "nobody/nothing is not on this machine"),
        (("t5-tiny", "--formats", "int99"), "int99"),
        (("t5-tiny", "--data", "none.jsonl"), "none.jsonl' can't be read"),
        (("t5-tiny", "--limit", "0"), "limit is 0, expected 1 or more"),
        (("t5-tiny", "--json", "no/such/folder/x.json"), "can't write no/such/folder/x.json"),
        (("google/flan-t5-small",), "google/flan-t5-small has no held-out items"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(capsys, arguments, told):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
