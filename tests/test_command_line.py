import subprocess
import sys
from pathlib import Path

import pytest

from qdemo.__main__ import main


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


def test_models_lists_the_catalogue(capsys):
    status, out, _ = run(capsys, "models")
    assert status == 0
    assert ["google/flan-t5-xxl", "text2text", "11,135,332,352", "44,541.3"] in cells(out)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["footprint", "nobody/nothing"], "unknown model 'nobody/nothing'; the models are google/"),
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
