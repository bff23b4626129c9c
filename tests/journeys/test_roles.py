"""Roles in an administrator's browser: given for a time and a reason, explained, reviewed."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from bylaw.operations import granting
from bylaw.operations.administering import SYSTEM
from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.visitor import PHONE

NEXT_YEAR = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%d")


@pytest.mark.requirement("S1-031", "S3-069")
def test_a_role_is_given_for_a_time_with_a_reason_and_taken_again(mtc: Served, visit: Visit) -> None:
    """What is wrong is said beside its field; who gave it, until when and why stands there; it holds at the
    next request, and is gone at the next one."""
    boss, user = mtc.person("admin", name="Ada Admin"), mtc.person("user")
    admin, person = visit(mtc, boss), visit(mtc, user)
    admin.go(f"{mtc.page('user')}/{user.id}")
    admin.follow("Roles in detail")
    assert admin.heading == "Roles"
    admin.page.get_by_text("Give a role").click()
    admin.page.get_by_label("Role", exact=True).select_option("manager")
    admin.fill("Within (optional)", "nothing that is an object")
    admin.fill("Reason", "stands in for Bob")
    assert admin.press("Give the role") == 422
    assert admin.page.locator("#within").get_attribute("aria-invalid") == "true"
    assert admin.page.locator("#reason").input_value() == "stands in for Bob"
    admin.picture("user-roles-refused")
    assert person.go("/imports") == 403
    admin.fill("Within (optional)", "")
    admin.fill("Until (optional)", NEXT_YEAR)
    assert admin.press("Give the role") == 200
    assert "Given. It holds at the next request." in admin.text
    held = admin.section("Held now").inner_text()
    assert "stands in for Bob" in held
    assert f"given by {boss.email}" in held
    assert person.go("/imports") == 200
    admin.picture("user-roles")
    admin.page.set_viewport_size(PHONE)
    assert not admin.is_wider_than_the_screen
    admin.picture("user-roles-phone")
    with admin.page.expect_navigation():
        admin.page.get_by_role("button", name="Take away manager").click()
    assert "Taken away." in admin.text
    assert "was taken away by" in admin.section("Held before").inner_text()
    assert person.go("/imports") == 403


def test_why_somebody_may_is_explained_with_the_keyboard_alone(mtc: Served, visit: Visit) -> None:
    """Asked in a route's words; each permission with its role, and what keeps one from counting."""
    user = mtc.person("user")
    house = mtc.site.house
    granting.grant(house, SYSTEM, user.id, "manager", within="lot:1", because="the first lot")
    granting.grant(house, SYSTEM, user.id, "manager", until=time.time() + 3600, because="for the inventory")
    admin = visit(mtc, mtc.person("admin"), viewport=PHONE)
    admin.go(f"{mtc.page('user_roles')}/{user.id}")
    admin.page.get_by_label("Permission", exact=True).focus()
    admin.page.keyboard.type("process:create")
    with admin.page.expect_navigation():
        admin.page.keyboard.press("Enter")
    answer = admin.page.locator("#answer")
    assert answer.inner_text().startswith("Yes: ")
    assert "for the inventory" in answer.inner_text()
    expect(answer.get_by_text("only within one object")).to_be_visible()
    assert not admin.is_wider_than_the_screen
    admin.picture("user-roles-why-phone")
    admin.fill("Permission", "user:manage")
    admin.press("Explain")
    assert answer.inner_text().startswith("No: ")
    assert "has anything to do with it" in answer.inner_text()
    admin.fill("Permission", "everything")
    admin.press("Explain")
    assert "Noun:verb" in admin.text
    assert answer.count() == 0


@pytest.mark.requirement("S2-044")
def test_the_access_review_is_read_downloaded_and_recorded(mtc: Served, visit: Visit) -> None:
    """Who has what and whether it is used, what administrators did since, and that somebody has looked."""
    boss = mtc.person("admin", name="=cmd|' /C calc'!A0")
    user = mtc.person("user")
    admin = visit(mtc, boss, accept_downloads=True)
    # The page begins with the oldest since the last review, and the other journeys did much since the start.
    admin.go(mtc.page("access_review"))
    assert admin.press("Record the review") == 200
    admin.go(f"{mtc.page('user')}/{user.id}")
    admin.page.locator("main form:visible").get_by_label("manager", exact=True).click()
    admin.press("Save the roles")
    admin.go(mtc.page("users"))
    admin.follow("Access review")
    assert admin.heading == "Access review"
    assert f"changed the roles ({user.email})" in admin.text
    admin.picture("access-review")
    with admin.page.expect_download() as begun:
        admin.page.get_by_role("link", name="Download as CSV").click()
    assert begun.value.suggested_filename == "access-review.csv"
    rows = list(csv.DictReader(io.StringIO(begun.value.path().read_text("utf-8-sig"))))
    mine = [row for row in rows if row["account"] == boss.email]
    assert [(row["what"], row["kind"]) for row in mine] == [("admin", "role")]
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "@"))]
    admin.fill("Note (optional)", "with the board")
    admin.press("Record the review")
    assert "Recorded: the review was done." in admin.text
    assert f"changed the roles ({user.email})" not in admin.text
    admin.page.set_viewport_size(PHONE)
    assert not admin.is_wider_than_the_screen
    admin.picture("access-review-phone")


@pytest.mark.requirement("S1-033")
def test_nobody_else_reads_the_review(mtc: Served, visit: Visit) -> None:
    """A manager gets the page of a refusal, for the file too."""
    visitor = visit(mtc, mtc.person("manager"))
    for name in ("access_review", "access_review_file"):
        assert visitor.go(mtc.page(name)) == 403
    assert visitor.go(f"{mtc.page('user_roles')}/{mtc.person('user').id}") == 403
