"""Every attack that is written as data, on every way to put the gate around an application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bylaw.verify.laboratory import Bench
from tests.applications.stacks import FRAMEWORKS, TARGETS
from tests.attacks import interpreter
from tests.attacks.interpreter import Attempt

Case = tuple[Attempt, str]


def vectors(area: str) -> Callable[..., Any]:
    """One case for each try and each stack that it says something about."""
    cases = [
        pytest.param(attempt, stack, id=f"{attempt}-{stack}")
        for attack in interpreter.read(area)
        for attempt in attack.attempts
        for stack in (TARGETS if attempt.everywhere else FRAMEWORKS)
    ]
    return pytest.mark.parametrize(("attempt", "stack"), cases)


def play(stacks: dict[str, Bench], attempt: Attempt, stack: str) -> None:
    with stacks[stack].laboratory() as laboratory:
        interpreter.run(laboratory, attempt)


@pytest.mark.requirement("S1-034", "S1-035", "S1-037", "S1-038", "S1-040", "S1-041", "S2-016", "C-15", "C-17")
@vectors("csrf")
def test_csrf(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Another site has a visitor's browser send something, and nothing comes of it."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-003", "S1-010", "S1-011", "S3-006", "S3-030", "C-03", "C-11")
@vectors("passwords")
def test_passwords(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whatever somebody sends as a password, it opens nothing and costs nothing."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S2-004", "S2-005", "S2-040", "S2-065", "S2-066", "S2-067", "C-40", "C-41")
@vectors("tokens")
def test_tokens(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """A token counts in the body of one request, for what it was made for, and is shown nowhere again."""
    play(stacks, attempt, stack)


@pytest.mark.requirement(
    "S3-009", "S3-010", "S3-011", "S3-012", "S3-013", "S3-014", "S3-015", "S3-017", "S3-072", "C-05"
)
@vectors("jwt")
def test_jwt(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """A token that nobody here has made, or whose time is over, opens nothing; a refresh token works once."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S3-084", "S3-038", "C-40")
@vectors("api_keys")
def test_api_keys(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """A key opens what it was made for, in one header, and is made by nobody but its owner."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-003", "C-08", "C-41")
@vectors("enumeration")
def test_enumeration(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """No answer tells whose address has an account."""
    play(stacks, attempt, stack)


@pytest.mark.requirement(
    "S1-003",
    "S1-010",
    "S1-076",
    "S1-077",
    "S2-008",
    "S2-009",
    "S2-011",
    "S3-066",
    "S3-069",
    "C-32",
    "C-40",
)
@vectors("sessions")
def test_sessions(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """A cookie that was planted, copied, kept, expired or made up is nobody's."""
    play(stacks, attempt, stack)


@pytest.mark.requirement(
    "S1-010", "S1-027", "S1-028", "S1-030", "S1-032", "S1-033", "S1-112", "S3-031", "C-08"
)
@vectors("rbac")
def test_rbac(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Nobody gets a role, a field, an object, a route or a column that is not theirs."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S3-062", "S3-063", "S3-065", "C-36")
@vectors("headers")
def test_headers(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Every answer says what a browser and a cache may do with it, and nothing else gets in."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S3-052", "S3-053", "S3-055", "S3-062", "C-11", "C-23")
@vectors("errors")
def test_errors(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """No error says anything about the inside, and no error page runs what was sent."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-061", "S1-062", "S1-063", "S1-068", "S2-012", "C-07", "C-19")
@vectors("secrets")
def test_secrets(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Nothing that stands in somebody's documentation opens anything, and nothing secret is shown."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-047", "S1-051", "S1-053", "S1-054", "S1-059", "S3-046", "S3-051", "C-17", "C-18")
@vectors("cors")
def test_cors(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """A page of another site asks with the visitor's cookies, and reads nothing."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-094", "S2-015", "S3-006", "S3-026", "S3-030", "C-03")
@vectors("body")
def test_body(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """More than anybody needs, or what two programs read in two ways, is refused before it costs anything."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-091", "S1-092", "S1-093", "S1-094", "S1-096", "S2-074", "S2-076", "C-29")
@vectors("uploads")
def test_uploads(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """A file that is not what it says, or that nobody has asked for, comes to nothing."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-099", "S1-103", "S2-071", "C-12")
@vectors("limits")
def test_limits(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Somebody tries once more under another name: of himself, of the path, of the method."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-156", "C-12", "C-41")
@vectors("lockout")
def test_lockout(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Somebody guesses one account's password, in every spelling and at every door, and must wait."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-156", "S3-083")
@vectors("mfa")
def test_mfa(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whoever has the first factor gets nowhere without the second, whichever way he goes."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S3-083")
@vectors("passkeys")
def test_passkeys(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whoever has no passkey of an account neither uses, changes nor adds one, whatever he sends."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-082", "S1-083", "S1-084", "S2-020", "S3-085", "C-38")
@vectors("network")
def test_network(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Nobody is somewhere else, asks for another name or comes encrypted because a header says so."""
    with stacks[stack].laboratory() as laboratory, laboratory.fenced():
        interpreter.run(laboratory, attempt)


@pytest.mark.requirement("S1-021", "C-42")
@vectors("federated")
def test_federated(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Somebody answers what nobody asked, or has a visitor's browser begin what he did not want."""
    with stacks[stack].laboratory() as laboratory, laboratory.issuer():
        interpreter.run(laboratory, attempt)


@pytest.mark.requirement("S1-038", "S2-015", "S3-026")
@vectors("parsing")
def test_parsing(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """What two programs would read in two ways is refused, or read in one."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-159")
@vectors("outbound")
def test_outbound(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whatever address somebody gives, the application asks nobody whom only this machine may reach."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-038", "C-38")
@vectors("redirects")
def test_redirects(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whatever a request says of where to go, no answer leads to another site."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-106", "S1-107", "S1-109", "S3-036", "S3-037", "S3-038", "S3-056", "C-14")
@vectors("logs")
def test_logs(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whatever is sent, it writes no line of its own into the log, and no secret."""
    play(stacks, attempt, stack)


@pytest.mark.requirement(
    "S1-012", "S1-013", "S1-015", "S1-016", "S1-017", "C-34", "C-35", "C-38", "C-40", "C-41"
)
@vectors("reset")
def test_reset(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whoever has no link, or one of before, sets nobody's password; and asking tells nothing."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-038", "C-05", "C-08", "C-10", "C-40", "C-41")
@vectors("addresses")
def test_addresses(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """An address counts for whoever has its mailbox and the account, and for nobody who says so."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-088")
@vectors("exports")
def test_exports(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whatever is written into a text, an export of it runs nowhere."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-088", "C-29")
@vectors("imports")
def test_imports(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """An import is its owner's: whoever asks for it by an id that is not his is told nothing."""
    play(stacks, attempt, stack)
