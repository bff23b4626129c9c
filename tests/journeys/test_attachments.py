"""Drawings and reports on a process: by form, dropped, by keyboard; refused in words, removed when asked."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import FilePayload, expect

from tests.content.making import pdf, png
from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.test_boms import drop
from tests.journeys.visitor import PHONE, Visitor

NARROW = {"width": 360, "height": 800}
_AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
LABEL = "Attach drawings, certificates, test reports"


def payload(name: str, data: bytes, kind: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": data}


def grave(visitor: Visitor) -> list[str]:
    visitor.page.evaluate(AXE_SCRIPT)
    found = visitor.page.evaluate("o => axe.run(document, o)", _AXE)["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['target']}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.requirement("S1-091", "S1-093")
def test_files_are_attached_and_removed_without_script(mtc: Served, visit: Visit) -> None:
    """Two files and a program in one form: two are there, the third is refused in words; one goes again."""
    manager = visit(mtc, mtc.person("manager", name="Mara Manager"))
    manager.go("/processes/2")
    assert "Nothing is attached yet." in manager.text
    chosen = [payload("front view.png", png(600, 400)), payload("certificate.pdf", pdf(), "application/pdf")]
    manager.page.get_by_label(LABEL).set_input_files(chosen)
    assert manager.press("Attach") == 200
    assert manager.page.locator(".file").count() == 2
    assert "by Mara Manager" in manager.text
    manager.page.get_by_label(LABEL).set_input_files([payload("setup.exe", b"MZ")])
    assert manager.press("Attach") == 422
    assert "setup.exe: Files of this kind are not taken." in manager.page.get_by_role("alert").inner_text()
    manager.picture("attachments-refused")
    with manager.page.expect_download() as download:
        manager.page.get_by_role("link", name="certificate.pdf").click()
    assert download.value.suggested_filename == "certificate.pdf"
    manager.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert not manager.is_wider_than_the_screen
    manager.page.locator("summary", has_text="Remove certificate.pdf").click()
    assert "This cannot be undone." in manager.text
    manager.picture("attachments-remove-phone")
    with manager.page.expect_navigation():
        manager.page.locator("details[open] button").click()
    assert manager.page.get_by_role("status").inner_text() == "Removed."
    assert manager.page.locator(".file").count() == 1


@pytest.mark.requirement("S1-091", "S1-092")
def test_files_are_dropped_and_each_says_how_it_went(mtc: Served, visit: Visit) -> None:
    """Three files are dropped on a lot: two arrive, one says why it was not taken, and it is announced."""
    manager = visit(mtc, mtc.person("manager", name="Mara Manager"), script=True)
    manager.go("/lots/2")
    files = [("drawing.png", "image/png", png(600, 400)), ("report.pdf", "application/pdf", pdf())]
    drop(manager, "form[data-drop]", [*files, ("photo.pdf", "application/pdf", png())])
    said = manager.page.locator("[data-said]")
    expect(said).to_contain_text("2 attached. 1 not attached: photo.pdf: The file is not what its name says.")
    expect(manager.page.locator(".file")).to_have_count(2)
    expect(manager.page.locator(".moving .failed")).to_contain_text("photo.pdf")
    expect(manager.page.locator(".moving .failed")).to_be_focused()
    manager.page.wait_for_function("[...document.images].every((image) => image.complete)")
    assert grave(manager) == []
    manager.picture("attachments-dropped")
    manager.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert not manager.is_wider_than_the_screen
    manager.picture("attachments-dropped-phone")
    manager.page.emulate_media(color_scheme="dark")
    assert grave(manager) == []
    manager.picture("attachments-dark-phone")
    assert manager.complaints
    assert all("415" in each for each in manager.complaints)
    manager.complaints.clear()  # the browser notes the refused file


def test_a_file_whose_connection_broke_off_is_sent_again_by_a_button(mtc: Served, visit: Visit) -> None:
    """In a tunnel with a telephone: nothing has to be chosen anew, and nothing is attached twice."""
    manager = visit(mtc, mtc.person("manager"), script=True)
    manager.go("/lots/1")
    before = manager.page.locator(".file").count()
    manager.page.get_by_label(LABEL).set_input_files([payload("tunnel.png", png())])
    manager.context.set_offline(True)
    manager.page.get_by_role("button", name="Attach", exact=True).click()
    said = manager.page.locator("[data-said]")
    expect(said).to_have_text("1 not attached: tunnel.png: The connection broke off.")
    assert grave(manager) == []
    manager.picture("attachments-offline")
    manager.context.set_offline(False)
    manager.page.get_by_role("button", name="Try again: tunnel.png").click()
    expect(said).to_have_text("1 attached.")
    expect(manager.page.locator(".file")).to_have_count(before + 1)
    assert manager.page.locator(".moving li").count() == 0
    assert manager.complaints
    assert all("net::ERR_INTERNET_DISCONNECTED" in each for each in manager.complaints)
    manager.complaints.clear()  # the browser notes the tunnel


def test_a_file_is_attached_with_the_keyboard_alone(mtc: Served, visit: Visit) -> None:
    """Label, button and question are reached by Tab and answered by Enter."""
    manager = visit(mtc, mtc.person("manager"), script=True)
    manager.page.set_viewport_size(PHONE)
    manager.go("/lots/3")
    field = manager.page.get_by_label(LABEL)
    field.focus()
    field.set_input_files([payload("by keyboard.png", png())])
    manager.page.keyboard.press("Tab")
    expect(manager.page.get_by_role("button", name="Attach", exact=True)).to_be_focused()
    manager.page.keyboard.press("Enter")
    expect(manager.page.locator("[data-said]")).to_contain_text("1 attached.")
    summary = manager.page.locator("summary", has_text="Remove by keyboard.png")
    summary.focus()
    manager.page.keyboard.press("Enter")
    manager.page.keyboard.press("Tab")
    with manager.page.expect_navigation():
        manager.page.keyboard.press("Enter")
    assert "Nothing is attached yet." in manager.text


def test_too_many_at_once_are_said_before_any_is_sent(mtc: Served, visit: Visit) -> None:
    """Eleven files: nothing leaves the browser."""
    manager = visit(mtc, mtc.person("manager"), script=True)
    manager.go("/lots/4")
    drop(manager, "form[data-drop]", [(f"{n}.png", "image/png", png()) for n in range(11)])
    expect(manager.page.locator("[data-said]")).to_have_text("At most 10 files at once.")
    assert manager.page.locator(".file").count() == 0


def test_whoever_may_only_read_sees_the_files_and_no_form(mtc: Served, visit: Visit) -> None:
    """The sample's drawing with its small picture; nothing to attach or to remove with."""
    user = visit(mtc, mtc.person("user"))
    user.go("/processes/1")
    assert user.page.get_by_role("link", name="carrier-plate.png").count() == 1
    assert user.page.locator("#attachments form").count() == 0
    user.picture("attachments-user")
