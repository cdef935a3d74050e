"""Reports to show: real ones of a very small model, quickly computed, and plain readers."""

from dataclasses import replace
from html.parser import HTMLParser

import torch

from qdemo.spec.setting import InputToken
from tests import parrot
from tests.parrot import Parrot

HOSTILE = (
    "<img src=x onerror=alert(1)> {{7*7}} ${document.title} </script><script>alert(1)</script>"
)
FORMATS = ("bf16", "int8", "int8-g9", "int2+emb", "int4-g12@fp16")


class Hostile(Parrot):
    """Everything that comes from outside tries to be more than text."""

    name = shown = HOSTILE
    read = (InputToken(HOSTILE, HOSTILE, "unknown"), InputToken(HOSTILE))
    kept_wide = (HOSTILE,)

    def decode(self, tokens):
        return f"{HOSTILE} {len(tokens)}"

    def pieces(self, tokens, before=()):
        return [f"{HOSTILE} {token}" for token in tokens]


def compared(formats=FORMATS, runner=None, max_tokens=5):
    """The report; int8-g9 fails, because no row of 24 weights has groups of 9."""
    return parrot.compared(formats, runner, max_tokens)


def overflowing(formats=("fp16", "int8")):
    """A weight that no token uses is beyond fp16."""
    runner = Parrot()
    with torch.no_grad():
        runner.model[0].weight[11, 5] = 1e6
    return compared(formats, runner)


def without_reference():
    """fp32 itself fails."""
    runner = Parrot()
    with torch.no_grad():
        runner.model[1].weight.fill_(float("nan"))
    return compared(("bf16", "int8"), runner)


def figured(trial, **figures):
    """The same result with other figures."""
    return replace(trial, figures={**trial.figures, **figures})


class Page(HTMLParser):
    """The elements of some HTML as (name, attributes), and its text; scripts and styles apart."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.inner = [], "", []
        self._inside = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside in ("script", "style"):
            self.inner.append((self._inside, data))
        else:
            self.text += data

    def all(self, name):
        """The attributes of each element of that name."""
        return [attributes for tag, attributes in self.elements if tag == name]

    def marked(self, name):
        """The attributes of each element of that class."""
        return [a for _, a in self.elements if name in (a.get("class") or "").split()]
