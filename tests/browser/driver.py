"""Chromium, driven by the WebDriver protocol (W3C, https://www.w3.org/TR/webdriver2/), of which this is what the test needs."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WAIT_S = 30
LOOK_EVERY_S = 0.1


class Browser:
    """One window of a browser with a profile of its own."""

    def __init__(self, port: int, profile: str) -> None:
        options = ["--headless=new", f"--user-data-dir={profile}", "--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}", "--log-level=WARNING"])
        self.base = f"http://127.0.0.1:{port}"
        try:
            until(lambda: self.is_ready(), "chromedriver is up")
            wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": options}}}}
            self.base += "/session/" + ask("POST", self.base + "/session", wanted)["sessionId"]
        except BaseException:
            # Nobody else can: there is no browser yet that could be closed.
            self.end_driver()
            raise

    def is_ready(self) -> bool:
        """Whether the driver takes sessions."""
        try:
            return bool(ask("GET", self.base + "/status")["ready"])
        except (urllib.error.URLError, ConnectionError):
            return False

    def close(self) -> None:
        """Ends the browser and its driver."""
        try:
            ask("DELETE", self.base)
        finally:
            self.end_driver()

    def end_driver(self) -> None:
        """Ends the driver, and waits for its end."""
        self.driver.terminate()
        self.driver.wait()

    def go(self, url: str) -> None:
        """As if the address was typed."""
        ask("POST", self.base + "/url", {"url": url})

    def back(self) -> None:
        """The button that goes back."""
        ask("POST", self.base + "/back", {})

    def url(self) -> str:
        """What stands in the line of the address."""
        return ask("GET", self.base + "/url")

    def text(self) -> str:
        """What the page shows."""
        return self.run("return document.documentElement.innerText")

    def find(self, selector: str) -> list[str]:
        """The elements of the page by a CSS selector."""
        found = ask("POST", self.base + "/elements", {"using": "css selector", "value": selector})
        return [element[ELEMENT] for element in found]

    def write(self, selector: str, text: str) -> None:
        """Types into the first of these elements."""
        ask("POST", f"{self.base}/element/{self.find(selector)[0]}/value", {"text": text})

    def click(self, selector: str) -> None:
        """Clicks on the first of these elements."""
        ask("POST", f"{self.base}/element/{self.find(selector)[0]}/click", {})

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs a script in the page, and waits for the promise that it returns."""
        return ask("POST", self.base + "/execute/sync", {"script": script, "args": list(arguments)})

    def cookies(self) -> dict[str, dict]:
        """The cookies that the browser would send with the address of the page, by name."""
        return {cookie["name"]: cookie for cookie in ask("GET", self.base + "/cookie")}


def ask(method: str, url: str, body: dict | None = None) -> Any:
    """A command of the protocol, and its value."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"browser: {method} {url}: {error.read().decode(errors='replace')[:500]}") from error


def until(is_so: Any, what: str) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"browser: it is not so that {what}")
        time.sleep(LOOK_EVERY_S)
