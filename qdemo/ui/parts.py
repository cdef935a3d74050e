"""Pieces that pages are put together from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, ParamSpec, TypeVar, cast

import gradio as gr

from qdemo.engine.first import libraries
from qdemo.spec.messages import say
from qdemo.ui import beginning, insides
from qdemo.views import plots
from qdemo.views.templates import fill
from qdemo.views.terms import with_terms

QUICK: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
    "trigger_mode": "always_last",
}
"""Settings of events that only look: answered at once, the last move counts."""

Updates = Mapping[Any, Any]
"""What becomes of components."""

P = ParamSpec("P")
R = TypeVar("R")


def computing(handler: Callable[P, R]) -> Callable[P, R]:
    """A handler that needs torch, which a page does not wait for: it begins once torch is there.

    Inside of it, and not before, modules are imported that import torch.
    """

    @wraps(handler)
    def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        libraries()
        return handler(*args, **kwargs)

    @wraps(handler)
    def answers(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
        libraries()
        yield from cast(Iterator[Any], handler(*args, **kwargs))

    return cast(Callable[P, R], answers if isgeneratorfunction(handler) else answer)


def on_untouched(
    events: Sequence[Any],
    answer: Callable[..., Sequence[Any] | Updates],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    name: str,
    more: Sequence[Any] = (),
) -> None:
    """Have `answer`, which is asked of `inputs` and `more`, set `outputs`, some of which a person
    sets too: not where one of `inputs` is something else by now, for an answer to what was before
    would undo that. `name` is free for what carries answers to the page's script.

    The answer has a value for each output, in their order or by component.
    """
    carrier = unseen(name)

    def asked(*values: Any) -> str:
        found = answer(*values)
        if isinstance(found, Mapping):
            found = [found.get(part, gr.skip()) for part in outputs]
        changes = list(found)[: len(outputs)]
        return json.dumps({"asked": values[: len(inputs)], "changes": changes})

    # Not as gradio checks values: it does not know what was offered by the page's script.
    gr.on(events, asked, [*inputs, *more], carrier, preprocess=False, **QUICK).then(
        None, [carrier, *inputs], [*outputs], js="qdemo.untouched", **QUICK
    )


def html(
    value: str,
    name: str | None = None,
    classes: str | None = None,
    js: str | None = None,
    render: bool = True,
) -> gr.HTML:
    """HTML that we made, in which everything from outside was escaped; without a `value`, what the
    page begins with there."""
    return gr.HTML(
        value or beginning.earlier(name) or "",
        js_on_load=js,
        apply_default_css=False,
        elem_id=name,
        elem_classes=classes,
        render=render,
    )


def drawn_html(value: str, name: str, js: str) -> gr.HTML:
    """HTML that we made, and a script that puts it on the page: gradio does not."""
    return gr.HTML(value, html_template=" ", js_on_load=js, apply_default_css=False, elem_id=name)


@contextmanager
def later(blocks: gr.Blocks) -> Iterator[None]:
    """What stands in it comes once the page can be used, which so is sooner: charts keep a browser
    busy for a second."""
    with gr.Column(visible=False) as column:
        yield
    blocks.load(None, None, column, js="qdemoLater", **QUICK)


def masthead(title: str, text: str) -> None:
    """The head of a page of the lab."""
    html(fill("lab_masthead", title=title, text=text))


def section(title: str, text: str) -> None:
    """A heading and a sentence under it."""
    html(fill("section", title=title, text=with_terms(text)))


def plot(value: Any, name: str) -> gr.Plot:
    """A chart with the look of all charts; without a `value`, what the page begins with there."""
    figure = None if value else beginning.earlier(name)
    value = insides.plot(figure) if figure else value
    return gr.Plot(
        value, show_label=False, container=False, elem_id=name, elem_classes="chart", min_width=320
    )


def drawn(figure: Any) -> Any:
    """A figure as the value of a `plot`."""
    return insides.plot(plots.for_browser(figure))


def unseen(name: str, value: str = "") -> gr.Textbox:
    """A value that the page holds and nobody sees: it outlasts what the server remembers."""
    return gr.Textbox(
        value, show_label=False, container=False, visible="hidden", elem_id=name,
        elem_classes="unseen",  # gradio shows it where a part around it is shown again
    )  # fmt: skip


def lost() -> str:
    """That what is on screen is no longer held here, and how to get it again."""
    return fill("lost")


def problem(name: str) -> gr.HTML:
    """An empty line in which something may be said about a control."""
    return html("", f"problem-{name}", "problem-line")


def problem_html(message: str) -> str:
    """What is wrong, in words that a screen reader speaks at once."""
    return fill("problem", message=message)


def changed_html(text: str, spoken: bool = True) -> str:
    """What a choice changed, in a line that a screen reader speaks; one that only says how far
    something is, it is not to speak."""
    return fill("changed", text=text, spoken=spoken)


def nothing(count: int) -> tuple[Any, ...]:
    """For so many components: that they stay as they are."""
    return tuple(gr.skip() for _ in range(count))


def next_page(title: str, path: str) -> None:
    """The one step from a page to the next."""
    html(fill("next", path=path.lstrip("/"), title=title))


def link(page: str) -> str:
    """A link to a page of the lab as it is, which the browser keeps up to date. Addresses count
    from the front page, not from this."""
    text = say("A link to this page as it is")
    return fill("link", page=page, state="", text=text, reason="")
