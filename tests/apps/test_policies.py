"""What the published policies of the planner (S2) and the register (S3) say stands in their bylaw.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bylaw import policy as policies
from bylaw.controls import (
    CONTROLS,
    cookies,
    cors,
    email,
    headers,
    jwt,
    passwords,
    rate_limits,
    roles,
    sessions,
    signup,
    tokens,
)
from bylaw.errors import PolicyError
from bylaw.policy import Policy
from bylaw.verify.world import defaults

APPS = Path(__file__).resolve().parents[2] / "apps"
DAY = 86400


def policy_of(name: str, **environ: str) -> Policy:
    """An application's production policy, with a laboratory's variables."""
    given = {**defaults("sqlite:///unused.db"), "SMTP_URL": "smtps://mail.register.eu", **environ}
    return policies.load(APPS / name / "bylaw.toml", CONTROLS, given)


@pytest.fixture(scope="module")
def planner() -> Policy:
    return policy_of("planner")


@pytest.fixture(scope="module")
def register() -> Policy:
    return policy_of("projects")


def rates(policy: Policy) -> dict[str, list[str]]:
    """Limits by route, `*` for the others."""
    settings = policy.of(rate_limits.Settings)
    found = {"*": settings.default, **settings.routes}
    return {path: [str(rate) for rate in each] for path, each in found.items()}


# S2: the planner


@pytest.mark.requirement("S2-004", "S2-005", "S2-035", "S2-037", "S2-038", "C-06")
def test_the_planners_people_sign_in_with_tokens_alone(planner: Policy) -> None:
    """128 random bits or more, a prefix that scanners know, 90 days; the first one from the environment."""
    settings: Any = planner.of(tokens.Settings)
    assert tokens.used(planner)
    assert not passwords.on(planner)
    assert settings.bytes >= 16
    assert settings.lifetime == 90 * DAY
    assert not settings.never
    assert settings.bootstrap is not None
    assert not email.on(planner)


@pytest.mark.requirement("S2-006", "S2-069", "S2-071", "S2-073")
def test_the_planners_limits(planner: Policy) -> None:
    """Ten sign-ins a minute, 200 requests a day and 50 an hour of one address."""
    limits = rates(planner)
    assert any("day" in rate and "200" in rate for rate in limits["*"])
    assert any("hour" in rate and "50" in rate for rate in limits["*"])
    assert any("10" in rate and "minute" in rate for rate in limits["/auth/sign-in-token"])


@pytest.mark.requirement("S2-007", "S2-072")
def test_the_planner_makes_cards_five_times_an_hour(planner: Policy) -> None:
    """Making tokens for a workshop is limited to five times an hour."""
    assert any(
        "5" in rate and "hour" in rate
        for path, each in rates(planner).items()
        for rate in each
        if path != "*"
    )


@pytest.mark.requirement("S2-008", "S2-009", "S2-010", "S2-011", "C-09")
def test_the_planners_sessions(planner: Policy) -> None:
    """24 hours at most; SameSite=None, partitioned, for the frame of Hugging Face, and said to be below."""
    assert planner.of(sessions.Settings).absolute == DAY
    settings = planner.of(cookies.Settings)
    assert (settings.same_site, settings.partitioned) == ("None", True)
    assert any("huggingface.co" in each for each in planner.of(headers.Settings).frame_ancestors)
    assert ("cookies", "same_site") in {(name, below.key) for name, below, _ in planner.below_standard()}


@pytest.mark.requirement("S2-013", "S2-036", "S2-055", "S2-079")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FLASK_SECRET_KEY", ""),
        ("FLASK_SECRET_KEY", "your_secret_key_here"),
        ("FLASK_SECRET_KEY", "dev"),
        ("ADMIN_TOKEN", "ADMIN123"),
        ("ADMIN_TOKEN", "your_admin_token_here"),
        ("ADMIN_TOKEN", "admin"),
    ],
)
def test_the_planner_does_not_start_with_what_everybody_knows(variable: str, value: str) -> None:
    """Missing, short and published values refuse to start, and the message does not repeat them."""
    with pytest.raises(PolicyError) as refused:
        policy_of("planner", **{variable: value})
    assert variable in str(refused.value) or "bootstrap" in str(refused.value)
    assert not value or len(value) < 6 or value not in str(refused.value)


# S3: the register


@pytest.mark.requirement("S3-002", "S3-003", "S3-005", "S3-006", "S3-007", "C-03", "C-04")
def test_the_registers_passwords(register: Policy) -> None:
    """Argon2id above OWASP's minimum, eight characters, no composition rules, no early end."""
    settings = register.of(passwords.Settings)
    assert settings.hash == "argon2id"
    assert settings.argon2_memory >= 19 * 1024**2
    assert settings.min_length == 8
    assert settings.max_length >= 1024
    assert settings.composition == ()


@pytest.mark.requirement("S3-009", "S3-011", "S3-012", "S3-014")
def test_the_registers_tokens(register: Policy) -> None:
    """HS256 with a key of its own, good for 30 minutes."""
    settings: Any = register.of(jwt.Settings)
    assert jwt.used(register)
    assert (settings.algorithm, settings.lifetime) == ("HS256", 1800)


@pytest.mark.requirement("S3-019", "S3-020", "S3-021", "S3-031", "C-08")
def test_the_registers_roles(register: Policy) -> None:
    """admin may everything, a viewer reads, an editor writes what is his; who signs up is a viewer."""
    grants = register.of(roles.Settings).grants
    assert set(grants) == {"admin", "editor", "viewer"}
    assert list(grants["admin"]) == ["*"]
    assert all(each.endswith(":read") for each in grants["viewer"])
    writing = [each for each in grants["editor"] if not each.endswith(":read")]
    assert [each for each in writing if each.endswith((":update", ":delete"))] == []
    assert register.of(signup.Settings).role == "viewer"


@pytest.mark.requirement("S3-046", "S3-047", "S3-048", "S3-049", "S3-050")
def test_the_registers_origins(register: Policy) -> None:
    """The origins of the environment and no other, with cookies, four methods and two fields."""
    settings = register.of(cors.Settings)
    assert list(settings.origins) == ["https://frontend.lab"]
    assert settings.credentials
    assert set(settings.methods) - {"OPTIONS"} == {"GET", "POST", "PUT", "DELETE"}
    assert set(settings.headers) == {"Authorization", "Content-Type"}


@pytest.mark.requirement("S3-051")
def test_the_register_never_opens_to_everybody() -> None:
    """A star with credentials refuses to start."""
    with pytest.raises(PolicyError, match="BACKEND_CORS_ORIGINS|cors.origins"):
        policy_of("projects", BACKEND_CORS_ORIGINS="*")


@pytest.mark.requirement("S3-064", "C-01")
def test_the_registers_old_header_is_marked(register: Policy) -> None:
    """X-XSS-Protection keeps the published value, and is said to be below the standard."""
    assert register.of(headers.Settings).xss_protection == "1; mode=block"
    assert ("headers", "xss_protection") in {
        (name, below.key) for name, below, _ in register.below_standard()
    }
