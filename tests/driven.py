"""A real browser that is driven over its debugging protocol: clicks, keys, what a page says, pictures."""

import base64
import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from websockets.sync.client import connect

from chromium import BROWSER, FLAGS

KEYS = {
    "Enter": 13,
    "Tab": 9,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Backspace": 8,
}


class Driven:
    """A page in headless Chromium.

    Args:
        folder: where its profile lies.
        width: of the window, in pixels.
        scheme: light or dark.

    Attributes:
        console: what the page has written to the console, warnings and errors.
        requests: addresses of all that it has asked for.
    """

    def __init__(self, folder: Path, *, width: int = 1280, scheme: str = "light") -> None:
        self._kept = ExitStack()
        try:
            self._begin(folder)
            self.look(width, scheme)
        except BaseException:
            self._kept.close()
            raise

    def _begin(self, folder: Path) -> None:
        process = subprocess.Popen(
            [str(BROWSER), *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._kept.callback(process.wait)
        self._kept.callback(process.kill)
        port = until(lambda: (folder / "DevToolsActivePort").read_text().split()[0], OSError, IndexError)
        targets = until(lambda: json.load(urlopen(f"http://127.0.0.1:{port}/json/list")), OSError)
        page = next(one for one in targets if one["type"] == "page")
        talk = connect(page["webSocketDebuggerUrl"], max_size=None)
        self._socket = self._kept.enter_context(talk)
        self._numbers = itertools.count(1)
        self.console: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")
        self._ask("Emulation.setFocusEmulationEnabled", enabled=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def look(self, width: int, scheme: str) -> None:
        """Make the window so wide, in a colour scheme."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._ask("Emulation.setEmulatedMedia", features=features)

    def open(self, address: str) -> None:
        """Go to an address, from an empty page, so that nothing of an earlier one is taken for it."""
        self._ask("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.console.clear()
        self.requests.clear()
        self._ask("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        found = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 30, show: str | None = None) -> Any:
        """Wait until an expression is true, and return its value; a failure says what another one is."""
        said = (lambda: script) if show is None else (lambda: f"{script}; it is {self.value(show)!r}")
        return until(lambda: self.value(script), seconds=seconds, said=said)

    def type(self, text: str) -> None:
        """Type characters into what has the focus."""
        for one in text:
            self._ask("Input.dispatchKeyEvent", type="keyDown", key=one, text=one)
            self._ask("Input.dispatchKeyEvent", type="keyUp", key=one)

    def press(self, key: str) -> None:
        """Press a key that has a name."""
        more = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **more, **text)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **more)

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page as PNG."""
        found = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.recv(timeout=60))
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]
            self._heard(said.get("method"), said.get("params", {}))

    def _heard(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
            self.console.append(str(params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.console.append(str(params["entry"]))


def until(
    look: Callable[[], Any],
    *errors: type[Exception],
    seconds: float = 30,
    said: Callable[[], str] = lambda: "",
) -> Any:
    """Return what a look finds once it finds something; a failure says what was looked for."""
    end = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
        except errors:
            pass
        assert time.monotonic() < end, f"nothing in {seconds} seconds: {said()}"
        time.sleep(0.05)


@contextmanager
def ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """Give a process, and end it, however what is done with it ends."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
