"""The app with one more model, every word of which is an attack on the page that shows it."""

import tempfile
from pathlib import Path
from unittest.mock import patch

WORDS = [
    "<pad>", "</s>", "<unk>", "<img/src=x/onerror=alert(1)>", "${document.title}", "{{7*7}}",
    "<script>alert(1)</script>", "</script>", "<b>bold</b>", "&lt;i&gt;",
]  # fmt: skip


def write_hostile(folder):
    from tests.models import models  # transformers takes seconds: not for who wants the words only

    with patch.object(models, "WORDS", WORDS):
        models.write_t5(folder, tied=False, activation="gated-gelu")


def main():
    from qdemo.models.availability import MODELS
    from qdemo.models.catalogue import Entry
    from qdemo.ui.dashboard import build, serve

    with tempfile.TemporaryDirectory() as folder:
        write_hostile(Path(folder))
        entry = Entry("hostile", "text2text", tied=False, parameters=0, folder=Path(folder))
        MODELS[entry.name] = entry
        serve(build())


if __name__ == "__main__":
    main()
