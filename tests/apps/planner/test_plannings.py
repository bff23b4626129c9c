"""What facilitators and participants do, by the pages' own forms."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime

import pytest

from apps.planner import charts
from bylaw.testing import Client, Laboratory
from tests.apps.planner.conftest import (
    SQUARE,
    administrator,
    contribute,
    done,
    facilitator,
    number_of,
    participant,
    planned,
)


@pytest.fixture(scope="module")
def lead(lab: Laboratory) -> Client:
    return facilitator(lab)


def test_a_planning_is_seen_by_its_people_and_nobody_else(lab: Laboratory, lead: Client) -> None:
    """A participant sees the one planning of his card, and another's does not exist for him; nobody signs in:
    302."""
    path = planned(lead)
    mine, other = participant(lab, number_of(path)), participant(lab)
    assert mine.page(path).status == 200
    for page in (path, f"{path}/overview", f"{path}/plan", f"{path}/plan.svg", f"{path}/charts/growth.svg"):
        assert other.page(page).status == 403, page
        assert other.page(page.replace(path, "/plannings/99999")).status == 403, page  # the same for none
        assert lab.visitor().page(page).status in (302, 303), page
    assert facilitator(lab).page(path).status == 403
    made = contribute(mine, path, "for us alone")
    for action, form in (("support", {"support": "yes"}), ("withdraw", {}), ("place", {"square": "A1"})):
        unseen = other.act("POST", f"/contributions/{made}/{action}", form=form)
        unknown = other.act("POST", f"/contributions/999999/{action}", form=form)
        assert unseen.status == unknown.status == 404, action


def test_a_participant_runs_nothing(lab: Laboratory, lead: Client) -> None:
    """Opening, closing, moderating, cards, the export and deleting are refused to a participant."""
    path = planned(lead)
    mine = participant(lab, number_of(path))
    made = contribute(mine, path, "mine")
    for page in ("run", "participants", "contributions.csv"):
        assert mine.page(f"{path}/{page}").status == 403, page
    forms = {
        f"{path}/state": {"state": "closed"},
        f"{path}/plan": {"plan_image": ""},
        f"{path}/words": {"title": "Another"},
        f"{path}/groups": {"name": "G", "contributions": made},
        f"{path}/cards": {"batch": "x" * 22, "count": 1, "days": 1},
        f"{path}/cards/{'x' * 22}/revoke": {},
        f"{path}/delete": {"title": "x"},
        f"/contributions/{made}/hide": {"reason": "because"},
        f"/contributions/{made}/show": {},
        "/plannings": {"title": "T", "categories": "A"},
    }
    for address, form in forms.items():
        assert mine.act("POST", address, form=form).status == 403, address


def test_a_participant_of_one_planning_is_taken_to_it(lab: Laboratory) -> None:
    """After signing in the first page leads on; without any planning it says so."""
    assert participant(lab).page("/").header("Location").endswith(SQUARE)
    assert "no planning that you take part in" in participant(lab, 4711).page("/").text


def test_nobody_contributes_before_it_opens_or_after_it_closes(lab: Laboratory, lead: Client) -> None:
    """Contributions, support, places and withdrawals are refused (409) unless the planning is open."""
    path = planned(lead)
    one, other = participant(lab, number_of(path)), participant(lab, number_of(path))
    made = contribute(one, path, "in time")
    category = re.findall(r'name="category" value="(\d+)"', one.page(path).text)[0]
    for state, said in (("closed", "takes nothing any more"), ("open", "")):
        done(lead.act("POST", f"{path}/state", form={"state": state}))
        if not said:
            break
        for address, form in (
            (f"{path}/contributions", {"category": category, "text": "too late"}),
            (f"/contributions/{made}/support", {"support": "yes"}),
        ):
            refused = other.act("POST", address, form=form)
            assert (refused.status, said in refused.text) == (409, True)
            assert form.get("text", "") in refused.text  # nobody writes it a second time
        for address, form in (("withdraw", {}), ("place", {"square": "B2"})):
            assert one.act("POST", f"/contributions/{made}/{address}", form=form).status == 409
    done(other.act("POST", f"/contributions/{made}/support", form={"support": "yes"}))  # opened again
    prepared = planned(lead, state="prepared")
    early = participant(lab, number_of(prepared))
    refused = early.act("POST", f"{prepared}/contributions", form={"category": "1", "text": "early"})
    assert (refused.status, "not been opened" in refused.text) == (409, True)


def test_support_is_given_once_and_not_to_oneself(lab: Laboratory, lead: Client) -> None:
    """Pressed twice it counts once; taken back it is gone; one's own is refused."""
    path = planned(lead)
    one, other = participant(lab, number_of(path)), participant(lab, number_of(path))
    made = contribute(one, path, "benches")
    for wanted, shown in (
        ("yes", "Supported · 1"),
        ("yes", "Supported · 1"),
        ("no", "Support · 0"),
        ("no", "Support · 0"),
    ):
        done(other.act("POST", f"/contributions/{made}/support", form={"support": wanted}))
        assert shown in other.page(path).text
    assert one.act("POST", f"/contributions/{made}/support", form={"support": "yes"}).status == 409


def test_only_its_author_withdraws_or_places_a_contribution(lab: Laboratory, lead: Client) -> None:
    """A neighbour cannot; whoever facilitates hides instead of deleting, and may place for somebody."""
    path = planned(lead)
    one, other = participant(lab, number_of(path)), participant(lab, number_of(path))
    made = contribute(one, path, "a tree")
    assert other.act("POST", f"/contributions/{made}/withdraw", form={}).status == 403
    assert lead.act("POST", f"/contributions/{made}/withdraw", form={}).status == 403
    assert other.act("POST", f"/contributions/{made}/place", form={"square": "A1"}).status == 403
    done(lead.act("POST", f"/contributions/{made}/place", form={"square": "A1"}))
    done(one.act("POST", f"/contributions/{made}/withdraw", form={}))
    assert "a tree" not in one.page(path).text


def test_a_press_on_the_picture_is_a_place(lab: Laboratory, lead: Client) -> None:
    """Pixels of each width that a page shows name the same place; the corner is no press, nor is half of
    one."""
    path = planned(lead)
    one = participant(lab, number_of(path))
    made = contribute(one, path, "here")
    for width, x, y in ((280, 175, 93), (340, 212, 113), (600, 375, 200), (880, 550, 293)):
        form = {f"at{width}.x": x, f"at{width}.y": y}
        done(one.act("POST", f"/contributions/{made}/place", form=form))
        page = one.page(f"{path}/plan").text
        assert "square H4" in page or "square H5" in page, width
    for wrong in (
        {"at340.x": 0, "at340.y": 0},
        {"at340.x": 5},
        {"at340.x": 341, "at340.y": 5},
        {"at340.x": "-1", "at340.y": 5},
        {"at340.x": "NaN", "at340.y": 5},
        {"at340.x": "٣", "at340.y": 5},
        {"at9.x": 1, "at9.y": 1},
        {"square": "Z9"},
        {"square": "A"},
        {"square": "A99"},
        {"x": "0.5"},
        {"x": "inf", "y": "nan"},
        {},
    ):
        refused = one.act("POST", f"/contributions/{made}/place", form=wrong)
        assert refused.status == 422, wrong
    done(one.act("POST", f"/contributions/{made}/place", form={"off": "yes"}))
    assert "Nothing was placed yet" in one.page(f"{path}/plan").text


def test_nobody_places_where_the_facilitator_has_not_allowed_it(lab: Laboratory, lead: Client) -> None:
    """Without a plan, or with one that is not opened to participants, a place is refused."""
    path = planned(lead, placing="")
    one = participant(lab, number_of(path))
    made = contribute(one, path, "here")
    assert one.act("POST", f"/contributions/{made}/place", form={"square": "A1"}).status == 409
    done(lead.act("POST", f"{path}/plan", form={"plan_image": ""}))
    assert lead.act("POST", f"/contributions/{made}/place", form={"square": "A1"}).status == 409
    assert one.page(f"/contributions/{made}/place").status == 409
    assert one.page(f"{path}/plan").status == 404
    refused = lead.act("POST", f"{path}/plan", form={"plan_image": "../../bylaw.toml", "placing": "yes"})
    assert (refused.status, "one of the plans" in refused.text) == (422, True)


def test_what_is_hidden_is_seen_by_its_author_alone_who_reads_why(lab: Laboratory, lead: Client) -> None:
    """Hidden from neighbours, lists, plan, charts and support; its author sees it with the reason; on
    record."""
    path = planned(lead)
    one, other = participant(lab, number_of(path)), participant(lab, number_of(path))
    made = contribute(one, path, "buy my phones")
    done(one.act("POST", f"/contributions/{made}/place", form={"square": "A1"}))
    assert lead.act("POST", f"/contributions/{made}/hide", form={}).status == 422  # without a reason
    done(lead.act("POST", f"/contributions/{made}/hide", form={"reason": "advertising"}))
    assert "buy my phones" not in other.page(path).text
    assert "buy my phones" not in other.page(f"{path}/plan").text
    assert 'font-weight="700"' not in other.page(f"{path}/plan.svg").text
    assert other.act("POST", f"/contributions/{made}/support", form={"support": "yes"}).status == 404
    assert "<dd>0</dd>" in other.page(f"{path}/overview").text
    assert "Hidden from others: advertising" in one.page(path).text
    (record,) = lab.audit(action="contribution_hidden", entity_id=str(made))
    assert record["user_id"] == lead.id
    done(lead.act("POST", f"/contributions/{made}/show", form={}))
    assert "buy my phones" in other.page(path).text


def test_contributions_are_grouped_of_one_planning_alone(lab: Laboratory, lead: Client) -> None:
    """What is ticked gets the group's name; another planning's contribution is refused, and changes
    nothing."""
    path, elsewhere = planned(lead), planned(lead)
    one = participant(lab, number_of(path))
    first, second = contribute(one, path, "a"), contribute(one, path, "b")
    foreign = contribute(lead, elsewhere, "c")
    form = {"name": "Together", "contributions": [first, foreign]}
    assert lead.act("POST", f"{path}/groups", form=form).status == 404
    assert "Together" not in lead.page(f"{path}/run").text
    done(lead.act("POST", f"{path}/groups", form={"name": "Together", "contributions": [first, second]}))
    assert lead.page(f"{path}/run").text.count("Together") == 2


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\uff1d1+1", "\uff20SUM(A1)", "=cmd|' /C calc'!A0", "  =1"],
)
def test_the_export_runs_nothing_in_a_spreadsheet(lab: Laboratory, lead: Client, text: str) -> None:
    """Text that would begin a formula begins with an apostrophe, group and category too; the export is on
    record."""
    path = planned(lead, categories="=Category\nOther")
    made = contribute(lead, path, text)
    done(lead.act("POST", f"{path}/groups", form={"name": "=Group", "contributions": made}))
    reply = lead.page(f"{path}/contributions.csv")
    assert reply.header("Content-Disposition").startswith("attachment")
    (row,) = csv.DictReader(io.StringIO(reply.body.decode("utf-8-sig")))
    assert row["text"] == f"'{text.strip()}"
    assert (row["category"], row["group"]) == ("'=Category", "'=Group")
    assert len(lab.audit(action="export", entity_id=f"planning-{number_of(path)}")) == 1


def test_a_planning_is_deleted_closed_by_its_title_and_for_good(lab: Laboratory, lead: Client) -> None:
    """Open: refused. Another title: refused. Then nothing of it is left, and its number comes to nobody
    again."""
    path = planned(lead, title="To be gone")
    one = participant(lab, number_of(path))
    made = contribute(one, path, "soon gone")
    done(lead.act("POST", f"/contributions/{contribute(lead, path, 'x')}/place", form={"square": "A1"}))
    done(lead.act("POST", f"/contributions/{made}/support", form={"support": "yes"}))
    assert lead.act("POST", f"{path}/delete", form={"title": "To be gone"}).status == 409
    done(lead.act("POST", f"{path}/state", form={"state": "closed"}))
    mistyped = lead.act("POST", f"{path}/delete", form={"title": "to be gone"})
    assert mistyped.status == 409
    assert '<a href="#d-title">Title: that is not the planning&#39;s title.' in mistyped.text
    assert "soon gone" in one.page(path).text
    done(lead.act("POST", f"{path}/delete", form={"title": "To be gone"}))
    assert one.page(path).status == 404
    assert "soon gone" not in lab.dump()
    assert number_of(planned(lead)) > number_of(path)  # a role for the old number opens no new planning


def test_a_form_with_a_mistake_comes_back_with_what_was_typed(lab: Laboratory, lead: Client) -> None:
    """Nothing typed is lost, and what is wrong is named."""
    reply = lead.act("POST", "/plannings", form={"title": "x" * 121, "categories": "A", "prompt": "keep me"})
    assert (reply.status, "keep me" in reply.text) == (422, True)
    path = planned(lead)
    form = {"category": "99999999999", "text": "keep me too"}
    reply = lead.act("POST", f"{path}/contributions", form=form)
    assert (reply.status, "keep me too" in reply.text) == (422, True)
    form = {"category": "1", "text": "of another planning"}
    assert lead.act("POST", f"{path}/contributions", form=form).status == 404


@pytest.mark.requirement("S2-015", "S2-057")
@pytest.mark.parametrize(
    "text",
    ["", "   ", "x" * 1001, "a\x00b", "\x1b[31mred", "a\u202eb", "\ud800", ["a", "b"]],
    ids=["empty", "blank", "long", "nul", "escape", "bidi", "surrogate", "repeated"],
)
def test_hostile_input_is_refused_with_the_reason(lab: Laboratory, lead: Client, text: object) -> None:
    """Every one of them is 422 (a half surrogate is no UTF-8: replaced or 4xx) and none is kept."""
    admin = administrator(lab)
    category = re.findall(r'name="category" value="(\d+)"', admin.page(SQUARE).text)[:1]
    if text == "\ud800":
        body = f"category={category[0]}&text=%ED%A0%80".encode()
        kind = [("Content-Type", "application/x-www-form-urlencoded")]
        reply = admin.act("POST", f"{SQUARE}/contributions", body=body, headers=kind)
        assert reply.status in (302, 400, 422)
        return
    reply = admin.act("POST", f"{SQUARE}/contributions", form={"category": category, "text": text})
    assert reply.status == 422, reply.text[-300:]


@pytest.mark.requirement("S2-015", "S2-074")
def test_no_route_takes_files_or_anything_that_is_no_form(lab: Laboratory, lead: Client) -> None:
    """multipart, JSON and XML are refused with 415 on every route that takes a form."""
    multipart = (
        b'--e\r\nContent-Disposition: form-data; name="text"; filename="a.svg"\r\n\r\n<svg/>\r\n--e--\r\n'
    )
    for rule in lab.app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.endpoint == "static":
            continue
        path = re.sub(r"<int:\w+>", "1", rule.rule).replace("<batch_id>", "x" * 22)
        admin = administrator(lab)
        for kind, body in (
            ("multipart/form-data; boundary=e", multipart),
            ("application/json", b'{"text": "x"}'),
            ("text/xml", b"<a/>"),
        ):
            reply = admin.act("POST", path, body=body, headers=[("Content-Type", kind)])
            assert reply.status == 415, (path, kind, reply.status)


@pytest.mark.requirement("S2-059")
def test_what_people_write_is_text_on_every_page(lab: Laboratory, lead: Client) -> None:
    """Markup in titles, categories, groups, reasons and contributions is escaped, and no chart or plan
    repeats it."""
    bad = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    path = planned(lead, title=bad[:100], prompt=bad, categories="<b>One</b>\n</title><svg/onload=alert(1)>")
    made = contribute(lead, path, bad)
    done(lead.act("POST", f"/contributions/{made}/place", form={"square": "A1"}))
    done(lead.act("POST", f"{path}/groups", form={"name": "<i>g</i>", "contributions": made}))
    pages = [
        "",
        "/overview",
        "/plan",
        "/plan.svg",
        "/run",
        "/participants",
        "/charts/contributions.svg",
        "/charts/growth.svg",
    ]
    for page in pages:
        text = lead.page(f"{path}{page}").text
        for raw in ("<script>alert", "<img src=x", "<b>One", "<svg/onload", "<i>g</i>"):
            assert raw not in text, (page, raw)
        if page.endswith(".svg"):
            assert "<script" not in text
            assert "onload=" not in text.replace("&lt;svg/onload=", "")


def test_an_overview_counts_what_a_room_may_see(lab: Laboratory) -> None:
    """Figures, charts and the most supported agree with the sample data, without what is hidden."""
    page = participant(lab).page(f"{SQUARE}/overview").text
    assert page.count("<dd>") == 3
    assert "<dd>11</dd>" in page
    assert "Problem: 3" in page
    assert "Cheap phones" not in page
    chart = participant(lab).page(f"{SQUARE}/charts/contributions.svg")
    assert chart.header("Content-Type").startswith("image/svg+xml")
    assert participant(lab).page(f"{SQUARE}/charts/secrets.svg").status == 404


@pytest.mark.parametrize(
    ("count", "ticks"),
    [(0, []), (1, ["0", "1"]), (5, ["0", "2", "4", "6"]), (11, ["0", "3", "6", "9", "12"])],
)
def test_the_growth_is_told_in_whole_contributions(count: int, ticks: list[str]) -> None:
    """Each number stands once and at even steps, and three moments are named however close they are."""
    now = datetime(2026, 11, 21, 18, 57, tzinfo=UTC)
    shown = re.findall(r"<text[^>]*>([^<]+)<", charts.growth([now] * count, now))
    assert shown == [*ticks, *(["18:56", "18:56", "18:57"] if count else ["Nothing yet"])]
