"""A headless Chromium that tests control by the WebDriver protocol, with the standard library alone."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

#: Keys of WebDriver.
TAB, RIGHT, LEFT, HOME = "\ue004", "\ue014", "\ue012", "\ue011"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# a proxy of the environment is not asked about this machine
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _browser():
    """Return the path of the browser, None if there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing():
    """Programs that are not there, as the reason of a skipped test; empty if all are."""
    lacking = [
        name for name, path in (("chromium", _browser()), ("chromedriver", shutil.which("chromedriver"))) if not path
    ]
    return f"{' and '.join(lacking)} not found (Debian: chromium, chromium-driver)" if lacking else ""


class Browser:
    """A page that is open in a window of a given size in pixels."""

    def __init__(self, width, height, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._base = f"http://127.0.0.1:{port}"
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        options = {
            "binary": _browser(),
            "args": [
                "--headless=new",
                "--no-sandbox",  # root has none
                "--disable-gpu",
                "--disable-dev-shm-usage",  # 64 MB in a container
                f"--user-data-dir={folder}",
            ],
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1, "touch": False}},
        }
        capabilities = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        try:
            self._wait()
            session = self._ask("POST", "/session", {"capabilities": capabilities})["sessionId"]
        except BaseException:
            self._stop()
            raise
        self._base += f"/session/{session}"

    def _wait(self):
        for _ in range(300):
            try:
                if self._ask("GET", "/status")["ready"]:
                    return
            except urllib.error.URLError:
                time.sleep(0.1)
        raise TimeoutError("chromedriver does not answer")

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        with _OPENER.open(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def _stop(self):
        self._driver.terminate()
        self._driver.wait(timeout=10)

    def close(self):
        """End the browser and its driver."""
        try:
            self._ask("DELETE", "")
        finally:
            self._stop()

    def open(self, address):
        """Load a page."""
        self._ask("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        """Return the value of a function body in JavaScript."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        """Return the elements of a selector."""
        found = self._ask("POST", "/elements", {"using": "css selector", "value": selector})
        return [one[_ELEMENT] for one in found]

    def label(self, element):
        """Return the name of an element that a screen reader says."""
        return self._ask("GET", f"/element/{element}/computedlabel")

    def role(self, element):
        """Return the kind of an element that a screen reader says."""
        return self._ask("GET", f"/element/{element}/computedrole")

    def press(self, *keys):
        """Press keys, wherever the focus is."""
        presses = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": presses}]})

    def messages(self):
        """Return what the page has written to the console, errors of its script included."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]
