"""Why a body, or what is said about one, is refused. Each is the sender's mistake, and none repeats it."""

from __future__ import annotations

from typing import Final

from bylaw.reasons import Reason

METHOD: Final = Reason(
    "body.method",
    405,
    "This method is not answered here.",
    "TRACE, TRACK and CONNECT have no business with an application; other methods are written in capital "
    "letters. One framework reads `get` as GET, another does not know it.",
)
HEADERS: Final = Reason(
    "body.headers_too_large",
    431,
    "The request's headers are too large.",
    "There are more header fields than body.headers, or they are longer together than body.header_size. "
    "A browser that keeps old cookies of this host has to drop them.",
)
ADDRESS: Final = Reason(
    "body.address_too_long",
    414,
    "The address is too long.",
    "Path and query together are longer than body.address. What is that long is sent with POST.",
)
RANGES: Final = Reason(
    "body.too_many_ranges",
    416,
    "Fewer ranges can be had at once.",
    "The Range header asks for more than ten ranges (RFC 9110 section 14.2 lets a server refuse that).",
)
LENGTH: Final = Reason(
    "body.length",
    400,
    "The length of the request is not clear.",
    "Content-Length is no number, or comes with Transfer-Encoding, or the transfer encoding is not "
    "`chunked`, or less arrived than was announced. A proxy and this server could take two requests for "
    "one (RFC 9112 section 11.2).",
)
UNEXPECTED: Final = Reason(
    "body.unexpected",
    400,
    "A request of this kind brings nothing along.",
    "GET, HEAD and OPTIONS with a body: it means nothing (RFC 9110 section 9.3.1), caches do not see it, "
    "and two programs on the way may disagree whether it is there.",
)
TOO_LARGE: Final = Reason(
    "body.too_large",
    413,
    "The request is too large.",
    "The body is longer than body.size, or than the size of its path in body.routes; or the text of a "
    "form is longer than body.form. The rest was not read.",
)
TYPE: Final = Reason(
    "body.unsupported_type",
    415,
    "This kind of content is not taken here.",
    "The content type is missing, unreadable, in another charset than UTF-8, or not in body.types or the "
    "types of its path in body.routes. Accept lists those that are.",
)
ENCODED: Final = Reason(
    "body.encoded",
    415,
    "Send it as it is, not compressed.",
    "A body with Content-Encoding may be a thousand times as large as it looks. Accept-Encoding says that "
    "none is taken (RFC 9110 section 12.5.3).",
)
JSON: Final = Reason(
    "body.not_json",
    400,
    "The body is not JSON.",
    "Not what RFC 8259 describes: cut off, NaN or Infinity, a comma too many, a byte order mark, two "
    "documents. Parsers that are lenient are so in different ways.",
)
TEXT: Final = Reason(
    "body.not_unicode",
    400,
    "There is text in it that is not Unicode.",
    "Bytes that are not UTF-8, half a surrogate pair, or letters that an urlencoded form holds as they are "
    "and not percent-encoded: each program on the way would read something else.",
)
TWICE: Final = Reason(
    "body.name_twice",
    400,
    "A name in it comes twice.",
    "A JSON object has a member twice. One parser takes the first, another the last (CVE-2017-12635).",
)
DEEP: Final = Reason(
    "body.too_deep",
    400,
    "It is nested too deeply.",
    "Objects and lists are nested deeper than body.depth.",
)
NUMBER: Final = Reason(
    "body.number_too_long",
    400,
    "There is a number in it that is too large.",
    "A number of more than 1,000 digits, or one that no float can hold: reading it takes time by the square "
    "of its length, or makes infinity of it.",
)
FIELDS: Final = Reason(
    "body.too_many_fields",
    400,
    "There are too many fields in it.",
    "A form or a query has more fields than body.fields.",
)
PARTS: Final = Reason(
    "body.too_many_parts",
    413,
    "There are too many parts in it.",
    "A multipart form has more parts (fields and files) than body.parts.",
)
FORM: Final = Reason(
    "body.not_a_form",
    400,
    "The form cannot be read.",
    "A multipart form without an end, with a bad boundary, with something before its first or after its "
    "last one, or a part whose headers are unclear, encoded or longer than 8 kB: two programs could read two "
    "forms of it (RFC 7578).",
)

REASONS: Final = (
    METHOD,
    HEADERS,
    ADDRESS,
    RANGES,
    LENGTH,
    UNEXPECTED,
    TOO_LARGE,
    TYPE,
    ENCODED,
    JSON,
    TEXT,
    TWICE,
    DEEP,
    NUMBER,
    FIELDS,
    PARTS,
    FORM,
)
