"""Chromium without a window, driven over a pair of pipes (DevTools protocol)."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

from .processes import STOP_SECONDS, base_environment, require_programs

ANSWER_SECONDS = 60.0
"""A browser must answer within this; generous for a loaded machine."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # whatever it would look up for itself, nothing is found but this machine
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)


class Chromium:
    """A browser with an empty profile and one page."""

    def __init__(self, directory: Path) -> None:
        require_programs("chromium")
        directory.mkdir()
        self._answers: dict[int, Any] = {}
        self._number = 0
        self._received = b""
        self.console: list[str] = []
        """What pages have written to the console, and errors of theirs."""
        commands_read, self._commands = os.pipe()
        self._replies, replies_write = os.pipe()
        words = [*FLAGS, f"--user-data-dir={directory / 'profile'}", "about:blank"]
        # it takes commands from descriptor 3, and answers on 4
        line = f'exec chromium "$@" 3<&{commands_read} 4>&{replies_write}'
        with (directory / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", line, "chromium", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=base_environment(directory),
                pass_fds=(commands_read, replies_write),
            )
        os.close(commands_read)
        os.close(replies_write)
        self._session = ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def stop(self) -> None:
        """End it and the processes that it has started."""
        os.close(self._commands)
        try:
            # it ends when nobody can tell it anything any more
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        os.close(self._replies)

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._call("Page.navigate", url=url)
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.evaluate("document.readyState + location.href") != f"complete{url}":
            if time.monotonic() > deadline:
                raise AssertionError(f"{url} is not loaded")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def text(self) -> str:
        """The text that the page shows."""
        return str(self.evaluate("document.body.innerText"))

    def show_as(self, width: int, height: int, scheme: str, scale: float = 1) -> None:
        """Show the page at this size, to somebody who likes `light` or `dark`."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._call("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write what is seen, or the `whole` page, as PNG."""
        result = self._call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole
        )
        path.write_bytes(base64.b64decode(result["data"]))

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {
            "id": self._number,
            "method": method,
            "params": parameters,
        }
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_SECONDS
        while self._number not in self._answers:
            if not select.select([self._replies], [], [], 1)[0]:
                if time.monotonic() > deadline:
                    raise AssertionError(f"chromium does not answer {method}")
                continue
            received = os.read(self._replies, 1 << 20)
            if not received:
                raise AssertionError(f"chromium ended ({self._process.poll()})")
            *messages, self._received = (self._received + received).split(b"\0")
            for one in messages:
                self._take(json.loads(one))
        answer = self._answers.pop(self._number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
        elif message["method"] in (
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
        ):
            self.console.append(json.dumps(message["params"]))
