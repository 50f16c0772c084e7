#!/usr/bin/env python3
"""A person signs in with Chromium at a real OpenID provider, by the authorization code flow with PKCE, reads the queue, an incident and its debrief, and presses
the button that signs out. Nothing of it is shown any more then, least of all by the button that goes back.

    tests/browser/sign_in.py URL PORT PROFILE INCIDENT    a deployment where kim of the coordinators is bound to the account kim; a free port for the driver
"""

import datetime
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

from driver import Browser, until

SESSION = "__Host-tocsin-session"
PERSON = "kim"
TITLE = "An attack in the north"
# What signs out, on every page of HTML.
BUTTON = "form.session button"


def check(condition: bool, message: str) -> None:
    """Fails the run with a message."""
    if not condition:
        raise SystemExit(f"browser: {message}")


def asks_with_pkce(base: str) -> None:
    """Where a sign-in sends browsers, they ask for a code that is worth nothing without the verifier (RFC 7636)."""

    class Stays(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        urllib.request.build_opener(Stays).open(base + "/v1/sign-in", timeout=30)
    except urllib.error.HTTPError as answer:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["Location"]).query)
        check(answer.code == 303 and query["code_challenge_method"] == ["S256"] and len(query["code_challenge"][0]) == 43, f"{query} is no PKCE")
        check(query["response_type"] == ["code"] and "openid" in query["scope"][0].split(), f"{query} is no code flow")
        return
    check(False, "/v1/sign-in sends nobody on")


def sign_in(browser: Browser, base: str, path: str) -> None:
    """From an address of the deployment over the provider and back to where it was begun for."""
    browser.go(f"{base}/v1/sign-in?return_to={urllib.parse.quote(path)}")
    check(not browser.url().startswith(base), "nobody is sent to the provider")
    browser.write("input[name=login]", PERSON)
    browser.write("input[name=password]", "any")
    browser.click("button[type=submit]")
    # What the account lets this deployment know.
    until(lambda: browser.url() == base + path or browser.find("button[type=submit]"), "the provider asks for consent")
    if browser.url() != base + path:
        browser.click("button[type=submit]")
    until(lambda: browser.url() == base + path, f"{path} is come to; it is {browser.url()}")


def is_session_kept_as_it_must(browser: Browser) -> None:
    """No script reads the session, no other site is sent it, and nothing but it is kept."""
    cookies = browser.cookies()
    check(set(cookies) == {SESSION}, f"the cookies {sorted(cookies)} are kept")
    kept = cookies[SESSION]
    check(kept["httpOnly"] and kept["secure"] and kept["sameSite"] == "Lax" and kept["path"] == "/", f"the session is kept as {kept}")
    check(browser.run("return document.cookie") == "", "a script reads the session")


def post(browser: Browser, url: str) -> int:
    """The status that a page is answered that posts to an address; 0 where the browser keeps it from the page."""
    return browser.run("return fetch(arguments[0], {method: 'POST', credentials: 'include'}).then(answer => answer.status, () => 0)", url)


def main() -> int:
    """Runs the test; stops at the first breach."""
    base, port, profile, incident = sys.argv[1:]
    asks_with_pkce(base)
    today = datetime.datetime.now(datetime.UTC).date()
    report = f"/v1/reports?from={today - datetime.timedelta(days=1)}&to={today}&form=html"
    debrief = f"/v1/incidents/{incident}/debrief?form=html"
    pages = {
        "/v1/queue": '"cases"',
        "/v1/incidents": TITLE,
        f"/v1/incidents/{incident}": TITLE,
        debrief: TITLE,
        report: "Transparency report",
        "/v1/session?form=html": PERSON,
        # Of the query role.
        "/v1/trending": '"as_of"',
        "/v1/alerts": '"alerts"',
        "/v1/session": PERSON,
    }
    browser = Browser(int(port), profile)
    try:
        browser.go(base + "/v1/queue")
        check("unauthenticated" in browser.text() or '"status":401' in browser.text(), f"a stranger reads {browser.text()[:200]}")
        sign_in(browser, base, "/v1/queue")
        is_session_kept_as_it_must(browser)
        for path, shown in pages.items():
            browser.go(base + path)
            check(shown in browser.text(), f"{path} shows {browser.text()[:200]}")
            is_page = path.endswith("form=html")
            check(bool(browser.find(BUTTON)) == is_page, f"{path} has {len(browser.find(BUTTON))} buttons to sign out")
            check(not is_page or f"Signed in as {PERSON} of coordinators" in browser.text(), f"{path} does not say who is signed in")
        session = json.loads(browser.text())
        check((session["team"], session["person"]) == ("coordinators", PERSON), f"{session} speaks")

        # A page of another origin of this machine: the browser sends it no session with a command.
        check(browser.run("return location.origin") == base, "the page is of this origin")
        other = base.replace("localhost", "127.0.0.1")
        browser.go(other + "/healthz")
        post(browser, base + "/v1/sign-out")
        browser.go(base + "/v1/session")
        check(PERSON in browser.text(), "a page elsewhere signs people out")

        browser.go(base + debrief)
        browser.click(BUTTON)
        until(lambda: "You are signed out" in browser.text(), "the button of the debrief signs out")
        check(SESSION not in browser.cookies(), "the session is kept")
        for _ in range(len(pages) + 5):
            browser.back()
            text, url = browser.text(), browser.url()
            told = [shown for path, shown in pages.items() if base + path == url and shown in text]
            check(not told, f"after signing out {url} shows {text[:200]}")
        for path, shown in pages.items():
            browser.go(base + path)
            check(shown not in browser.text(), f"after signing out {path} shows {browser.text()[:200]}")
    finally:
        browser.close()
    print(f"{PERSON} signed in, read {len(pages)} pages, signed out by the button of one, and reads none of them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
