"""Drawings and certificates on processes and lots: taken in, shown, given out and removed by whoever may."""

from __future__ import annotations

import re

import pytest

from bylaw.controls.malware import EICAR
from bylaw.testing import Client, Laboratory
from tests.apps.mtc.conftest import send
from tests.content.making import pdf, png

PNG, PDF = "image/png", "application/pdf"


@pytest.fixture(scope="module")
def manager(shared: Laboratory) -> Client:
    return shared.client("manager")


def made(client: Client, name: str) -> str:
    """A process of its own, by its path."""
    assert client.act("POST", "/processes", form={"name": name}).status == 302
    found = re.findall(r'href="(/processes/\d+)"', client.page(f"/processes?q={name}").text)
    return found[0]


@pytest.mark.requirement("S1-091", "S1-093", "S1-096", "C-29")
def test_a_manager_attaches_and_everybody_who_may_read_downloads(shared: Laboratory, manager: Client) -> None:
    """Two files in one form without script; they come back as they were, as attachments, to a plain user."""
    drawing, report = png(60, 40), pdf()
    sent = send(
        manager, "/lots/1/attachments", ("../../drawing.png", drawing, PNG), ("test report.pdf", report, PDF)
    )
    assert (sent.status, sent.header("Location")) == (302, "/lots/1?saved=1#attachments")
    user = shared.client("user")
    page = user.page("/lots/1").text
    assert "60 × 40 pixels" in page
    assert "Attach drawings" not in page
    for name, data in (("drawing.png", drawing), ("test report.pdf", report)):
        place = re.findall(rf'href="([^"]+)">{re.escape(name)}<', page)[0]
        reply = user.page(place)
        assert (reply.status, reply.body) == (200, data)
        assert reply.header("Content-Disposition").startswith("attachment")
        assert "sandbox" in reply.header("Content-Security-Policy")
    small = re.findall(r'<img class="sight" src="([^"]+)"', page)[0]
    assert user.page(small).header("Content-Type") in ("image/png", "image/jpeg")


@pytest.mark.requirement("S1-092", "S1-093")
def test_what_is_refused_is_said_beside_its_name_and_the_rest_is_attached(manager: Client) -> None:
    """One program, one picture that calls itself a document and one drawing: the drawing is there."""
    place = made(manager, "Three files")
    files = ("setup.exe", b"MZ", PDF), ("cert.pdf", png(), PDF), ("fine.png", png(), PNG)
    reply = send(manager, f"{place}/attachments", *files)
    assert reply.status == 422
    assert "<b>setup.exe</b>: Files of this kind are not taken." in reply.text
    assert "<b>cert.pdf</b>: The file is not what its name says." in reply.text
    assert ">fine.png</a>" in reply.text


@pytest.mark.requirement("S1-096")
def test_a_name_cannot_write_into_the_page(manager: Client) -> None:
    """A name is text, whatever stands in it; nothing of it becomes markup, refused or taken."""
    place = made(manager, "Names")
    for name in ("<img src=x>.png", "<img src=x>.exe"):
        reply = send(manager, f"{place}/attachments", (name, png(), PNG))
        assert "<img src=x>" not in reply.text
    assert "<img src=x>" not in manager.page(place).text


@pytest.mark.requirement("S1-028")
def test_a_user_reads_and_changes_nothing(shared: Laboratory, manager: Client) -> None:
    """Whoever may only read can neither attach nor remove, by page or by API."""
    place = made(manager, "Read only")
    found = send(manager, f"/api{place}/attachments", ("a.png", png(), PNG)).json()["data"][0]
    user = shared.client("user")
    assert send(user, f"{place}/attachments", ("b.png", png(), PNG)).status == 403
    assert send(user, f"/api{place}/attachments", ("b.png", png(), PNG)).status == 403
    assert user.act("POST", f"{place}/attachments/{found['id']}/delete", form={}).status == 403
    assert user.act("DELETE", found["url"]).status == 403
    assert [file["name"] for file in user.get(f"/api{place}/attachments").json()["data"]] == ["a.png"]


@pytest.mark.requirement("S1-028", "C-29")
def test_a_file_is_found_only_under_what_it_belongs_to(manager: Client) -> None:
    """The id of another process's file, or of a lot's with the same number, opens nothing here."""
    mine, other = made(manager, "Mine"), made(manager, "Others")
    found = send(manager, f"/api{mine}/attachments", ("a.png", png(), PNG)).json()["data"][0]["id"]
    for wrong in (
        f"{other}/attachments/{found}",
        f"/lots/1/attachments/{found}",
        f"{mine}/attachments/nothing",
    ):
        assert manager.page(wrong).status == 404, wrong
        assert manager.page(f"{wrong}/thumbnail").status == 404, wrong
        assert manager.act("DELETE", f"/api{wrong}").status == 404, wrong
        assert manager.act("POST", f"{wrong}/delete", form={}).status == 404, wrong
    assert manager.page(f"{mine}/attachments/{found}").status == 200


@pytest.mark.requirement("S1-093")
def test_the_api_says_what_it_took_and_what_not(manager: Client) -> None:
    """201 with both lists where something was taken; a problem with each reason where nothing was."""
    place = f"/api{made(manager, 'By script')}/attachments"
    mixed = send(manager, place, ("a.png", png(), PNG), ("b.svg", b"<svg/>", "image/svg+xml"))
    assert mixed.status == 201
    assert [file["name"] for file in mixed.json()["data"]] == ["a.png"]
    assert [(file["name"], file["code"]) for file in mixed.json()["refused"]] == [
        ("b.svg", "uploads.extension")
    ]
    nothing = send(manager, place, ("c.png", png()[:-4], PNG))
    assert nothing.status == 422
    assert nothing.header("Content-Type").startswith("application/problem+json")
    assert nothing.json()["refused"][0]["name"] == "c.png"
    assert send(manager, place, ("", b"", "application/octet-stream")).status == 422
    assert send(manager, "/api/processes/999999/attachments", ("a.png", png(), PNG)).status == 404


@pytest.mark.requirement("S1-094")
def test_too_much_and_too_many_are_refused_before_all_of_it_is_read(manager: Client) -> None:
    """A byte more than 10 MB, and eleven files at once."""
    place = f"/api{made(manager, 'Too much')}/attachments"
    assert send(manager, place, ("big.pdf", b"%PDF-1.4\n" + b"x" * (10 * 1024 * 1024), PDF)).status == 413
    assert send(manager, place, *[(f"{n}.png", png(), PNG) for n in range(11)]).status == 413
    assert manager.get(place).json()["data"] == []


def test_files_go_with_the_process_that_they_belong_to(shared: Laboratory, manager: Client) -> None:
    """Deleting a process removes its files in the same transaction; each is on record."""
    place = made(manager, "Goes with its files")
    found = send(manager, f"/api{place}/attachments", ("a.png", png(), PNG), ("b.pdf", pdf(), PDF)).json()[
        "data"
    ]
    assert manager.act("POST", f"{place}/delete", form={}).status == 302
    assert manager.page(f"{place}/attachments/{found[0]['id']}").status == 404
    gone = {row["entity_id"] for row in shared.audit(action="upload_delete")}
    assert {file["id"] for file in found} <= gone


@pytest.mark.requirement("S1-095")
def test_a_file_that_is_being_checked_is_shown_as_that_and_given_to_nobody(
    shared: Laboratory, manager: Client
) -> None:
    """The scanner is away and the policy holds: the page says so, and the file waits."""
    place = made(manager, "Being checked")
    with shared.scanner(on_outage="hold") as scanner:
        scanner.away = True
        found = send(manager, f"/api{place}/attachments", ("a.png", png(), PNG)).json()["data"][0]
        assert (found["state"], found["url"]) == ("held", None)
        page = manager.page(place).text
        assert "being checked" in page
        assert f'/attachments/{found["id"]}"' not in page
        assert manager.page(f"{place}/attachments/{found['id']}").status == 423


@pytest.mark.requirement("S1-095")
def test_malware_is_refused_in_words_that_teach_its_sender_nothing(
    shared: Laboratory, manager: Client
) -> None:
    """What the scanner calls it is in the record, and not on the page."""
    place = made(manager, "Infected")
    with shared.scanner():
        rows = b"a,b\n" + EICAR.encode() + b",1\n"
        reply = send(manager, f"{place}/attachments", ("rows.csv", rows, "text/csv"))
    assert reply.status == 422
    assert "<b>rows.csv</b>:" in reply.text
    assert "EICAR" not in reply.text


def test_a_file_never_outlives_the_process_that_it_was_attached_to(
    shared: Laboratory, manager: Client
) -> None:
    """One attaches while another deletes: the file goes with the process, or finds none to belong to."""
    for turn in range(3):
        place = made(manager, f"Race {turn}")
        number = place.rpartition("/")[2]

        def act(who: int, place: str = place) -> int:
            if who == 0:
                return send(manager, f"/api{place}/attachments", ("a.png", png(), PNG)).status
            return manager.act("POST", f"{place}/delete", form={}).status

        replies = shared.burst(act, 2)
        assert replies[0] in (201, 404)
        assert replies[1] == 302
        assert shared.bylaw.files.of(f"process:{number}") == []


@pytest.mark.requirement("S1-087")
def test_a_field_that_means_nothing_is_refused_with_everything(manager: Client) -> None:
    """Nothing beside files is taken: whoever sends a subject or a path of his own is told."""
    place = made(manager, "Fields")
    for path in (f"{place}/attachments", f"/api{place}/attachments"):
        reply = send(manager, path, ("a.png", png(), PNG), subject="lot:1")
        assert (reply.status, "subject" in reply.text.lower()) == (422, True)
    assert manager.get(f"/api{place}/attachments").json()["data"] == []
