"""The page: a question is edited, and its answer is seen to form."""

import copy
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memhrm.config import extras
from memhrm.config.settings import require
from memhrm.data.text.prose import Prose
from memhrm.play.boards import edited, task_in, text_of
from memhrm.play.choices import Choices
from memhrm.play.frames import Frame, drawn, frames
from memhrm.play.markup import EMPTY, frame_html, said_html, told_html
from memhrm.report.film import right_answer
from memhrm.runs.bank import keeps_bank
from memhrm.weights.server import LENGTH
from memhrm.weights.solver import Solver

ALONE = "none"
"""What stands for no second model."""
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


@dataclass
class Visit:
    """What one visitor has done.

    Attributes:
        told: the examples that the models are shown before a question.
        seen: the frames of each answer, by model.
        own: copies of the models whose bank of texts was edited; those of others stay as they are.
    """

    told: list[tuple[str, str]] = field(default_factory=list)
    seen: dict[str, list[Frame]] = field(default_factory=dict)
    own: dict[str, Solver] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Frames of the longest answer."""
        return max(map(len, self.seen.values()), default=0)


def library() -> Any:
    """Return the library of the page, which is told to keep to this machine.

    Raises:
        ValueError: it is not installed.
    """
    os.environ.update(QUIET)
    return extras.library("gradio", "play", "the page needs an extra")


def page(choices: Choices, *, most_steps: int) -> Any:
    """Return the page.

    Args:
        choices: the models that it offers.
        most_steps: supervision steps of an answer, at most.
    """
    gr = library()
    rng = np.random.default_rng()

    def begin(name: str) -> dict[Any, Any]:
        """Return what the page shows when a question has been drawn."""
        solver = choices.solver(name)
        found = drawn(solver, rng)
        question, told = ("", []) if found is None else found
        board = edited(solver.task, question)
        return {
            editor: gr.update(value=board, visible=board is not None),
            text: gr.update(value=text_of(solver.task, board) if board else question, label=_label(solver)),
            another: gr.update(visible=found is not None),
            known: told_html(solver.task, told),
            visit: Visit(list(told)),
            shown: "",
            slider: gr.update(visible=False),
            say: said_html(""),
        }

    def choose(name: str) -> dict[Any, Any]:
        try:
            solver = choices.solver(name)
            return {
                about: _about(name, solver),
                beside: gr.update(choices=[ALONE, *choices.beside(name)], value=ALONE),
                teaching: gr.update(visible=solver.task.learns or keeps_bank(solver.model)),
                steps: gr.update(value=min(most_steps, solver.halt_max_steps)),
                **begin(name),
            }
        except ValueError as error:
            return {say: said_html(str(error), bad=True)}

    def paste(name: str, question: str, state: Visit) -> dict[Any, Any]:
        task = choices.solver(name).task
        whole = task_in(task, question)
        if whole is None:
            return {visit: state}
        question, state.told = whole
        shown_now = told_html(task, state.told)
        return {editor: edited(task, question), text: question, visit: state, known: shown_now}

    def solve(
        name: str, other: str, question: str, depth: float | None, state: Visit
    ) -> Iterator[dict[Any, Any]]:
        try:
            length = len(question)
            require(length <= LENGTH, "the question", f"{length:,} characters", f"up to {LENGTH:,}")
            count = None if depth is None else int(depth)
            require(count is None or 1 <= count <= most_steps, "steps", count, f"1 to {most_steps}")
            names = [one for one in (name, other) if one and one != ALONE]
            solvers = {one: state.own.get(one, choices.solver(one)) for one in names}
            state.seen = {one: frames(solver, question, state.told, count) for one, solver in solvers.items()}
        except ValueError as error:
            yield {say: said_html(str(error), bad=True), shown: "", slider: gr.update(visible=False)}
            return
        last = state.length - 1
        pause = min(PAUSE, SECONDS / state.length)
        for at in range(last + 1):
            yield {
                shown: _shown(state, at),
                slider: gr.update(visible=last > 0, maximum=max(2, last + 1), value=at + 1),
                say: said_html(""),
                visit: state,
            }
            if at < last:
                time.sleep(pause)
        yield {say: said_html(_verdict(choices, question, state))}

    def slide(at: float, state: Visit) -> str:
        return _shown(state, int(at) - 1) if state.seen else ""

    def teach(name: str, question: str, answer: str, state: Visit) -> dict[Any, Any]:
        solver = state.own.get(name, choices.solver(name))
        try:
            require(bool(question and answer), "an example", question or answer, "a question and its answer")
            if keeps_bank(solver.model):
                solver = state.own.setdefault(name, copy.deepcopy(solver))
            told = [one for one in state.told if one[0] != question]
            solver.teach(question, answer, told)
        except ValueError as error:
            return {say: said_html(str(error), bad=True)}
        state.told = [*told, (question, answer)]
        shown_now = told_html(solver.task, state.told)
        done = said_html("It was told. Solve again.")
        return {known: shown_now, visit: state, say: done, told_question: "", told_answer: ""}

    def forget(name: str, state: Visit) -> dict[Any, Any]:
        state.told = []
        state.own.pop(name, None)
        task = choices.solver(name).task
        return {known: told_html(task, []), visit: state, say: said_html("It has forgotten them.")}

    with gr.Blocks(title="memhrm", analytics_enabled=False) as made:
        visit = gr.State(Visit())
        gr.Markdown(
            "# memhrm\nSmall networks that refine an answer step by step. All of it runs on this machine."
        )
        with gr.Row():
            model = gr.Dropdown(choices.names, value=choices.names[0], label="Model", elem_id="model")
            beside = gr.Dropdown([ALONE], value=ALONE, label="Compare with", elem_id="beside")
        about = gr.Markdown(elem_id="about")
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
        begun = [editor, text, another, known, visit, shown, slider, say]
        every = [about, beside, teaching, steps, *begun]
        quiet, last = {"show_progress": "hidden"}, {"show_progress": "hidden", "trigger_mode": "always_last"}
        made.load(choose, model, every, **quiet)
        model.input(choose, model, every, **quiet)
        another.click(begin, model, begun, **quiet)
        # Text and board follow each other in the browser, so that no answer from here overtakes a key.
        text.input(None, [text, editor], [editor], js=_file("read.js"), **quiet)
        editor.input(None, [editor], [text], js=_file("write.js"), **quiet)
        text.input(paste, [model, text, visit], [editor, text, known, visit], **last)
        asked = [model, beside, text, steps, visit]
        for event in (go.click, text.submit):
            event(solve, asked, [say, shown, slider, visit], **quiet)
        slider.input(slide, [slider, visit], [shown], **last)
        for event in (tell.click, told_answer.submit):
            event(teach, [model, told_question, told_answer, visit],
                  [known, visit, say, told_question, told_answer], **quiet)  # fmt: skip
        wipe.click(forget, [model, visit], [known, visit, say], **quiet)
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


def _about(name: str, solver: Solver) -> str:
    """Return what a model is, as Markdown."""
    parameters = sum(one.numel() for one in solver.model.parameters())
    module = solver.model.H_module
    cells = f", {module.cells} cells" if module.cells else ""
    return (
        f"`{name}`: {solver.task.name}, memory {module.settings.name}{cells}, {parameters:,} parameters, "
        f"{solver.halt_max_steps} supervision steps in training."
    )


def _label(solver: Solver) -> str:
    """Return what the line of the question is called."""
    if solver.task.num_labels:
        return "Text"
    return "Prompt; _ is filled in" if isinstance(solver.task, Prose) else "Question as text"


def _shown(state: Visit, at: int) -> str:
    """Return a frame of each answer; of a shorter one its last."""
    every = [frame_html(name, seen, min(at, len(seen) - 1)) for name, seen in state.seen.items()]
    return f'<div class="memhrm-answers">{"".join(every)}</div>'


def _verdict(choices: Choices, question: str, state: Visit) -> str:
    """Say how many squares of each answer are wrong, where a search finds the right one."""
    solver = choices.solver(next(iter(state.seen)))  # The others answer the same questions.
    boards = {name: seen[-1].boards for name, seen in state.seen.items()}
    known = (
        any(boards.values()) and right_answer(solver, solver.task.encode([question]).inputs[0]) is not None
    )
    if not known:
        return "Done."
    wrong = {name: sum(board.wrong for _, board in shown) for name, shown in boards.items()}
    return "; ".join(
        f"{name}: {f'{count} squares are wrong' if count else 'solved'}" for name, count in wrong.items()
    )
