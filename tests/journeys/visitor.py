"""Somebody at a browser, and everything that the browser complained about meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Response, ViewportSize

from tests.journeys.served import Person, Served

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
_PICTURES = os.environ.get("SCREENSHOTS", "")
# What Chromium says of every answer above 399. A refused form is one, and meant to be; whether it was is
# judged by `_response`.
_STATUS = "Failed to load resource: the server responded with a status of"


class Visitor:
    """One browser with cookies of its own, on one page at a time."""

    def __init__(self, context: BrowserContext, served: Served) -> None:
        self.context = context
        self.served = served
        self.complaints: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        context.on("response", self._response)
        self.page: Page = context.new_page()

    # What a browser notices: errors, and everything that the Content-Security-Policy stopped

    def _console(self, message: ConsoleMessage) -> None:
        ours = message.location["url"].startswith(self.served.url)
        grave = message.type in ("error", "warning") and not message.text.startswith(_STATUS)
        if ours and grave:
            self.complaints.append(f"{message.type} on {message.location['url']}: {message.text}")

    def _response(self, response: Response) -> None:
        page = response.request.resource_type == "document"
        ours = response.url.startswith(self.served.url)
        if ours and (response.status >= 500 or (response.status >= 400 and not page)):
            self.complaints.append(f"{response.status} of {response.url}")

    # What a person does

    def go(self, path: str) -> int:
        """Open a page; its status."""
        response = self.page.goto(path)
        assert response is not None
        return response.status

    def press(self, name: str, *, within: str = "main") -> int:
        """Press a button that sends a form; the status of the page that comes of it."""
        button = self.page.locator(within).get_by_role("button", name=name, exact=True)
        with self.page.expect_navigation() as arrived:
            button.click()
        return arrived.value.status

    def follow(self, name: str, *, within: str = "body") -> None:
        """Follow a link."""
        with self.page.expect_navigation():
            self.page.locator(within).get_by_role("link", name=name, exact=True).first.click()

    def fill(self, label: str, value: str, *, within: str = "main") -> None:
        self.page.locator(within).get_by_label(label, exact=True).fill(value)

    def section(self, heading: str) -> Locator:
        """The part of a page below this heading."""
        return self.page.locator("section", has=self.page.get_by_role("heading", name=heading))

    def sign_in(self, person: Person, *, password: str = "") -> int:
        """Fill in the form of the page that is open, or of the sign-in page."""
        if not self.page.url.startswith(self.served.url + self.served.page("sign_in")):
            self.go(self.served.page("sign_in"))
        self.fill("Mail address", person.email)
        self.fill("Password", password or person.password)
        return self.press("Sign in")

    def sign_out(self) -> None:
        self.press("Sign out", within="header")

    # What they see

    @property
    def path(self) -> str:
        """Where they are, without the parameters."""
        return self.page.url.removeprefix(self.served.url).partition("?")[0]

    @property
    def text(self) -> str:
        """What the page says."""
        return self.page.locator("main").inner_text()

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    @property
    def is_wider_than_the_screen(self) -> bool:
        return bool(
            self.page.evaluate("document.scrollingElement.scrollWidth > document.documentElement.clientWidth")
        )

    def cookie(self) -> Any:
        """The session's cookie, as a thief would copy it; None without one."""
        found = self.context.cookies(self.served.url)
        return next((c for c in found if c["name"] == self.served.cookie), None)

    def picture(self, name: str) -> None:
        """Keep the page as it looks, where SCREENSHOTS names a directory."""
        if _PICTURES:
            self.page.screenshot(path=Path(_PICTURES) / f"{name}.png", full_page=True)
