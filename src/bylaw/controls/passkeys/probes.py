"""Attacks on the running application with an authenticator that lies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import passkeys
from bylaw.controls.passkeys import answers
from bylaw.keys import base64url

# What people and attackers do


def _asked(lab: Any, client: Any) -> dict[str, Any]:
    """The question to whatever passkey there is, as the sign-in page fetches it."""
    reply = client.send("POST", lab.api("passkey_sign_in_options"), headers=client.from_here, json={})
    if reply.code == passkeys.UNAVAILABLE.code:
        raise CouldNotLook("there are no passkeys here: app.base_url names an IP address")
    if reply.status != 200:
        raise Broken(f"the question to a passkey: {reply}")
    found: dict[str, Any] = reply.json()
    return found


def _answer(lab: Any, client: Any, credential: str) -> Any:
    return client.send(
        "POST", lab.api("passkey_sign_in"), headers=client.from_here, json={"credential": credential}
    )


def _sign_in(lab: Any, device: Any, **lies: Any) -> Any:
    """Sign in from a fresh browser; the reply."""
    visitor = lab.visitor()
    return _answer(lab, visitor, device.get(_asked(lab, visitor), **lies))


def _works(lab: Any, device: Any) -> None:
    reply = _sign_in(lab, device)
    if reply.status != 200:
        raise Broken(f"its owner cannot sign in: {reply}")


def _refused(what: str, reply: Any, *wanted: Any) -> None:
    codes = [each.code for each in wanted or (passkeys.NOT_ACCEPTED,)]
    if reply.code not in codes:
        raise Broken(f"{what}: {reply}, not {' or '.join(codes)}")
    if reply.status < 400:
        raise Broken(f"{what}: {reply}")


def _all_refused(lab: Any, device: Any, lies: Iterable[tuple[str, dict[str, Any]]]) -> int:
    count = 0
    for what, lie in lies:
        _refused(what, _sign_in(lab, device, **lie))
        count += 1
    _works(lab, device)
    return count


def _register(lab: Any, client: Any, device: Any, **lies: Any) -> Any:
    """Set up a passkey with an answer that is not true; the reply."""
    asked = client.act("POST", lab.api("passkey_add_options"), json={})
    if asked.status != 200:
        raise Broken(f"the question for a passkey: {asked}")
    return client.act(
        "POST", lab.api("passkey_add"), json={"credential": device.create(asked.json(), **lies)}
    )


def _listed(lab: Any, client: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(lab.api("passkeys")).json()["passkeys"]
    return found


# Probes


@probe("critical", "S3-083", "A083")
def an_answer_for_another_site_opens_nothing(lab: Any) -> str:
    """What a passkey said to a site that looks like this one, or in another site's frame, is refused here."""
    owner = lab.ordinary()
    device = lab.passkey(owner)
    origin, rp_id = lab.policy.app.origin, passkeys.rp_id(lab.policy)
    host = origin.partition("://")[2]
    parent = rp_id.partition(".")[2] or "test"
    lies: list[tuple[str, dict[str, Any]]] = [
        (f"origin {other}", {"origin": other})
        for other in (
            f"{origin}.evil.test",
            f"https://evil.test/{origin}",
            f"https://sub.{host}",
            f"{origin}:8444" if ":" not in host else f"{origin}1",
            f"{'http' if lab.policy.app.secure else 'https'}://{host}",
            f"{origin}/",
            origin.upper(),
            "null",
            "",
        )
    ]
    lies += [(f"the site {other}", {"rp_id": other}) for other in (parent, f"evil.{rp_id}", "evil.test")]
    lies += [
        ("another site's frame", {"says": {"crossOrigin": True}}),
        ("a frame of", {"says": {"topOrigin": "https://evil.test"}}),
        ("what a registration says", {"type": "webauthn.create"}),
    ]
    count = _all_refused(lab, device, lies)
    other = lab.ordinary()
    _refused(
        "a registration for another origin",
        _register(lab, other, lab.authenticator(), origin="https://evil.test"),
        passkeys.NOT_REGISTERED,
    )
    if _listed(lab, other):
        raise Broken("a passkey of another origin is registered")
    return f"{count} answers for other sites refused, the same passkey's true one taken"


@probe("critical", "S3-083")
def its_owner_must_be_verified(lab: Any) -> str:
    """A passkey that did not know its owner by PIN or biometric neither signs in nor is set up."""
    owner, other = lab.ordinary(), lab.ordinary()
    device = lab.passkey(owner)
    lies: list[tuple[str, dict[str, Any]]] = [
        ("nobody verified", {"verified": False}),
        ("nobody present", {"present": False}),
    ]
    _all_refused(lab, device, lies)
    for what, lie in lies:
        _refused(what, _register(lab, other, lab.authenticator(), **lie), passkeys.NOT_REGISTERED)
    if _listed(lab, other):
        raise Broken("a passkey is registered that did not verify anybody")
    return "signing in and setting up without verification or presence: refused"


@probe("critical", "S3-083", "A085")
def a_challenge_is_answered_once(lab: Any) -> str:
    """An answer counts once, in the browser that was asked, for what was asked, while it is waited for."""
    owner, thief = lab.ordinary(), lab.ordinary()
    device = lab.passkey(owner)
    visitor, name = lab.visitor(), "passkey"
    recorded = device.get(asked := _asked(lab, visitor))
    jar = dict(visitor.cookies)
    if not any(each.endswith(name) for each in jar):
        raise Broken("the question is bound to no browser: it sets no cookie")
    if _answer(lab, visitor, recorded).status != 200:
        raise Broken("its owner cannot sign in")
    again = lab.visitor()
    again.cookies.update(jar)
    _refused("the same answer again", _answer(lab, again, recorded), passkeys.EXPIRED)
    again.cookies.clear()
    again.cookies.update(jar)
    _refused("another answer to it", _answer(lab, again, device.get(asked)), passkeys.EXPIRED)
    stranger = lab.visitor()
    mine = _asked(lab, lab.visitor())
    _refused("without a question", _answer(lab, stranger, device.get(mine)), passkeys.EXPIRED)
    theirs = device.get(mine)
    _asked(lab, stranger)
    _refused("a question of another browser", _answer(lab, stranger, theirs))
    late = lab.visitor()
    asked = _asked(lab, late)
    lab.clock.advance(passkeys.TIMEOUT)
    _refused("too late", _answer(lab, late, device.get(asked)), passkeys.EXPIRED)
    # A question for one thing is none for another, in the same browser and session.
    asked = thief.act("POST", lab.api("passkey_add_options"), json={}).json()
    credential = {"credential": device.get({**asked, "rpId": asked["rp"]["id"]})}
    reply = thief.act("POST", lab.api("passkey_sign_in"), json=credential)
    _refused("a registration's question", reply, passkeys.EXPIRED)
    question = thief.act("POST", lab.api("passkey_sign_in_options"), json={}).json()
    made = {"credential": lab.authenticator().create({**asked, "challenge": question["challenge"]})}
    _refused("a sign-in's question", thief.act("POST", lab.api("passkey_add"), json=made), passkeys.EXPIRED)
    if _listed(lab, thief):
        raise Broken("a passkey is registered with a challenge that was made for signing in")
    return "twice, elsewhere, late, and for another purpose: refused"


@probe("critical", "S3-083", "A081")
def one_persons_passkey_is_nobody_elses(lab: Any) -> str:
    """A passkey opens its owner's account alone; nobody else renames, removes or registers it."""
    owner, thief = lab.ordinary(), lab.ordinary()
    device, own = lab.passkey(owner), lab.passkey(thief)
    theirs = device.credentials[0]
    _refused(
        "another account's handle",
        _sign_in(lab, own, user_handle=theirs.user_handle),
    )
    _refused("no handle at all", _sign_in(lab, own, user_handle=b""))
    _refused("another passkey's id", _sign_in(lab, own, id=theirs.id, user_handle=theirs.user_handle))
    passkey = _listed(lab, owner)[0]
    for action in ("rename", "remove"):
        wish = {"action": action, "passkey": passkey["id"], "name": "mine"}
        _refused(
            f"{action} of another's", thief.act("POST", lab.api("passkeys"), json=wish), passkeys.UNKNOWN
        )
    _refused(
        "registering another's credential",
        _register(lab, thief, lab.authenticator(), id=theirs.id),
        passkeys.NOT_REGISTERED,
    )
    if _listed(lab, owner) != [passkey]:
        raise Broken("the owner's passkey is another one now")
    _works(lab, device)
    return "handles, ids, renaming, removing and registering again: refused"


@probe("critical", "S3-083")
def the_signature_must_fit(lab: Any) -> str:
    """An answer that was changed, or signed by another key, is refused; so is a key that is too weak."""
    owner, other = lab.ordinary(), lab.ordinary()
    device = lab.passkey(owner)
    theirs = device.credentials[0]
    count = _all_refused(
        lab,
        device,
        [
            ("a changed signature", {"tampered": True}),
            ("another key's signature", {"credential": _forged(lab, theirs)}),
            ("a passkey that became one that is copied", {"eligible": True}),
            ("backed up, though it cannot be", {"backed_up": True}),
        ],
    )
    weak = {"RS256-1024": "a short key", "ES384": "an algorithm that was not asked for"}
    for algorithm, what in weak.items():
        forged = _register(lab, other, lab.authenticator(algorithm=algorithm))
        _refused(what, forged, passkeys.NOT_REGISTERED)
    for length in (8, answers.LONGEST_ID + 1):
        reply = _register(lab, other, lab.authenticator(id_bytes=length))
        _refused(f"an id of {length} bytes", reply, passkeys.NOT_REGISTERED)
    if _listed(lab, other):
        raise Broken("a passkey is registered that should not have been")
    return f"{count} changed answers, {len(weak)} weak keys and 2 ids refused"


def _forged(lab: Any, theirs: Any) -> Any:
    """A credential with everything of another but its key."""
    device = lab.authenticator()
    device.create(
        {"rp": {"id": theirs.rp_id}, "user": {"id": base64url(theirs.user_handle)}, "challenge": "AA"},
        id=theirs.id,
    )
    device.credentials[0].counter = theirs.counter
    return device.credentials[0]


@probe("high", "S3-083", "A087")
def a_copied_passkey_is_noticed(lab: Any) -> str:
    """A counter that does not grow is recorded, and refused where the policy says so; 0 stays allowed."""
    owner = lab.ordinary()
    device = lab.passkey(owner)
    refuse = lab.policy.of(passkeys.Settings).counter == "refuse"
    _sign_in(lab, device, counter=10)
    for counter in (10, 9, 0):
        reply = _sign_in(lab, device, counter=counter)
        if (reply.status != 200) != refuse:
            raise Broken(f"counter {counter} after 10: {reply}")
    alarms = lab.audit(action="authn_passkey_copied", entity_id=owner.id)
    if len(alarms) != 3:
        raise Broken(f"{len(alarms)} records of three counters that did not grow")
    if _sign_in(lab, device, counter=11).status != 200:
        raise Broken("a counter that has grown is refused")
    synced = lab.passkey(lab.ordinary(), lab.authenticator(step=0, eligible=True, backed_up=True))
    for _ in range(2):
        _works(lab, synced)
    return f"10, 9 and 0 after 10: {'refused' if refuse else 'taken'} and recorded; 11, and always 0: taken"


@probe("high", "C-41", "S3-083")
def strangers_learn_nothing(lab: Any) -> str:
    """Nobody is told which passkeys there are, and one that opens nothing gets one answer, whyever."""
    gone, shut, owner = lab.ordinary(), lab.ordinary(), lab.ordinary()
    devices = {"an unknown passkey": lab.authenticator()}
    for what, client in (("a removed one", gone), ("one of a shut account", shut)):
        devices[what] = lab.passkey(client)
    visitor = lab.visitor()
    asked = _asked(lab, visitor)
    if asked.get("allowCredentials"):
        raise Broken("the question names passkeys to a stranger")
    devices["an unknown passkey"].create(
        {"rp": {"id": asked["rpId"]}, "user": {"id": "AAAA"}, "challenge": asked["challenge"]}
    )
    wish = {"action": "remove", "passkey": _listed(lab, gone)[0]["id"]}
    lab.passkey(gone)  # nobody's last way in can be removed
    reply = gone.act("POST", lab.api("passkeys"), json=wish)
    if reply.status != 200:
        raise Broken(f"nobody can remove a passkey: {reply}")
    lab.disable(shut)
    seen = {what: _shape(_sign_in(lab, device)) for what, device in devices.items()}
    seen["a wrong signature"] = _shape(_sign_in(lab, lab.passkey(owner), tampered=True))
    first, expected = next(iter(seen.items()))
    for what, shape in seen.items():
        if shape != expected:
            raise Broken(f"{what}: {shape}; {first}: {expected}")
    if expected[0] != passkeys.NOT_ACCEPTED.status:
        raise Broken(f"{first}: {expected}")
    return f"{len(seen)} causes, one answer"


def _shape(reply: Any) -> tuple[Any, ...]:
    """What an answer tells: without what is another one each time."""
    body = {k: v for k, v in reply.json().items() if k not in ("instance", "request_id")}
    headers = sorted(key.lower() for key, _ in reply.headers)
    cookies = sorted(cookie.partition("=")[0] for cookie in reply.all("set-cookie"))
    return reply.status, body, headers, cookies


@probe("critical", "S3-083", "A074")
def whoever_owes_it_must_show_it(lab: Any) -> str:
    """The password alone opens nothing and adds no passkey; the account's own passkey lets its owner on."""
    owner, thief = lab.ordinary(), lab.ordinary()
    device, own = lab.passkey(owner), lab.passkey(thief)
    owner.cookies.clear()
    lab.open_session(owner, assurance=1)
    owner.token_page = lab.url("second_factor")
    if lab.whoami(owner).status != 401:
        raise Broken("the password alone signs in, though the account has a passkey")
    for name in ("passkey_add_options", "passkeys"):
        body = {} if name == "passkey_add_options" else {"action": "remove", "passkey": "x"}
        reply = owner.act("POST", lab.api(name), json=body)
        if reply.status != 401:
            raise Broken(f"{name} with the password alone: {reply}")
    asked = owner.act("POST", lab.api("passkey_proof_options"), json={})
    if asked.status != 200:
        raise Broken(f"the question to one's own passkeys: {asked}")
    allowed = {each["id"] for each in asked.json()["allowCredentials"]}
    if allowed != {base64url(device.credentials[0].id)}:
        raise Broken("the question names other passkeys than the account's own")
    credential = own.get(asked.json(), credential=own.credentials[0])
    reply = owner.act("POST", lab.api("passkey_proof"), json={"credential": credential})
    _refused("another account's passkey", reply)
    asked = owner.act("POST", lab.api("passkey_proof_options"), json={}).json()
    reply = owner.act("POST", lab.api("passkey_proof"), json={"credential": device.get(asked)})
    if reply.status != 200 or lab.whoami(owner).status != 200:
        raise Broken(f"the account's own passkey: {reply}")
    return "the password alone opens nothing and adds nothing; with the account's own passkey it goes on"


PROBES: Final = (
    an_answer_for_another_site_opens_nothing,
    its_owner_must_be_verified,
    a_challenge_is_answered_once,
    one_persons_passkey_is_nobody_elses,
    the_signature_must_fit,
    a_copied_passkey_is_noticed,
    strangers_learn_nothing,
    whoever_owes_it_must_show_it,
)
