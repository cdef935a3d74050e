"""Parts of the page on methods: inputs of which a column is large, and what is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo.spec.messages import say, say_counted
from qdemo.ui import method_part, parts
from qdemo.ui.method_part import Part
from qdemo.views import method_bars, methods
from qdemo.views.numbers import significant

if TYPE_CHECKING:
    from torch import Tensor

    from qdemo.lab.smoothing import Smoothed, Smoothing, Splits

LOUD = 20


def smoothing() -> Part:
    """Lay the part on AWQ and SmoothQuant out, inside its page."""
    parts.section(
        say("AWQ and SmoothQuant"),
        say(
            "A factor s for each column, XWᵀ = (X / s)(W · s)ᵀ. AWQ makes the weights of columns "
            "with large inputs larger, so that they are rounded more finely: s = (mean |x|)^α, "
            "divided by √(max · min) of it (Lin et al., 2023). SmoothQuant rounds inputs too, and "
            "moves what is too large in them over to the weights: s = max|x|^α / max|w|^(1 − α) "
            "(Xiao et al., 2023). Here one of the inputs is large."
        ),
    )
    with gr.Row():
        method = gr.Radio(
            _methods(), value="awq", label=say("Method"), elem_id="smoothing-method", min_width=320
        )
        alpha = gr.Slider(0, 0.95, 0.5, step=0.05, label=say("α"), elem_id="alpha", min_width=240)
        loud = _loudness("smoothing-loud")
        bits = method_part.bits(3, "smoothing-bits", say("Bits of AWQ"))
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            sizes = parts.plot(None, "smoothing-chart")
        with gr.Column(scale=5, min_width=320):
            curve = parts.plot(None, "alpha-chart")
            line = parts.html("", "smoothing-line")
    named = {"method": method, "alpha": alpha, "loud": loud, "awq_bits": bits}
    return Part(named, (sizes, curve, line), _smoothing)


def _methods() -> list[tuple[str, str]]:
    return [
        (say("AWQ: weights alone are rounded"), "awq"),
        (say("SmoothQuant: weights and inputs in 8 bits"), "sq"),
    ]


def _loudness(name: str) -> gr.Slider:
    return gr.Slider(
        1, 50, LOUD, step=1, label=say("Inputs of column 3, times"), elem_id=name, min_width=240
    )


def _smoothing(w: Tensor, method: str, alpha: float, loud: float, bits: float) -> tuple[Any, ...]:
    from qdemo.lab.smoothing import smoothing

    found = smoothing(w, method, int(bits), loud)
    now = found.at(alpha)
    title, plain = say("Error over α"), (say("without it"), found.plain)
    every = [one.alpha for one in found.every], [one.error for one in found.every]
    of_inputs = found.inputs.tolist(), now.inputs.tolist()
    of_weights = found.weights.tolist(), now.weights.tolist()
    return (
        parts.drawn(method_bars.sizes(of_inputs, of_weights)),
        parts.drawn(method_bars.over(title, ("α", every[0]), every[1], plain, alpha)),
        methods.said_html(_told(found, now)),
    )


def _told(found: Smoothing, now: Smoothed) -> str:
    return say(
        "Error of the outputs: {plain} without it, {now} at α = {alpha}, least at α = {best}: "
        "{least}.",
        plain=_share(found.plain),
        now=_share(now.error),
        alpha=f"{now.alpha:g}",
        best=f"{found.best.alpha:g}",
        least=_share(found.best.error),
    )


def _share(error: float) -> str:
    return significant(100 * error) + "%"


def outliers() -> Part:
    """Lay the part on LLM.int8() out."""
    parts.section(
        say("LLM.int8()"),
        say(
            "Outlier columns stay floats: a token's inputs share one scale, so a column that is "
            "much larger leaves few steps to all the others. LLM.int8() takes the columns in which "
            "anything reaches a threshold, 6 in the paper, and multiplies them as floats; the rest "
            "is int8, weights and inputs (Dettmers et al., 2022). Which columns these are depends "
            "on all tokens of a batch."
        ),
    )
    with gr.Row():
        threshold = gr.Slider(
            0.5, 20, 6, step=0.5, label=say("Threshold"), elem_id="outlier-threshold", min_width=240
        )
        loud = _loudness("outlier-loud")
    with gr.Row():
        columns = parts.plot(None, "outlier-chart")
        curve = parts.plot(None, "threshold-chart")
    line = parts.html("", "outlier-line")
    return Part({"threshold": threshold, "outlier_loud": loud}, (columns, curve, line), _outliers)


def _outliers(w: Tensor, threshold: float, loud: float) -> tuple[Any, ...]:
    from qdemo.lab.smoothing import splits

    found = splits(w, loud)
    now, plain = found.at(threshold), (say("all in int8"), found.plain)
    every = [one.threshold for one in found.every], [one.error for one in found.every]
    x = say("threshold"), every[0]
    return (
        parts.drawn(method_bars.outliers(found.inputs.tolist(), now.outliers.tolist(), threshold)),
        parts.drawn(
            method_bars.over(say("Error over the threshold"), x, every[1], plain, threshold)
        ),
        methods.said_html(_split(found, threshold)),
    )


def _split(found: Splits, threshold: float) -> str:
    now = found.at(threshold)
    count = int(now.outliers.sum())
    return say_counted(
        "{count} of {all} columns stays float: the error of the outputs is {error}; {plain} with "
        "all inputs in int8, {floats} with none.",
        "{count} of {all} columns stay floats: the error of the outputs is {error}; {plain} with "
        "all inputs in int8, {floats} with none.",
        count,
        count=count,
        all=len(now.outliers),
        error=_share(now.error),
        plain=_share(found.plain),
        floats=_share(found.floats),
    )
