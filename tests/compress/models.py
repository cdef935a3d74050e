"""Small models that tests quantize."""

import torch
from torch import nn


class Small(nn.Module):
    """An embedding tied to the head, or not, biases, a norm, an integer buffer, a module used
    twice."""

    def __init__(self, vocabulary=20, width=16, tied=True):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.body = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.norm = nn.LayerNorm(width)
        self.again = self.body[0]
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.embed.weight
        self.register_buffer("positions", torch.arange(vocabulary))
        self.register_buffer("offset", torch.full((width,), 0.1))

    def forward(self, ids):
        x = self.embed(ids + 0 * self.positions[ids]) + self.offset
        return self.head(self.norm(x + self.body(x)))


def ids():
    return torch.tensor([[1, 2, 3], [4, 5, 19]])


class Dummy(nn.Module):
    """The course's dummy model, layer by layer in its order (lesson 3)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(123)
        self.token_embedding = nn.Embedding(2, 2)
        self.linear_1 = nn.Linear(2, 2)
        self.layernorm_1 = nn.LayerNorm(2)
        self.linear_2 = nn.Linear(2, 2)
        self.layernorm_2 = nn.LayerNorm(2)
        self.head = nn.Linear(2, 2)

    def forward(self, ids):
        x = self.layernorm_1(self.linear_1(self.token_embedding(ids)))
        return self.head(self.layernorm_2(self.linear_2(x)))
