"""The thread that reads the revocation feed is there for as long as the process is."""

from __future__ import annotations

import threading

import pytest

from bylaw.store.feed import Feed
from bylaw.testing import Laboratory


class Stumbling(Feed):
    """A feed that fails at its second reading in a way that no database fails, and goes on."""

    readings = 0
    gone_on = threading.Event()

    def read(self) -> None:
        super().read()
        self.readings += 1
        if self.readings == 2:
            raise AttributeError("partially initialized module")
        if self.readings == 4:
            self.gone_on.set()


@pytest.mark.requirement("S3-017", "C-05")
def test_a_reading_that_fails_is_not_the_last(flask_laboratory: Laboratory) -> None:
    """Whatever goes wrong at one reading, a session that is ended later is still heard of."""
    store = flask_laboratory.site.house.store
    feed = Stumbling(store.engine, store.memory, flask_laboratory.clock, 1)
    feed.follow()
    try:
        assert feed.gone_on.wait(30)
    finally:
        feed.stop()
    assert "is tried again" in flask_laboratory.logs.text
