import json
import subprocess
import sys
from pathlib import Path

import pytest

from qdemo.__main__ import main
from qdemo.zoo.scenes import IMAGES

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


def test_as_people_start_it():
    command = [sys.executable, "-m", "qdemo", "--help"]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert result.returncode == 0
    assert "footprint" in result.stdout
