"""Attacks on signing in with another provider, by way of a provider that exists only in the laboratory."""

from __future__ import annotations

from typing import Final

from bylaw.control import Probe
from bylaw.controls.federated.probes.accounts import (
    an_account_is_provider_and_subject,
    an_address_opens_nothing,
    only_its_owner_links_an_account,
)
from bylaw.controls.federated.probes.answers import (
    a_code_belongs_to_the_browser_that_asked,
    a_token_is_signed_by_its_issuer,
    a_token_of_another_sign_in_is_nobodys,
    an_answer_counts_once_in_its_own_browser,
    an_answer_is_not_repeated,
    what_is_asked_for_is_the_policys,
)

PROBES: Final[tuple[Probe, ...]] = (
    an_answer_counts_once_in_its_own_browser,
    a_token_of_another_sign_in_is_nobodys,
    a_token_is_signed_by_its_issuer,
    what_is_asked_for_is_the_policys,
    a_code_belongs_to_the_browser_that_asked,
    an_account_is_provider_and_subject,
    an_address_opens_nothing,
    only_its_owner_links_an_account,
    an_answer_is_not_repeated,
)
