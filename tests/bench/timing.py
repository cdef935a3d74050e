"""Medians of rounds in which all ways take turns, so that a busy moment hits all of them."""

import statistics
import time

import torch


def seconds(way):
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def medians(ways, rounds):
    """The median seconds of each of `ways`, by name; a first round is not counted."""
    for way in ways.values():
        way()
    taken = [{name: seconds(way) for name, way in ways.items()} for _ in range(rounds)]
    return {name: statistics.median(each[name] for each in taken) for name in ways}


def bandwidth():
    """Bytes a second that all threads together read from memory."""
    memory = torch.ones(1 << 26)  # 256 MiB, far more than caches hold
    return memory.nbytes / medians({"read": memory.sum}, rounds=5)["read"]
