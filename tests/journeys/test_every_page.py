"""Every page, for everybody: on a phone, in the dark, and for those who do not see it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import ViewportSize

from apps.mtc.sample_data import BOMS
from bylaw.operations import unlocking
from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.test_boms import upload
from tests.journeys.test_sessions import locked, mail
from tests.journeys.visitor import DESKTOP, PHONE, Visitor

_GRAVE = ("serious", "critical")
_EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# What another colour scheme or another width can change; all other rules judge the same document.
_LOOKS = ["color-contrast", "scrollable-region-focusable", "target-size"]
# What no look can change.
_DOCUMENT = """() => {
    const wrong = [];
    if (document.querySelectorAll("h1").length != 1 || !document.title)
        wrong.push("not one heading and a title");
    for (const form of document.querySelectorAll("form[method=post]"))
        if (form.querySelectorAll("input[type=hidden][name=csrf_token]").length != 1)
            wrong.push("a form without its token: " + form.action);
    const inline = "[style]:not([style='']), script:not([src]), [onclick], [onload], [onerror]";
    for (const found of document.querySelectorAll(inline))
        wrong.push("inline script or style: " + found.outerHTML.slice(0, 200));
    return wrong;
}"""

SIGNED_OUT = ("sign_in", "sign_up", "unlock", "forgot_password")
SIGNED_IN = (
    "account", "change_email", "change_password", "factors", "passkeys", "federated_accounts", "step_up",
    "sessions", "devices", "users", "access_review", "mailbox",
)  # fmt: skip
OWED = {
    "second_factor": "second",
    "factors": "enrol",
    "change_password": "password",
    "confirm_email": "confirm",
}
"""The pages on which somebody finishes signing in, and what he owes there."""
MTC = (
    "/", "/items", "/items/1", "/variants/1", "/suppliers", "/suppliers/1", "/rates", "/processes",
    "/processes/1", "/subprocesses/1", "/usages/1", "/lots", "/lots/1", "/lots/5", "/lots/6", "/report",
    "/imports", "/audit", "/audit?entity_id=nothing", "/nothing-here",
)  # fmt: skip


class Look:
    """Looks at pages and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def at(self, visitor: Visitor, name: str) -> None:
        """The page that is open: by day at a desk, and by night on a phone."""
        visitor.page.evaluate(AXE_SCRIPT)
        self._once(visitor, name, DESKTOP, "light", _EVERYTHING)
        self._note(name, visitor.page.evaluate(_DOCUMENT))
        self._once(visitor, f"{name} (phone, dark)", PHONE, "dark", _LOOKS)
        visitor.page.set_viewport_size(DESKTOP)

    def _once(
        self,
        visitor: Visitor,
        name: str,
        size: ViewportSize,
        scheme: Literal["light", "dark"],
        rules: list[str],
    ) -> None:
        visitor.page.set_viewport_size(size)
        # Without motion: a colour that is still on its way to the next has no contrast to speak of.
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if visitor.is_wider_than_the_screen:
            self._note(name, ["wider than the screen"])
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        for found in visitor.page.evaluate("o => axe.run(document, o)", options)["violations"]:
            if found["impact"] in _GRAVE:
                places = ", ".join(str(node["target"]) for node in found["nodes"][:3])
                self._note(name, [f"{found['id']}: {found['help']}: {places}"])
        visitor.picture(re.sub(r"\W+", "-", name).strip("-"))

    def _note(self, name: str, wrong: list[str]) -> None:
        self.wrong.extend(f"{name}: {what}" for what in wrong)


@pytest.fixture
def look() -> Iterator[Look]:
    looked = Look()
    yield looked
    assert looked.wrong == []


def test_every_page_of_mtc_is_for_everybody(mtc: Served, visit: Visit, look: Look) -> None:
    """No grave fault by axe-core, nothing wider than a phone, every form with its token; light and dark."""
    admin = visit(mtc, mtc.person("admin", name="Ada Admin"), script=True)
    for path in MTC:
        admin.go(path)
        look.at(admin, f"page {path}")
    admin.go("/imports")
    upload(admin, "mixtape.csv", (BOMS / "mixtape.csv").read_bytes())
    look.at(admin, "preview")
    admin.go("/imports")
    upload(admin, "bolts.csv", b"Qty,Component\nmany,=nut\n")
    admin.press("Check the file")
    look.at(admin, "preview with errors")
    admin.go("/variants/1")
    admin.page.get_by_label("Valid from").fill("2026-01-01")
    admin.fill("Price", "cheap")
    admin.press("Record")
    look.at(admin, "refused price")


def refused(visitor: Visitor, page: str, button: str, **values: str) -> None:
    """Fill in and send one of bylaw's forms, which comes back."""
    visitor.go(visitor.served.page(page))
    if page == "users":
        visitor.page.get_by_text("Invite somebody").click()
    for label, value in values.items():
        visitor.fill(label.replace("_", " "), value)
    assert visitor.press(button) in (401, 422)


@pytest.mark.parametrize("name", ["mtc", "notes"])
@pytest.mark.requirement("S1-036", "S2-060")
def test_every_page_of_bylaw_is_for_everybody(
    name: str, request: pytest.FixtureRequest, visit: Visit, look: Look
) -> None:
    """The same of the account pages, in MTC's colours and in their own, with errors shown and without."""
    served: Served = request.getfixturevalue(name)

    def show(visitor: Visitor, what: str) -> None:
        look.at(visitor, f"{name} {what}")

    visitor, admin = visit(served, script=True), visit(served, served.person("admin"), script=True)
    for page in SIGNED_OUT:
        visitor.go(served.page(page))
        show(visitor, page)
    refused(visitor, "sign_in", "Sign in", Mail_address="a@b.example", Password="x")
    show(visitor, "sign_in refused")
    refused(visitor, "sign_up", "Make the account", Mail_address="a@b.example", Password="a" * 15)
    show(visitor, "sign_up refused")
    for page in SIGNED_IN:
        admin.go(served.page(page))
        show(admin, page)
    refused(admin, "change_password", "Change the password", Current_password="x", New_password="y" * 15)
    show(admin, "change_password refused")
    refused(admin, "users", "Send the invitation", Mail_address="a@b")
    show(admin, "users refused")
    admin.sign_in(admin_with_devices := served.person("admin"))
    admin.go(served.page("devices"))
    show(admin, "devices, one of them")
    unlocking.ask(served.site.house, email=locked(served, admin_with_devices.email))
    link = re.search(
        r"https?://\S+/unlock/link\?token=\S+", mail(served, admin_with_devices, "Wrong passwords")
    )
    assert link is not None
    visitor.go(link[0])
    show(visitor, "unlock link")
    for page, owed in OWED.items():
        half = visit(served, script=True)
        half.context.add_cookies([{
            "name": served.cookie,
            "value": served.session(served.person("user"), owes=(owed,)),
            "url": served.url,
        }])  # fmt: skip
        half.go(served.page(page))
        show(half, f"{page}, owed")
    someone = served.person("user", name="A name that is as long as names can be " * 3)
    admin.go(f"{served.page('users')}/{someone.id}")
    show(admin, "user")
    admin.go(f"{served.page('user_roles')}/{someone.id}?permission=note:read")
    show(admin, "user-roles")
    admin.go(f"{served.page('users')}/nobody")
    show(admin, "refusal")
