"""The smallest model that can be compared, with its family: it maps the last token to the next."""

from types import SimpleNamespace

import torch
from torch import nn

from qdemo import Variant
from qdemo.engine.comparing import compare
from qdemo.models.families import Prompt, State
from qdemo.spec.decoding import GREEDY, Decoding
from qdemo.spec.document import as_json
from qdemo.spec.report import Finished, Started
from qdemo.spec.setting import InputToken


class Parrot:
    """A loaded model and its family at once; an answer stops at token 0."""

    name, shown, kept_wide = "parrot", "3", ()
    read = (InputToken("<3>", "3"),)
    text = (5, 1, 7, 2, 0, 11)
    cache = None

    def __init__(self, width=24, vocabulary=12):
        torch.manual_seed(5)
        self.model = nn.Sequential(nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary))
        self.family = self
        self.entry = SimpleNamespace(name=self.name, family=self, folder=None)
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())

    def on(self, device):
        return self

    def inputs(self):
        """What calibration would give its layer: the rows of all tokens."""
        return {"1": self.model[0].weight.detach()}

    def encode(self, given, read_as="chat"):
        forced = self.text if read_as == "score" else ()
        return Prompt({}, (3,), frozenset({0}), 1000, self.read, self.shown, forced)

    def prefill(self, model, prompt, forced=()):
        return self.score(model, [*forced, 0]), State({}, None)

    def step(self, model, state, tokens):
        return model(tokens[0]), state

    def score(self, model, tokens):
        """Logits from which each token would be chosen."""
        with torch.no_grad():
            return model(torch.tensor([3, *tokens[:-1]]))

    def decode(self, tokens):
        return " ".join(map(str, tokens))

    written = decode

    def pieces(self, tokens, before=()):
        return [f"<{token}>" for token in tokens]

    def alternatives(self, before, tokens):
        return self.pieces(tokens)


def run(parrot, variants, max_tokens=64, **more):
    """The events of a comparison."""
    asked = {"inputs": parrot.inputs, "decoding": GREEDY} | more
    prompt = parrot.encode(None, asked["decoding"].read_as)
    return compare(parrot, prompt, variants, max_tokens, **asked)


def told(events):
    """Each event, with the report after it."""
    report = None
    for event in events:
        report = event.report if isinstance(event, Started) else report
        report = report.after(event)
        yield event, report


def finished(events):
    """The whole report."""
    *_, (last, report) = told(events)
    assert isinstance(last, Finished)
    return report


def compared(formats, parrot=None, max_tokens=5, **more):
    """The report of those formats."""
    variants = [Variant.parse(text) for text in formats]
    return finished(run(parrot or Parrot(), variants, max_tokens, **more))


def scored(formats, parrot=None):
    """The same of a text whose tokens are given."""
    return compared(formats, parrot, decoding=Decoding("score"))


def document(formats, parrot=None, max_tokens=5):
    """The same as JSON."""
    return as_json(compared(formats, parrot, max_tokens))
