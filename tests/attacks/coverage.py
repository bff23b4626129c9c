"""The published attacks that these files answer, by area. The numbers are those of the public list."""

from __future__ import annotations

from typing import Final

IDS: Final[dict[str, tuple[str, ...]]] = {
    "passwords": ("A007", "A014"),
    "enumeration": ("A015", "A019", "A020"),
    "sessions": ("A034", "A036", "A038", "A039", "A042", "A044", "A045", "A046"),
    "rbac": ("A088", "A089", "A090", "A092", "A094", "A097"),
    "csrf": ("A098", "A099", "A100", "A102", "A104", "A107"),
    "headers": ("A130", "A132", "A135", "A136"),
    "errors": ("A184", "A186", "A188"),
    "secrets": ("A178", "A180", "A181", "A183"),
}
