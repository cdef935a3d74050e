"""What is uploaded or made for a page goes to one folder, within bounds, and is gone in an hour."""

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from gradio_client import handle_file

from qdemo.models.pictures import gallery
from qdemo.views import files
from tests.browser.conftest import serving
from tests.test_api import FILE, LOOKS, WITHOUT_PROXY, compared

SECONDS = 3  # an hour, for this server
SCRIPT = f"""
from qdemo.ui import dashboard
dashboard.HOUR = {SECONDS}
dashboard.serve(dashboard.build())
"""
MOST = 20 * 2**20
BROKEN_OFF = (
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nxxxxxxxxx'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def url(folder):
    with serving("-c", SCRIPT, GRADIO_TEMP_DIR=str(folder)) as url:
        yield f"{url}/"


def post(url, path, **asked):
    return httpx.post(f"{url}gradio_api/{path}", timeout=60, **WITHOUT_PROXY, **asked)


def names(folder):
    return {path.name for path in folder.rglob("*") if path.is_file()}


def break_off_an_upload(url, folder):
    """Send the beginning of one, and go as soon as the server has begun to write it."""
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as connection:
        connection.sendall(BROKEN_OFF)
        while not list(folder.glob("tmp*")):
            time.sleep(0.05)


@pytest.fixture
def event(url):
    """Calls an event of the page as its script does: by its name and the component's."""
    config = httpx.get(f"{url}config", **WITHOUT_PROXY).json()

    elements = {one["id"]: one["props"].get("elem_id") for one in config["components"]}
    values = {one["id"]: one["props"].get("value") for one in config["components"]}

    def call(name, of=None):
        found = next(
            each
            for each in config["dependencies"]
            if each["backend_fn"]
            and any(
                target[1] == name and of in (None, elements.get(target[0]))
                for target in each["targets"]
            )
        )
        data = [values[part] for part in found["inputs"]]
        asked = {"data": data, "fn_index": found["id"], "session_hash": "a page"}
        return post(url, "run/x", json=asked).json()["data"]

    return call


@pytest.mark.parametrize(("size", "status"), [(MOST, 200), (MOST + 1, 413), (3 * MOST // 2, 413)])
def test_an_upload_has_at_most_twenty_megabytes(url, size, status):
    answer = post(url, "upload", files={"files": ("a.png", bytes(size))})
    assert answer.status_code == status
    assert status == 200 or "at most" in answer.text or "maximum allowed size" in answer.text


def test_several_files_have_no_more_together(url):
    many = [("files", (f"{i}.png", bytes(MOST // 2))) for i in range(3)]
    assert post(url, "upload", files=many).status_code == 413


def test_a_client_is_told_how_large_a_file_may_be(client, tmp_path):
    (tmp_path / "large.png").write_bytes(bytes(MOST + 1))
    with pytest.raises(ValueError, match="exceeds the maximum file size of 20971520 bytes"):
        client.predict(picture=handle_file(tmp_path / "large.png"), api_name="/compare", **LOOKS)


@pytest.mark.parametrize(
    "name", ["../../x.png", "x\0.png", "/etc/passwd", "~", "..", "", "😀" * 99]
)
def test_an_upload_by_an_odd_name_lands_in_the_folder_or_nowhere(url, folder, name):
    answer = post(url, "upload", files={"files": (name, b"x")})
    assert "Traceback" not in answer.text
    paths = answer.json() if answer.status_code == 200 else []
    assert all(Path(path).resolve().is_relative_to(folder) for path in paths)


def test_every_file_is_deleted_but_those_of_the_page_itself(url, client, folder, event, tmp_path):
    own = {path.name for path in gallery().values()}
    compared(client, **LOOKS, picture_name="scene:1")  # loading may take longer than a file is kept
    (tmp_path / "mine.png").write_bytes(FILE.read_bytes())
    compared(client, **LOOKS, picture=handle_file(tmp_path / "mine.png"))
    event("load")  # as every page does first, whereby gradio makes the picture anew
    made = [event("click", "scene"), *(event("click", f"take-{kind}") for kind in files.WRITERS)]
    assert all(Path(data[0]["path"]).exists() for data in made)
    break_off_an_upload(url, folder)
    deadline = time.monotonic() + 20 * SECONDS
    while names(folder) != own and time.monotonic() < deadline:
        time.sleep(0.2)
    assert names(folder) == own
