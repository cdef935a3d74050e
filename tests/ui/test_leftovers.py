import os
import time

from qdemo.ui import leftovers


def test_what_was_begun_and_left_for_an_hour_is_deleted_and_nothing_else(tmp_path):
    (tmp_path / "tmpfolder").mkdir()
    for name, age in (("tmpold", 3700), ("tmpnew", 60), ("other", 3700), ("tmpfolder", 3700)):
        path = tmp_path / name
        if not path.is_dir():
            path.write_text("x")
        os.utime(path, (time.time() - age, time.time() - age))
    leftovers.delete(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tmpnew", "other", "tmpfolder"}
    leftovers.delete(tmp_path / "nothing")
