"""Damaged files of every kind: only facts or faults come out, soon. For longer: `python -m
tests.content.fuzz`.
"""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bylaw.content import FAULTS, KINDS
from tests.content import fuzz
from tests.content.corpus import Sample

FILES = fuzz.seeds()
QUICK = settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
SAID = {*FAULTS, "taken", "taken, not drawn"}


@QUICK
@given(st.sampled_from(FILES), st.integers(0, 2**32), st.sampled_from([None, *KINDS]))
def test_a_damaged_file_is_judged(sample: Sample, seed: int, kind: str | None) -> None:
    """A file with a few places changed is taken or has a fault; nothing else, and nothing takes long."""
    data = fuzz.damaged(sample, FILES, random.Random(seed))
    assert fuzz.judged(data, kind or sample.kind) in SAID


@QUICK
@given(st.binary(max_size=400), st.sampled_from(list(KINDS)), st.sampled_from(FILES))
def test_any_bytes_are_judged(data: bytes, kind: str, sample: Sample) -> None:
    """So are bytes of no kind, alone and behind the head of a kind."""
    assert fuzz.judged(data, kind) in SAID
    assert fuzz.judged(sample.data[:40] + data, sample.kind) in SAID
