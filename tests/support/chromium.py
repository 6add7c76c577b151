"""A headless Chromium, driven over its DevTools protocol through two pipes: no package, no port.

Messages are JSON objects that end with a NUL. The browser writes to a directory of its own that is
gone afterwards, and ends with the object.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PROGRAM = shutil.which("chromium")
DEADLINE_S = 60  # for what should take a moment: generous, for busy machines
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe")


class Chromium:
    """`with Chromium() as browser:`; one page. What the page asks for and complains of is kept."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="volley-chromium-")
        to_read, self.out = os.pipe()
        self.into, to_write = os.pipe()
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", PROGRAM, *FLAGS,
             f"--user-data-dir={self.directory}"],
            pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer = b""
        self.last_id = 0
        self.session = None
        self.events = []
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(DEADLINE_S)
        except (OSError, EOFError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.into)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _receive(self, end):
        """The next message."""
        while b"\0" not in self.buffer:
            if not select.select([self.into], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            chunk = os.read(self.into, 1 << 20)
            if not chunk:
                raise EOFError("Chromium ended")
            self.buffer += chunk
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        """The result of a command; events that come meanwhile are kept."""
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + DEADLINE_S
        while True:
            answer = self._receive(end)
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, path):
        """Shows a file; returns when all of it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=f"file://{path}")
        end = time.monotonic() + DEADLINE_S
        while not self._of("Page.loadEventFired"):
            self.events.append(self._receive(end))

    def _of(self, method):
        return [event["params"] for event in self.events if event.get("method") == method]

    @property
    def requests(self):
        """Everything that the page asked for, itself included."""
        return [event["request"]["url"] for event in self._of("Network.requestWillBeSent")]

    @property
    def complaints(self):
        """What stands on the console."""
        return (self._of("Runtime.consoleAPICalled") + self._of("Runtime.exceptionThrown") +
                self._of("Log.entryAdded"))

    def value(self, script):
        """What JavaScript comes to in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def view(self, width, dark=False, media=""):
        """Sets the width in pixels, the colour scheme, and "print" or "" for a screen."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
                  mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media,
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, path, clip=None):
        """The page, or {"x", "y", "width", "height"} of it, as PNG."""
        more = {"clip": {"scale": 1, **clip}} if clip else {}
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True, **more)
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))

    def pdf(self, path):
        answer = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))
