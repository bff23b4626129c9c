"""The published attacks that these files answer, by area. The numbers are those of the public list."""

from __future__ import annotations

from typing import Final

IDS: Final[dict[str, tuple[str, ...]]] = {
    "body": ("A194", "A196", "A197", "A200"),
    "parsing": ("A194", "A197", "A200"),
    "passwords": ("A005", "A007", "A014", "A065", "A186"),
    "addresses": ("A010", "A013", "A019", "A066", "A088", "A102", "A104"),
    "enumeration": ("A015", "A019", "A020"),
    "sessions": ("A034", "A036", "A038", "A039", "A042", "A044", "A045", "A046"),
    "reset": ("A001", "A003", "A005", "A007", "A010", "A012", "A013", "A017", "A066", "A115", "A132", "A146"),
    "rbac": ("A088", "A089", "A090", "A092", "A094", "A097"),
    "csrf": ("A098", "A099", "A100", "A102", "A104", "A107"),
    "headers": ("A130", "A132", "A135", "A136"),
    "errors": ("A184", "A186", "A188"),
    "cors": ("A108", "A109", "A110", "A113"),
    "limits": ("A137", "A138"),
    "lockout": ("A141", "A143", "A145", "A146"),
    "jwt": ("A048", "A049", "A052", "A054", "A056", "A057", "A059", "A061", "A180"),
    "tokens": ("A062", "A065", "A066"),
    "api_keys": ("A067", "A068", "A071", "A072"),
    "federated": ("A021", "A023", "A024", "A027", "A028", "A029", "A030", "A032"),
    "mfa": ("A074", "A075", "A076", "A078", "A081"),
    "passkeys": ("A074", "A081", "A083", "A085", "A087"),
    "outbound": ("S1-159",),  # which the list does not have: the number of the requirement
    "network": ("A115", "A116", "A119", "A120", "A123", "A138"),
    "redirects": ("A124", "A125", "A127", "A129"),
    "logs": ("A172", "A174", "A176", "A177"),
    "uploads": ("A147", "A149", "A150", "A152", "A154", "A155", "A156", "A159"),
    "exports": ("A160",),
    "imports": ("A162", "A163", "A165"),
    "secrets": ("A178", "A180", "A181", "A183"),
}
