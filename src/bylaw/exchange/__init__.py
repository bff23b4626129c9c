"""One request and its response as framework-neutral facts: the type that Python lacks."""

from __future__ import annotations

from bylaw.exchange.head import Depart, Head, HeaderBlock, HeaderName, NumberBlock, RawHead, TextHead
from bylaw.exchange.headers import EnvironHeaders, HeaderNames, Headers, Malformed, PairHeaders, RawHeaders
from bylaw.exchange.request import SAFE_METHODS, Exchange, Forwarded, Meter, current, enter, leave
from bylaw.exchange.verdicts import (
    ALLOW,
    BLOCK,
    Allow,
    Answer,
    Block,
    Build,
    Deciding,
    Need,
    Peek,
    Read,
    Refuse,
    Response,
    Step,
    Verdict,
    for_unsafe,
    idle,
)

__all__ = [
    "ALLOW",
    "BLOCK",
    "SAFE_METHODS",
    "Allow",
    "Answer",
    "Block",
    "Build",
    "Deciding",
    "Depart",
    "EnvironHeaders",
    "Exchange",
    "Forwarded",
    "Head",
    "HeaderBlock",
    "HeaderName",
    "HeaderNames",
    "Headers",
    "Malformed",
    "Meter",
    "Need",
    "NumberBlock",
    "PairHeaders",
    "Peek",
    "RawHead",
    "RawHeaders",
    "Read",
    "Refuse",
    "Response",
    "Step",
    "TextHead",
    "Verdict",
    "current",
    "enter",
    "for_unsafe",
    "idle",
    "leave",
]
