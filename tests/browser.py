"""A headless Chromium driven over its DevTools protocol: real clicks, drags and keys, and the errors of the console.

The protocol travels through a pair of pipes (--remote-debugging-pipe), so that no port and no web socket is needed.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "no Chromium here: apt-get install chromium"
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio"),
]
KEYS = {"Enter": 13, "Escape": 27, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36, "Tab": 9}
KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
PATIENCE = 60  # seconds for any one answer


class Page:
    """One tab. `errors` collects what the console shows in red."""

    def __init__(self, send: int, receive: int):
        self._send, self._receive, self._unread = send, receive, b""
        self._last = 0
        self._session = None
        self._frames: list[str] = []
        self.errors: list[str] = []
        self.requests: list[str] = []

    # ---- the protocol

    def call(self, method: str, **parameters) -> dict:
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._notice(answer)

    def _next(self) -> dict:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._unread:
            if not select.select([self._receive], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium did not answer within {PATIENCE} s")
            part = os.read(self._receive, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._unread += part
        message, self._unread = self._unread.split(b"\0", 1)
        return json.loads(message)

    def _notice(self, event: dict) -> None:
        method, about = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.errors.append(about["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in about["args"]))
        elif method == "Target.attachedToTarget":
            self._frames.append(about["sessionId"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        # a sandboxed frame has its own process and session
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    @contextmanager
    def frame(self):
        """Inside the block, `run`, `wait` and `call` speak to the sandboxed frame that was opened last."""
        outer, self._session = self._session, self._frames[-1]
        for domain in ("Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        try:
            yield
        finally:
            self._session = outer

    # ---- what a user does

    def size(self, width: int, height: int, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, file: Path | str, fragment: str = "", ready: str = "document.readyState === 'complete'") -> None:
        self.call("Page.navigate", url="about:blank")  # else a new fragment alone would not load the page again
        address = file.resolve().as_uri() if isinstance(file, Path) else file
        self.call("Page.navigate", url=address + fragment)
        self.wait(f"location.href.startsWith({json.dumps(address)}) && {ready}")

    def run(self, expression: str):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", expression))
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        until = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({expression})"):
            if time.monotonic() > until:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.02)

    def mouse(self, kind: str, x: float, y: float, modifiers: int = 0) -> None:
        button = {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, modifiers=modifiers, **button)

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """x, y, width and height of the first element that matches, scrolled into view."""
        box = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            "e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect();"
            "return [b.x, b.y, b.width, b.height] })()"
        )
        assert box, f"nothing matches {selector}"
        return tuple(box)

    def click(self, selector: str, modifiers: int = 0) -> None:
        x, y, width, height = self.box(selector)
        self.mouse("mousePressed", x + width / 2, y + height / 2, modifiers)
        self.mouse("mouseReleased", x + width / 2, y + height / 2, modifiers)

    def drag(self, selector: str, start: float, end: float) -> None:
        """From one share of the element's width to another."""
        x, y, width, height = self.box(selector)
        self.mouse("mousePressed", x + start * width, y + height / 2)
        for k in range(1, 6):
            self.mouse("mouseMoved", x + (start + (end - start) * k / 5) * width, y + height / 2)
        self.mouse("mouseReleased", x + end * width, y + height / 2)

    def key(self, *names: str, modifiers: int = 0) -> None:
        """Keys by name, or single characters."""
        for name in names:
            text = {} if name in KEYS and name != "Enter" else {"text": "\r" if name == "Enter" else name}
            code = KEYS.get(name, ord(name[0].upper()))
            both = {"key": name, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            self.call("Input.dispatchKeyEvent", type="keyDown", **both, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **both)

    def write(self, selector: str, text: str) -> None:
        """Replaces what a field holds."""
        self.click(selector)
        self.run("document.activeElement.select()")
        if text:
            self.call("Input.insertText", text=text)
        else:
            self.call("Input.dispatchKeyEvent", type="keyDown", key="Delete", windowsVirtualKeyCode=46)

    def picture(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


@contextmanager
def chromium(profile: Path):
    """A Page of a Chromium that ends with the block."""
    commands, answers = os.pipe(), os.pipe()
    # the protocol's pipes are file descriptors 3 and 4 of the browser
    script = f'exec "$@" 3<&{commands[0]} 4>&{answers[1]}'
    arguments = ["bash", "-c", script, "chromium", CHROMIUM, *QUIET, "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [*arguments, f"--user-data-dir={profile}"],
        pass_fds=(commands[0], answers[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands[0])
    os.close(answers[1])
    page = Page(commands[1], answers[0])
    try:
        page.attach()
        yield page
    finally:
        os.close(commands[1])  # the browser ends when its pipe does
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(answers[0])


def without_errors(page: Page):
    """The page at 1280 x 800; at the end its console is silent, and it has requested nothing of a network."""
    page.size(1280, 800)
    page.errors.clear()
    page.requests.clear()
    yield page
    assert page.errors == []
    assert [r for r in page.requests if not r.startswith(("file:", "data:", "about:"))] == []
