"""Attacks on whose account a sign-in opens, and who may link one."""

from __future__ import annotations

import sys
from typing import Any

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import mfa, signup
from bylaw.controls.federated.probes.common import EVIL, arrive, demand_in, demand_nobody, opened, somebody


@probe("critical", "S1-022", "S1-024", "A027")
def an_account_is_provider_and_subject(lab: Any) -> str:
    """One account for each subject, of the policy's role, whatever address or role the provider names."""
    role = lab.policy.of(signup.Settings).role
    with opened(lab) as issuer:
        ann, bob = somebody(roles=["admin"], role="admin"), somebody()
        first, second = lab.visitor(), lab.visitor()
        for client, claims in ((first, ann), (second, bob)):
            demand_in(lab, client, arrive(lab, issuer, client, **claims))
        rows = {row["oauth_id"]: row["user_id"] for row in _rows(lab)}
        swapped = {**ann, "email": bob["email"]}
        again = lab.visitor()
        demand_in(lab, again, arrive(lab, issuer, again, **swapped))
        held = _session_user(lab, again)
        if held != rows.get(ann["sub"]) or len(_rows(lab)) != len(rows) or rows.get(bob["sub"]) == held:
            raise Broken("two people who swapped their addresses swapped their accounts")
        granted = _roles_of(lab, held)
        if granted != ({role} if role else set()):
            raise Broken(f"a new account has the roles {sorted(granted)}, not {role}")
    return f"2 subjects, 2 accounts, also with each other's address; role {role or 'none'}"


@probe("critical", "S1-023", "A024")
def an_address_opens_nothing(lab: Any) -> str:
    """Whoever has a provider name somebody's address gets no account of his, nor one by an unproven one."""
    with opened(lab) as issuer:
        victim = lab.ordinary()
        before = len(_rows(lab))
        seen = []
        for claims, statuses in (
            ({"email": victim.email, "email_verified": False}, (401, 403, 409)),
            ({"email": victim.email.upper(), "email_verified": True}, (401, 403, 409)),
            ({"email_verified": False}, (401, 403)),
            ({"email_verified": "true"}, (401, 403)),
            ({"email": ""}, (401, 403)),
        ):
            client = lab.visitor()
            reply = arrive(lab, issuer, client, **somebody(**claims))
            demand_nobody(lab, client, f"an account of {list(claims)}", reply, statuses)
            seen.append(str(reply))
        if len(_rows(lab)) != before:
            raise Broken("an account was linked")
    return ", ".join(dict.fromkeys(seen))


@probe("critical", "S1-021", "A032")
def only_its_owner_links_an_account(lab: Any) -> str:
    """Linking is begun by the owner's own page, with a proof of lately, and ended in the same session."""
    with opened(lab) as issuer:
        owner = lab.ordinary()
        page, api = lab.url("federated_accounts"), lab.api("federated_accounts")
        link = {"action": "link", "provider": "laboratory"}
        seen = {
            "a link of another site": owner.send(
                "GET", f"{page}?action=link&provider=laboratory", headers=[("Sec-Fetch-Site", "cross-site")]
            ),
            "a form of another site": owner.send(
                "POST", page, form=link, headers=[("Origin", EVIL), ("Sec-Fetch-Site", "cross-site")]
            ),
            "a form without its token": owner.send("POST", page, form=link, headers=owner.from_here),
        }
        for what, reply in seen.items():
            if "issuer-" in f"{reply.headers}" or issuer.asked:
                raise Broken(f"{what} begins linking: {reply}")
        query = issuer.consent(_begun(owner.act("POST", api, json=link)), **somebody())
        # The session ends before the answer comes: whoever is in front of the browser then is somebody else.
        left = {k: v for k, v in owner.cookies.items() if k != lab.cookie}
        owner.act("POST", lab.api("sign_out"), json={})
        owner.cookies = left
        reply = lab.come_back(owner, query)
        if reply.status < 400 or any(row["user_id"] == owner.id for row in _rows(lab)):
            raise Broken(f"linking goes on after signing out: {reply}")
        lab.open_session(owner)
        token = (owner.token_header, owner.token())
        lab.clock.advance(lab.policy.of(mfa.Settings).fresh + 1)
        if lab.whoami(owner).status != 200:
            raise CouldNotLook("a session ends before its proof is too old")
        late = owner.send("POST", api, headers=[*owner.from_here, token], json=link)
        if late.status != 401:
            raise Broken(f"linking with an old proof: {late}")
    return f"{len(seen)} forged beginnings, a session that ended, and an old proof ({late})"


def _begun(reply: Any) -> str:
    if reply.status != 200:
        raise CouldNotLook(f"linking cannot be begun: {reply}")
    return str(reply.json()["location"])


def _rows(lab: Any) -> list[Any]:
    """Every linked account."""
    table = sys.modules["bylaw.store.tables"].federated_accounts
    with lab.site.house.store.reading() as connection:
        return list(connection.execute(table.select()).mappings())


def _session_user(lab: Any, client: Any) -> str:
    digest = sys.modules["bylaw.keys"].digest(client.cookies[lab.cookie])
    with lab.site.house.store.reading() as connection:
        row = sys.modules["bylaw.store.sessions"].find(connection, digest)
    return row.user_id if row else ""


def _roles_of(lab: Any, user_id: str) -> set[str]:
    with lab.site.house.store.reading() as connection:
        user = sys.modules["bylaw.store.users"].by_id(connection, user_id)
    return set(user.roles) if user else set()
