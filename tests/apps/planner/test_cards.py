"""Participants' cards: made in bulk, shown once, good for one planning and for a time, revoked at once."""

from __future__ import annotations

import re

import pytest

from bylaw.store import assignments
from bylaw.testing import Bench, Client, Laboratory, Reply
from tests.apps.planner.conftest import contribute, done, facilitator, number_of, participant, planned


def make(lead: Client, path: str, count: int = 2, days: int = 7) -> tuple[list[str], str]:
    """Cards: what stands on them, and the batch's name."""
    batch = re.search(r'name="batch" value="([^"]+)"', lead.page(f"{path}/participants").text)
    assert batch
    reply = lead.act("POST", f"{path}/cards", form={"batch": batch[1], "count": count, "days": days})
    assert reply.status == 200, reply.text[-500:]
    return re.findall(r"<code>([^<]+)</code>", reply.text), batch[1]


def enter(lab: Laboratory, token: str) -> tuple[Client, Reply]:
    client = lab.visitor()
    client.token_page = lab.url("sign_in_token")
    reply = client.act("POST", lab.api("sign_in_token"), json={"token": token})
    client.token_page = lab.url("account")
    return client, reply


@pytest.mark.requirement("S2-004", "S2-005", "S2-065", "S2-067")
def test_a_card_opens_one_planning_and_nothing_else(lab: Laboratory) -> None:
    """Typed as it is printed, it signs in; the cookie is another secret; other plannings are refused."""
    lead = facilitator(lab)
    path, other = planned(lead), planned(lead)
    (card, _), _ = make(lead, path)
    client, reply = enter(lab, card)
    assert reply.status == 200, reply
    assert client.page("/").header("Location").endswith(path)
    contribute(client, path, "by card")
    assert client.page(other).status == 403
    assert client.page(f"{path}/run").status == 403
    secret = re.sub(r"[\s-]", "", card)
    assert secret not in client.cookies[lab.cookie]
    assert len(re.sub("^planner_pat_", "", secret)) >= 32  # 128 bits and a checksum


@pytest.mark.requirement("S2-005", "S2-012", "C-40")
def test_tokens_are_shown_once_and_kept_nowhere(lab: Laboratory) -> None:
    """The answer is not stored by any browser; the form sent again shows none; no table and no log holds
    one."""
    lead = facilitator(lab)
    path = planned(lead)
    cards, batch = make(lead, path, 12)
    assert len(set(cards)) == 12
    again = lead.act("POST", f"{path}/cards", form={"batch": batch, "count": 12, "days": 7})
    assert (again.status, "shown already" in again.text, "<code>" in again.text) == (409, True, False)
    elsewhere = planned(lead)
    assert lead.act("POST", f"{elsewhere}/cards", form={"batch": batch, "count": 1, "days": 1}).status == 409
    everything = lab.dump() + lab.logs.text
    for card in cards:
        secret = re.sub(r"[\s-]", "", card)
        assert secret not in everything
        assert card not in everything
    fresh = re.search(r'name="batch" value="([^"]+)"', again.text)
    assert fresh
    assert fresh[1] != batch
    reply = lead.act("POST", f"{path}/cards", form={"batch": fresh[1], "count": 1, "days": 1})
    assert reply.header("Cache-Control") == "no-store"
    assert reply.header("Referrer-Policy") == "no-referrer"
    assert "Participant 13" in reply.text  # numbers go on


def test_the_codes_link_has_the_token_behind_the_hash_alone(lab: Laboratory) -> None:
    """What a server would see of the link is the address of the sign-in page, without a token."""
    lead = facilitator(lab)
    (card,), _ = make(lead, planned(lead), 1)
    secret = re.sub(r"[\s-]", "", card)
    link = lab.bylaw.tokens.address(secret)
    assert link.partition("#")[2] == f"t={secret}"
    assert secret not in link.partition("#")[0]


@pytest.mark.requirement("S2-046", "S2-068")
def test_revoked_cards_end_at_once_with_the_sessions_they_opened(lab: Laboratory) -> None:
    """A batch is revoked: whoever is signed in with it is out at his next request, and nobody enters with
    it."""
    lead = facilitator(lab)
    path = planned(lead)
    cards, batch = make(lead, path)
    kept, _ = make(lead, path, 1)
    inside, _ = enter(lab, cards[0])
    other, _ = enter(lab, kept[0])
    contribute(inside, path, "stays")
    done(lead.act("POST", f"{path}/cards/{batch}/revoke", form={}))
    assert inside.page(path).status in (302, 303)
    assert [enter(lab, card)[1].status for card in cards] == [401, 401]
    assert other.page(path).status == 200
    assert "stays" in other.page(path).text
    assert lab.audit(action="cards_revoked", entity_id=str(number_of(path)))
    stranger = facilitator(lab)
    assert stranger.act("POST", f"{path}/cards/{batch}/revoke", form={}).status == 403


@pytest.mark.requirement("S2-038", "S2-068", "C-06")
def test_cards_expire_with_their_role(bench: Bench) -> None:
    """After its days a card opens nothing, and a session that it opened has ended; more than 90 days are
    refused."""
    with bench.laboratory() as lab:
        lead = facilitator(lab)
        path = planned(lead)
        cards, _ = make(lead, path, 1, days=1)
        inside, reply = enter(lab, cards[0])
        assert reply.status == 200
        for days in (0, 91, -1, "x"):
            form = {"batch": "x" * 22, "count": 1, "days": days}
            assert lead.act("POST", f"{path}/cards", form=form).status == 422
        lab.clock.advance(86400 + 1)
        assert inside.page(path).status in (302, 303)
        assert enter(lab, cards[0])[1].status == 401


def test_deleting_a_planning_ends_its_cards(lab: Laboratory) -> None:
    """Nobody is left with a token that opens nothing."""
    lead = facilitator(lab)
    path = planned(lead, title="Gone with its cards")
    cards, _ = make(lead, path, 1)
    inside, _ = enter(lab, cards[0])
    done(lead.act("POST", f"{path}/state", form={"state": "closed"}))
    done(lead.act("POST", f"{path}/delete", form={"title": "Gone with its cards"}))
    assert lab.whoami(inside).status == 401
    assert enter(lab, cards[0])[1].status == 401


def test_whoever_makes_a_planning_hosts_it_and_no_other(lab: Laboratory) -> None:
    """The role of a host is given for one planning, by making it; nobody gives cards for somebody else's."""
    lead, other = facilitator(lab), facilitator(lab)
    path = planned(lead)
    with lab.site.house.store.reading() as connection:
        held = assignments.of_users(connection, [lead.id])[lead.id]
    assert ("host", f"planning:{number_of(path)}") in {(each.role, each.scope) for each in held}
    form = {"batch": "y" * 22, "count": 1, "days": 1}
    assert other.act("POST", f"{path}/cards", form=form).status == 403
    assert participant(lab, number_of(path)).act("POST", f"{path}/cards", form=form).status == 403


@pytest.mark.requirement("S2-007", "S2-072", "S2-082")
def test_cards_are_made_five_times_an_hour(bench: Bench) -> None:
    """The sixth batch within an hour is refused with 429, and the next hour goes on."""
    with bench.laboratory() as lab:
        lead = facilitator(lab)
        path = planned(lead)
        with lab.paced():
            statuses = [
                lead.act("POST", f"{path}/cards", form={"batch": f"{n:022d}", "count": 1, "days": 1}).status
                for n in range(6)
            ]
            assert statuses == [200] * 5 + [429]
            lab.clock.advance(3601)
            form = {"batch": f"{9:022d}", "count": 1, "days": 1}
            assert lead.act("POST", f"{path}/cards", form=form).status in (200, 302)


@pytest.mark.requirement("S2-006", "S2-071", "S2-082")
def test_nobody_tries_more_than_ten_tokens_a_minute(bench: Bench) -> None:
    """The eleventh attempt of an address within a minute is refused with 429; another address has its own
    ten."""
    with bench.laboratory() as lab, lab.paced():

        def attempt(peer: str) -> int:
            client = lab.visitor(peer=peer)
            headers = client.from_here
            return client.send("POST", lab.api("sign_in_token"), json={"token": "x"}, headers=headers).status

        assert [attempt("198.51.100.20") for _ in range(11)].count(429) == 1
        assert attempt("198.51.100.21") != 429
