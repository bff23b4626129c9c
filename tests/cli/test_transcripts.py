"""What a person types and sees: see `transcript.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import transcript


@pytest.mark.parametrize("path", sorted(transcript.FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_commands_say_what_they_said(path: Path, project: Path) -> None:
    """Every answer, sentence of failure and exit code is the one that was read and found good."""
    expected = transcript.parse(path.read_text("utf-8"))
    for before, now in zip(expected, transcript.perform(expected, transcript.here), strict=True):
        assert before.output.strip("\n") == now.output.strip("\n"), before.command
        assert "Traceback" not in now.output


def test_a_masked_transcript_still_tells_commands_apart() -> None:
    """What differs each time has a name; what does not is compared letter by letter."""
    text = "root 8d1f4a70-36e9-4b5d-8f2a-4e70361b9d5c since 2026-11-21T03:28:49+00:00\n3 pass     10.1 s\n"
    assert transcript.masked(text) == "root <id> since <date>\n3 pass  <time>\n"
    assert transcript.matches("a … c\n…\nz\n", "a b c\nx\ny\nz\n")
    assert not transcript.matches("a … c\n", "a b d\n")
