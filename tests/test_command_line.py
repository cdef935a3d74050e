import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import qdemo.__main__
from qdemo.__main__ import main
from qdemo.measure.overflow import Overflow, Span, Watch
from qdemo.models.scenes import IMAGES

ROOT = Path(__file__).parent.parent

PICTURE = IMAGES / "gallery" / "a-woman-and-a-dog-on-the-beach.png"


def run(capsys, *arguments):
    status = main(arguments)
    return status, *capsys.readouterr()


def cells(output):
    return [line.split() for line in output.splitlines()]


def test_footprint_prints_the_bytes_of_each_format(capsys):
    formats = ("fp32", "bf16", "int8", "int8+emb", "int4-g64")
    status, out, err = run(capsys, "footprint", "google/flan-t5-small", "--formats", *formats)
    assert (status, err) == (0, "")
    assert "76,961,152 parameters, 145 Linear layers" in out
    rows = {row[0]: row[1:] for row in cells(out) if row and row[0] in formats}
    assert tuple(rows) == formats
    assert rows["fp32"][:3] == ["307.84", "1.00", "307,844,608"]
    assert rows["int8"] == ["126.83", "2.43", "126,827,520", "60,489,728", "452,096",
                            "65,885,696", "0"]  # fmt: skip
    assert rows["int8+emb"][1] == "3.97"
    assert rows["int4-g64"][2] == "99,911,168"  # 60,489,728 · (1/2 + 4/64) + 65,885,696


def test_a_split_tie_is_told(capsys):
    blip = "Salesforce/blip-image-captioning-base"
    _, out, _ = run(capsys, "footprint", blip, "--formats", "int8", "int8+emb")
    assert "int8: text_decoder.cls.predictions.decoder was tied to" in out
    assert "93,769,728 bytes" in out
    assert out.count("was tied to") == 1


def test_untied_counts_as_older_transformers_did(capsys):
    blip = "Salesforce/blip-image-captioning-base"
    _, out, _ = run(capsys, "footprint", blip, "--formats", "fp32", "bf16", "--untied")
    assert "989,660,400" in out
    assert "494,832,248" in out


def test_compare_shows_what_its_json_holds(capsys, tmp_path):
    path = tmp_path / "all.json"
    command = ["compare", "t5-tiny", "--input", "What is 23 + 45?", "--json", str(path)]
    status, out, err = run(capsys, *command, "--formats", "bf16", "int8", "int2")
    assert (status, err) == (0, "")
    whole = json.loads(path.read_text())
    rows = {row[0]: row for row in cells(out) if row}
    assert (whole["model"], whole["input"]) == ("t5-tiny", "What is 23 + 45?")
    assert [result["format"] for result in whole["results"]] == ["fp32", "bf16", "int8", "int2"]
    for result in whole["results"][1:]:
        row = rows[result["format"]]
        assert row[1] == f"{result['bytes'] / 1e6:.2f}"
        assert row[4:7] == [
            f"{result['logit_mean_abs']:.5f}",
            f"{result['logit_max_abs']:.4f}",
            f"{result['logit_kl_mean']:.2e}",
        ]
        assert repr(result["output"]) in out


def test_compare_captions_a_picture(capsys):
    status, out, _ = run(capsys, "compare", "blip-tiny", "--input", str(PICTURE))
    assert status == 0
    assert "blip-tiny: 'a-woman-and-a-dog-on-the-beach.png, 384 × 384 pixels, sha256 " in out
    assert out.count("'a woman and a dog on the beach'") == 4


def test_a_variant_that_fails_is_told_below_the_table(capsys):
    command = ["compare", "t5-tiny", "--input", "x", "--max-tokens", "2", "--formats", "int4-g80"]
    status, out, _ = run(capsys, *command)
    assert status == 0
    assert "int4-g80 failed: encoder.block.0" in out
    assert "group_size 80 does not divide the row length 192" in out


def test_models_lists_the_catalogue(capsys):
    status, out, _ = run(capsys, "models")
    assert status == 0
    assert ["google/flan-t5-xxl", "text2text", "11,135,332,352", "44,541.3"] in cells(out)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["footprint", "nobody/nothing"],
            "unknown model 'nobody/nothing'; the models are t5-tiny, ",
        ),
        (["compare", "t5-tiny", "--input", " "], "the prompt is empty"),
        (["compare", "t5-tiny", "--input", "x", "--max-tokens", "0"], "max_tokens is 0"),
        (["compare", "blip-tiny", "--input", "no.png"], "there is no file no.png"),
        (["compare", "blip-tiny", "--input", "README.md"], "README.md is no picture"),
        (["footprint", "google/flan-t5-small", "--formats", "int9"], "unknown format 'int9'"),
        (
            ["footprint", "google/flan-t5-small", "--formats", "int4-g48"],
            "group_size 48 does not divide the row length 512; use a divisor such as 32",
        ),
    ],
)
def test_bad_input_is_one_clear_line(capsys, arguments, says):
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith("qdemo: ")
    assert says in err
    assert err.count("\n") == 1


def as_people_run_it(*arguments, **environment):
    command = [sys.executable, "-m", "qdemo", *arguments]
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=os.environ | environment)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_a_terminal_of_any_encoding_shows_what_it_can(encoding):
    prompt = "Translate to German: Tuesday 😀"
    command = ["compare", "t5-tiny", "--input", prompt, "--formats", "int8", "--max-tokens", "4"]
    run = as_people_run_it(*command, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    shown, told = run.stdout.decode(encoding), run.stderr.decode(encoding)
    assert (run.returncode, told) == (0, "")
    assert ("mean |Δlogit|" if encoding == "utf-8" else "mean |dlogit|") in shown
    assert ("😀" if encoding == "utf-8" else "\\U0001f600") in shown
    assert [line.split()[0] for line in shown.splitlines()[-2:]] == ["fp32", "int8"]


def test_an_error_in_a_terminal_without_its_characters():
    run = as_people_run_it("footprint", "nobody/→", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert run.returncode == 2
    assert run.stderr.startswith(b"qdemo: unknown model 'nobody/\\u2192'")


COMPARE = ("compare", "t5-tiny", "--input", "x", "--formats", "int8", "--max-tokens", "1")


@pytest.mark.parametrize("name", ["nowhere/x.json", "folder"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(
    name, capsys, tmp_path, monkeypatch
):
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(qdemo.__main__, "compare", lambda *_: 1 / 0)
    status, out, err = run(capsys, *COMPARE, "--json", str(tmp_path / name))
    assert (status, out) == (2, "")
    assert err.startswith(f"qdemo: can't write {tmp_path / name}: ")
    assert err.count("\n") == 1


def test_a_run_that_breaks_off_leaves_a_file_as_it_was(capsys, tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("what was there")
    for file in (old, new):
        assert run(capsys, *COMPARE[:3], "</s>", "--json", str(file))[0] == 2
    assert old.read_text() == "what was there"
    assert not new.exists()


def test_the_json_can_go_to_a_pipe():
    done = as_people_run_it(*COMPARE, "--json", "/dev/stderr")
    assert json.loads(done.stderr)["formats"] == ["fp32", "int8"]


def test_what_the_model_does_not_know_is_told(capsys):
    _, out, _ = run(capsys, *COMPARE[:2], "--input", "😀 x", *COMPARE[4:])
    assert "this model does not know 😀" in out
    _, out, _ = run(capsys, *COMPARE)
    assert "read as" not in out


def test_where_fp16_overflows_is_told(capsys, monkeypatch):
    first = Overflow("a.wi", infinite=3, nan=0, numbers=9, clamped_in=None)
    monkeypatch.setattr(Watch, "span", Span(60000.0, "a", first), raising=False)
    monkeypatch.setattr(Watch, "see", lambda *_: None)
    monkeypatch.setattr(Watch, "__init__", lambda _: None)
    _, out, _ = run(capsys, *COMPARE[:5], "fp16", "--max-tokens", "1")
    assert "fp16: Too large for fp16: of the 9 numbers out of a.wi, 3 became infinite." in out


def test_as_people_start_it():
    result = as_people_run_it("--help")
    assert result.returncode == 0
    assert b"footprint" in result.stdout
