"""The page, in a real browser: a question is edited from the keyboard, its answer is seen to form."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from chromium import BROWSER, WIDTHS, is_light

if BROWSER is None or find_spec("gradio") is None or find_spec("websockets") is None:
    # They are not imported: that takes seconds, and the page runs in a process of its own.
    pytest.skip("a browser, gradio or websockets is missing", allow_module_level=True)

from driven import Driven, ended
from memhrm import train as command
from pages import ROOT
from tiny import command_line, train


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def served(words: list[str], **more) -> Iterator[str]:
    """The address that a command prints once it serves the page."""
    with ended(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **more)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://"), line
        yield line.split()[0]


@pytest.fixture(scope="module")
def address():
    words = ["browser=false", f"port={free_port()}", "steps=8"]
    with served([sys.executable, "-m", "memhrm.play", *words]) as found:
        yield found


@pytest.fixture(scope="module")
def own_address(tmp_path_factory):
    """A page with runs of this user: one that classifies by a bank of texts, and one of ARC."""
    folder = tmp_path_factory.mktemp("own")
    texts = ["experiment=intent", f"data.path={ROOT / 'docs'}", "data.train_file=texts.csv", "steps=3"]
    texts += ["data.holdout=12", "data.buckets=100", "data.length=20", "model.hidden_size=16", "batch_size=4"]
    texts += ["progress=false", "threads=1", "+memory=retrieval", "k=2", f"dir={folder / 'texts'}"]
    assert command_line("train", command.main, *texts) == 0
    rules = ["data=arc_rules", "data.side=4", "data.test_size=null", "validation_size=1", "steps=1"]
    assert train(folder / "rules", *rules, "+memory=bicross") == 0
    runs = f"runs=[{folder / 'texts'},{folder / 'rules'}]"
    words = [runs, "browser=false", f"port={free_port()}"]
    with served([sys.executable, "-m", "memhrm.play", *words]) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Driven(tmp_path_factory.mktemp("browser")) as driven:
        yield driven


SQUARES = "[...document.querySelectorAll('#editor .squares button')]"
ANSWER = "[...document.querySelectorAll('#shown td')].map((one) => one.textContent).join('')"
ASKED = "document.querySelector('#question textarea').value"


def begin(browser: Driven, address: str, model: str = "sudoku4") -> None:
    """Open the page with a model."""
    browser.open(address)
    browser.wait(f"{SQUARES}.length === 16 && {ASKED}.length === 16")
    if model != "sudoku4":
        choose(browser, "model", model)
        browser.wait(f"document.querySelector('#about').textContent.includes('{model}:')")


def choose(browser: Driven, place: str, name: str) -> None:
    """Take an entry of a menu, from the keyboard."""
    browser.value(f"document.querySelector('#{place} input').focus()")
    browser.value(f"document.querySelector('#{place} input').select()")
    browser.type(name)
    found = "[...document.querySelectorAll('.options .active')].map((one) => one.textContent.trim()).join()"
    browser.wait(f"{found}.replace('✓ ', '') === '{name}'")
    browser.press("Enter")
    browser.wait("!document.querySelector('.options')")
    assert browser.value(f"document.querySelector('#{place} input').value") == name


def write(browser: Driven, place: str, text: str) -> None:
    """Write into a field what stands there no more."""
    browser.wait(f"!!document.querySelector('#{place} textarea, #{place} input')")
    browser.value(f"document.querySelector('#{place} textarea, #{place} input').select()")
    browser.value(f"document.querySelector('#{place} textarea, #{place} input').focus()")
    browser.type(text)


def said(browser: Driven, words: str) -> None:
    found = "document.querySelector('#say').textContent"
    browser.wait(f"{found}.includes({words!r})", show=found)


def click(browser: Driven, place: str) -> None:
    browser.wait(f"!!document.querySelector('#{place}')")
    browser.value(f"document.querySelector('#{place}').click()")


def test_a_board_is_edited_from_the_keyboard_and_solved(browser, address):
    begin(browser, address)
    write(browser, "question", "." * 16)
    browser.wait(f"{SQUARES}.every((one) => one.textContent === '')")
    browser.value(f"{SQUARES}[0].click()")
    browser.type("1")
    browser.press("ArrowRight")
    browser.type("2")
    browser.press("ArrowDown")
    browser.type("4")
    browser.press("ArrowLeft")
    browser.type("33")
    browser.press("ArrowDown")
    browser.type("2")
    browser.wait(f"{ASKED} === '12..34..2.......'")
    browser.press("Backspace")
    browser.wait(f"{ASKED} === '12..34..........'")
    browser.value("document.querySelector('#editor [data-put=\"4\"]').click()")
    browser.wait(f"{ASKED} === '12..34..4.......'")
    write(browser, "question", "12..34..2.4....1")
    browser.wait(f"{SQUARES}[8].textContent === '2'")
    click(browser, "solve")
    said(browser, "sudoku4: solved")
    assert browser.value(ANSWER) == "1234341221434321"
    assert browser.value("document.querySelector('#slider input').max") == "4"


def test_wrong_squares_are_marked_and_a_bad_question_is_said(browser, address):
    begin(browser, address)
    write(browser, "question", "11" + "." * 14)
    click(browser, "solve")
    said(browser, "row 1")
    assert browser.value("document.querySelector('#shown').textContent.trim()") == ""
    write(browser, "question", "12")
    click(browser, "solve")
    said(browser, "question has 2 characters; sudoku4 has 16")


def test_it_is_taught_by_example(browser, address):
    begin(browser, address, "hops")
    click(browser, "forget")
    said(browser, "It has forgotten")
    for symbol, image in zip("1234567", "2345671"):
        write(browser, "example", symbol)
        write(browser, "example-answer", image)
        click(browser, "tell")
        browser.wait(f"document.querySelector('#told').textContent.includes('{symbol} → {image}')")
    write(browser, "question", "f3")
    click(browser, "solve")
    said(browser, "Done")
    assert browser.value(ANSWER).startswith("f34")
    write(browser, "example", "9")
    write(browser, "example-answer", "1")
    click(browser, "tell")
    said(browser, "'9'; allowed: one of 1234567")


FIRST = "document.querySelector('#shown .bar').textContent"


def test_a_text_is_classified_and_the_next_answer_follows_an_example(browser, own_address):
    browser.open(own_address)
    browser.wait("document.querySelector('#about')?.textContent.includes('texts:')")
    text = "zebras cross the savannah at noon"
    write(browser, "question", text)
    click(browser, "solve")
    said(browser, "Done")
    assert "animals" not in browser.value("document.querySelector('#shown').textContent")
    write(browser, "example", text)
    write(browser, "example-answer", "animals")
    click(browser, "tell")
    said(browser, "It was told")
    click(browser, "solve")
    browser.wait("document.querySelector('#shown').textContent.includes('animals')")
    assert browser.value(FIRST).startswith("animals")
    click(browser, "forget")
    said(browser, "It has forgotten")
    click(browser, "solve")
    browser.wait("!document.querySelector('#shown').textContent.includes('animals')")
    assert browser.console == []


def test_the_model_of_intents_says_what_it_knows_and_what_was_asked(browser, address):
    begin(browser, address)
    choose(browser, "model", "intents")
    browser.wait("document.querySelector('#about').textContent.includes('of 150')")
    write(browser, "question", "will it rain in oslo tomorrow")
    click(browser, "solve")
    said(browser, "Done")
    assert browser.value(FIRST).startswith("weather")
    bars = "[...document.querySelectorAll('#shown .bar i')].map((one) => one.getBoundingClientRect().width)"
    first, second, *_ = browser.value(bars)
    assert first > 10 * second  # It is sure.
    assert browser.console == []


def test_a_task_of_arc_is_pasted_and_its_test_answered(browser, own_address):
    browser.open(own_address)
    browser.wait("document.querySelector('#about')?.textContent.includes('texts:')")
    choose(browser, "model", "rules")
    browser.wait("document.querySelector('#about').textContent.includes('rules:')")
    pairs = '[{"input":[[1,0]],"output":[[0,1]]},{"input":[[2,0]],"output":[[0,2]]}]'
    write(browser, "question", f'{{"train":{pairs},"test":[{{"input":[[3,0]]}}]}}')
    browser.wait(f"{ASKED} === '[[3,0]]'")
    browser.wait("document.querySelectorAll('#told table').length === 4")
    click(browser, "solve")
    said(browser, "Done")
    assert browser.value("document.querySelectorAll('#shown td').length") > 0
    write(browser, "question", "[[3,10]]")
    click(browser, "solve")
    said(browser, "10")
    assert browser.console == []


def test_two_models_are_compared_and_cells_light_up(browser, address):
    begin(browser, address)
    choose(browser, "beside", "sudoku4-multicell")
    click(browser, "solve")
    said(browser, "sudoku4-multicell: ")
    names = browser.value("[...document.querySelectorAll('#shown h3')].map((one) => one.textContent)")
    assert names == ["sudoku4", "sudoku4-multicell"]
    assert browser.value("document.querySelectorAll('#shown .cells .read').length") > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_a_phone_and_follows_the_colour_scheme(browser, address, scheme, width, tmp_path):
    browser.look(width, scheme)
    begin(browser, address)
    click(browser, "solve")
    said(browser, "sudoku4: ")
    assert browser.value("document.documentElement.scrollWidth") <= width
    ground = browser.value("getComputedStyle(document.querySelector('#shown td.open')).backgroundColor")
    body = browser.value("getComputedStyle(document.body).backgroundColor")
    assert is_light(ground) == is_light(body) == (scheme == "light")
    browser.picture(tmp_path / "page.png")
    browser.look(max(WIDTHS), "light")


def test_nothing_is_asked_of_the_network_and_the_console_is_clean(browser, address):
    begin(browser, address)
    write(browser, "question", "12..34..2.4....1")  # Of drawn ones it does not solve every one.
    browser.wait(f"{SQUARES}[8].textContent === '2'")
    click(browser, "solve")
    said(browser, "sudoku4: solved")
    assert browser.requests and {one.split("/")[2] for one in browser.requests if one.startswith("http")} == {
        address.split("/")[2]
    }
    assert browser.console == []
