import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from qdemo.views.colours import MARKS
from qdemo.views.lab_spirals import LEVELS, panels_html, picture_of

POINTS, SPIRAL = [[0.5, -0.25], [-1.0, 1.0], [0.0, 0.125]], [0, 1, 1]


@pytest.fixture(scope="module")
def grid():
    return np.random.default_rng(0).random((40, 40))


def read(address):
    """The picture in an address, as red, green, blue and strength."""
    head, _, data = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))


def test_each_cell_has_the_colour_of_the_spiral_that_is_likelier(grid):
    seen = read(picture_of(grid.tolist()))[::-1]  # a picture begins at the top
    colours = np.array([list(bytes.fromhex(mark[1:])) for mark in MARKS[:2]])
    likelier = (np.round(LEVELS * grid) > LEVELS / 2).astype(int)
    assert np.array_equal(seen[..., :3], colours[likelier])


def test_the_surer_the_stronger(grid):
    strength = read(picture_of(grid.tolist()))[::-1][..., 3].astype(float)
    sure = np.abs(2 * grid - 1)
    assert np.abs(strength / 200 - sure).max() <= 1 / LEVELS + 0.01


def test_a_picture_is_small(grid):
    assert len(picture_of(grid.tolist())) < 2_500


def test_a_panel_says_how_well_it_is_learned():
    found = SimpleNamespace(
        grid=SimpleNamespace(tolist=lambda: [[0.0, 1.0], [0.5, 0.2]]), accuracy=0.985, loss=0.0251
    )
    html = panels_html(POINTS, SPIRAL, 1.1, {"fp32": found, "int2, trained <&>": None})
    assert html.count("<figure") == html.count('role="img"') == 2
    assert html.count("<image") == 1
    assert "98.5% right, loss 0.0251" in html
    assert "int2, trained &lt;&amp;&gt;: not yet" in html


def test_every_point_is_a_dot_of_its_spiral():
    html = panels_html(POINTS, SPIRAL, 1.1, {"fp32": None})
    paths = re.findall(r'<path id="spiral(\d)" d="([^"]*)"', html)
    assert paths == [("0", "M0.50 -0.25h0"), ("1", "M-1.00 1.00h0M0.00 0.12h0")]
