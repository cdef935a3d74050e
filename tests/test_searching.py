"""`python -m qdemo sensitivity` and `search`: what they print is what their JSON holds."""

import json
import re

import pytest

from qdemo import Variant
from qdemo.__main__ import main
from qdemo.compress.footprint import footprint
from qdemo.models.availability import get_entry
from qdemo.models.loading import load
from qdemo.spec.mix import Mix
from qdemo.spec.sensitivity import Sensitivity
from qdemo.spec.written import from_text


def run(capsys, *arguments):
    status = main(arguments)
    return status, *capsys.readouterr()


def rows(output, head):
    """A table's rows, as cells by their heads."""
    lines = [re.split("  +", line) for line in output.splitlines() if "  " in line]
    names, *cells = lines[[line[0] for line in lines].index(head) :]
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells if len(row) == len(names)}


def test_sensitivity_prints_the_worst_first(capsys, tmp_path):
    path = tmp_path / "found.json"
    asked = ("sensitivity", "t5-tiny", "--format", "int3", "--by", "block", "--items", "8")
    status, out, err = run(capsys, *asked, "--json", str(path))
    assert (status, err) == (0, "")
    found = from_text(Sensitivity, path.read_text())
    assert (found.format, found.by, found.items) == ("int3", "block", 8)
    assert f"over 8 calibration items ({found.positions} positions)" in out
    table = rows(out, "block")
    assert list(table) == [part.name for part in found.worst()]
    first = found.worst()[0]
    assert table[first.name]["weights"] == f"{first.parameters:,}"
    worst = [part.name for part in found.worst()[:3]]
    assert f"int3{''.join(f'~{name}=fp32' for name in worst)}" in out


def test_search_prints_a_mix_that_holds_what_it_says(capsys, tmp_path):
    path = tmp_path / "mix.json"
    asked = ("search", "t5-tiny", "--formats", "q8_0,q4_0", "--target-mb", "5", "--by", "block")
    status, out, err = run(
        capsys, *asked, "--items", "4", "--export", "llama.cpp", "--json", str(path)
    )
    assert (status, err) == (0, "")
    found = from_text(Mix, path.read_text())
    text = found.found.format
    assert text in out.splitlines()
    built = Variant.parse(text).build(load(get_entry("t5-tiny")).model)
    assert footprint(built).total == found.found.bytes <= 5_000_000
    table = rows(out, "format")
    assert list(table) == ["the mix", "q8_0", "q4_0"]
    assert table["the mix"]["MB"] == f"{found.found.bytes / 1e6:.3f}"
    assert "llama-quantize" in out
    assert "torchao can't be told q" in out
    exports = {one["tool"]: one for one in json.loads(path.read_text())["exports"]}
    assert exports["llama.cpp"]["text"] in out
    assert exports["torchao"]["text"] is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sensitivity", "t5-tiny", "--format", "int9"), "unknown format 'int9'"),
        (("sensitivity", "t5-tiny", "--format", "int8@bf16"), "computed in fp32"),
        (("sensitivity", "t5-tiny", "--format", "int8", "--items", "0"), "0 items, expected at"),
        (("sensitivity", "t5-tiny", "--format", "fp32"), "fp32 quantizes no layer"),
        (("sensitivity", "no-model", "--format", "int8"), "unknown model 'no-model'"),
        (("search", "t5-tiny", "--formats", "int8", "--target-mb", "4"), "two formats or more"),
        (
            ("search", "t5-tiny", "--formats", "int8,int2", "--target-bits", "0"),
            "the target is 0.0, expected a number above 0",
        ),
        (
            ("search", "t5-tiny", "--formats", "int8,int2", "--target-mb", "1", "--items", "2"),
            "1 MB can't be reached with these formats; the smallest mix has 3.1",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(capsys, tmp_path, arguments, told):
    path = tmp_path / "none.json"
    status, _, err = run(capsys, *arguments, "--json", str(path))
    assert status == 2
    assert re.fullmatch(f"qdemo: .*{re.escape(told)}.*\n", err)
    assert not path.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "t5-tiny", "--formats", "int8,int4"),
        ("search", "t5-tiny", "--formats", "int8,int4", "--target-mb", "4", "--target-kl", "1"),
        ("search", "t5-tiny", "--formats", "int8,int4", "--target-mb", "much"),
        ("sensitivity", "t5-tiny", "--format", "int8", "--by", "row"),
    ],
)
def test_what_can_not_be_read_is_no_traceback(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
