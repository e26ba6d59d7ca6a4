"""The page: a question is edited, and its answer is seen to form. It needs no PyTorch itself."""

import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from memhrm.config import extras
from memhrm.play.blank import ALONE, EMPTY, said_html
from memhrm.play.parts import Change, Parts
from memhrm.play.visit import Visit

SECONDS = 2.5
"""How long an answer takes to be shown, at most."""
PAUSE = 0.25
"""How long one step is shown, at most, in seconds."""
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_SSR_MODE": "False",
}
"""What keeps the library from asking anything of the network."""


def library() -> Any:
    """Return the library of the page, which is told to keep to this machine.

    Raises:
        ValueError: it is not installed.
    """
    os.environ.update(QUIET)
    # Neither its MCP server, a quarter of its import, nor its stubs, a third, are used.
    with _without("mcp"), _without_stubs():
        return extras.library("gradio", "play", "the page needs an extra")


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Let a module that is not imported yet pass for one that is not installed."""
    hidden = module not in sys.modules
    if hidden:
        sys.modules[module] = None  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[module]


@contextmanager
def _without_stubs() -> Iterator[None]:
    """Keep the library from writing a stub of each of its parts into its own folder at every import.

    It writes none of a class that has no file.
    """
    file_of = inspect.getfile

    def file_of_others(what: Any) -> str:
        if getattr(what, "__module__", "").startswith("gradio."):
            raise OSError
        return file_of(what)

    with mock.patch.object(inspect, "getfile", file_of_others):
        yield


def page(names: Sequence[str], take: Callable[..., Any], *, most_steps: int) -> Any:
    """Return the page.

    Args:
        names: the models that it offers.
        take: takes a turn, a method of `Turns` that is named, and returns what parts of the page become.
        most_steps: supervision steps of an answer, at most.
    """
    gr = library()
    with gr.Blocks(title="memhrm", analytics_enabled=False) as made:
        visit = gr.State(Visit())
        gr.Markdown(
            "# memhrm\nSmall networks that refine an answer step by step. This page asks no other machine."
        )
        with gr.Row():
            model = gr.Dropdown(names, value=names[0], label="Model", elem_id="model")
            beside = gr.Dropdown([ALONE], value=ALONE, label="Compare with", elem_id="beside")
        about = gr.HTML(elem_id="about", elem_classes="memhrm")
        with gr.Row():
            with gr.Column(min_width=300):
                editor = gr.HTML(
                    value=None, html_template=EMPTY, js_on_load=_file("editor.js"),
                    apply_default_css=False, elem_classes="memhrm-editor", elem_id="editor",
                )  # fmt: skip
                text = gr.Textbox(label="Question", elem_id="question", lines=1, max_lines=6)
                with gr.Row():
                    go = gr.Button("Solve", variant="primary", elem_id="solve")
                    another = gr.Button("Another", elem_id="another")
                steps = gr.Number(
                    label="Supervision steps", precision=0, minimum=1, maximum=most_steps, elem_id="steps"
                )
                with gr.Group(visible=False) as teaching:
                    gr.Markdown("### It has been told\nExamples it is shown before the question.")
                    known = gr.HTML(elem_id="told", elem_classes="memhrm")
                    with gr.Row():
                        told_question = gr.Textbox(label="Example", elem_id="example", min_width=120)
                        told_answer = gr.Textbox(label="Its answer", elem_id="example-answer", min_width=80)
                    with gr.Row():
                        tell = gr.Button("Tell it", elem_id="tell")
                        wipe = gr.Button("Forget all", elem_id="forget")
            with gr.Column(min_width=300):
                say = gr.HTML(said_html(""), elem_classes="memhrm-say", elem_id="say")
                slider = gr.Slider(1, 2, value=1, step=1, label="Step", visible=False, elem_id="slider")
                shown = gr.HTML(elem_id="shown")
        parts = {
            "about": about, "beside": beside, "teaching": teaching, "steps": steps, "editor": editor,
            "text": text, "another": another, "known": known, "visit": visit, "shown": shown,
            "slider": slider, "say": say, "told_question": told_question, "told_answer": told_answer,
        }  # fmt: skip

        def of(found: Parts) -> dict[Any, Any]:
            return {
                parts[name]: gr.update(**new) if isinstance(new, Change) else new
                for name, new in found.items()
            }

        def turn(name: str) -> Callable[..., dict[Any, Any]]:
            return lambda *given: of(take(name, *given))

        def solve(*given: Any) -> Iterator[dict[Any, Any]]:
            steps = take("solve", *given)
            for step in steps:
                yield of(step)
                if step is not steps[-1]:
                    time.sleep(min(PAUSE, SECONDS / len(steps)))

        begun = [editor, text, another, known, visit, shown, slider, say]
        every = [about, beside, teaching, steps, *begun]
        quiet, last = {"show_progress": "hidden"}, {"show_progress": "hidden", "trigger_mode": "always_last"}
        made.load(turn("choose"), model, every, **quiet)
        model.input(turn("choose"), model, every, **quiet)
        another.click(turn("begin"), model, begun, **quiet)
        # Text and board follow each other in the browser, so that no answer from here overtakes a key.
        text.input(None, [text, editor], [editor], js=_file("read.js"), **quiet)
        editor.input(None, [editor], [text], js=_file("write.js"), **quiet)
        text.input(turn("paste"), [model, text, visit], [editor, text, known, visit], **last)
        asked = [model, beside, text, steps, visit]
        for event in (go.click, text.submit):
            event(solve, asked, [say, shown, slider, visit], **quiet)
        slider.input(turn("slide"), [slider, visit], [shown], **last)
        for event in (tell.click, told_answer.submit):
            event(turn("teach"), [model, told_question, told_answer, visit],
                  [known, visit, say, told_question, told_answer], **quiet)  # fmt: skip
        wipe.click(turn("forget"), [model, visit], [known, visit, say], **quiet)
    return made


def launch(made: Any, *, host: str, port: int | None, show: bool) -> None:
    """Serve a page until it is stopped, and say where.

    Args:
        made: the page.
        host: the address that it listens to.
        port: its port; None: the first free one from 7860 on.
        show: whether it is opened in a browser.
    """
    gr = library()
    plain = ("ui-sans-serif", "system-ui", "sans-serif")
    theme = gr.themes.Default(font=plain, font_mono=("ui-monospace", "monospace"))
    _, address, _ = made.launch(
        server_name=host, server_port=port, inbrowser=show, share=False, prevent_thread_lock=True,
        quiet=True, footer_links=[], theme=theme, css=_file("page.css"),
        ssr_mode=False, enable_monitoring=False, show_error=True,
    )  # fmt: skip
    print(f"{address}   Ctrl-C stops it", flush=True)
    made.block_thread()


def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
