"""File uploads at the gate: what a route declares, what a policy may say, and what a file may be called.

What is sent to it stands in tests/attacks/uploads.toml; what files are made of in tests/content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, File, UploadFile
from flask import Flask
from flask.views import MethodView
from hypothesis import given, settings
from hypothesis import strategies as st

from bylaw import content
from bylaw.adapters import wsgi
from bylaw.content.faults import FAULTS
from bylaw.controls import uploads
from bylaw.controls.body import streams
from bylaw.controls.uploads import names, reasons
from bylaw.errors import MisuseError, PolicyError
from bylaw.fastapi import Bylaw as FastBylaw
from bylaw.fastapi import Given, Public, Takes
from bylaw.flask import Bylaw as FlaskBylaw
from bylaw.flask import public, takes
from bylaw.reasons import Refused
from bylaw.routes import Routes, Taking, merged
from bylaw.site import Site
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.target import Target
from tests.attacks.specimens import form
from tests.controls.houses import Builder

KINDS = '[uploads]\nkinds = ["pdf", "png", "jpg", "csv", "xlsx"]\n'
MINIMAL = '[app]\nname = "Shop"\n'


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


# Names


@pytest.mark.requirement("S1-096")
@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("drawing.pdf", "drawing.pdf"),
        ("Drawing #3 [rev B] & notes (final).pdf", "Drawing #3 [rev B] & notes (final).pdf"),
        ("O'Brien, 50% off.png", "O'Brien, 50% off.png"),
        ("Prüfbericht Nr. 7.pdf", "Prüfbericht Nr. 7.pdf"),
        ("e\u0301.png", "\u00e9.png"),
        ("\U0001f600.png", "\U0001f600.png"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\x.png", "x.png"),
        ("C:\\fakepath\\x.png", "x.png"),
        ("\\\\server\\share\\x.png", "x.png"),
        ("%2e%2e%2fx.png", "_2e_2e_2fx.png"),
        ("a..b. .png", "a.b.png"),
        ("a\0b.png", "ab.png"),
        ("a\r\nb\tc.png", "ab c.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("a\u200b\ufeff\u00ad.png", "a.png"),
        ("\ud800.png", "file.png"),
        ("CON", "_CON"),
        ("con.png", "_con.png"),
        ("NUL .pdf", "_NUL.pdf"),
        ("COM1.csv.xlsx", "_COM1.csv.xlsx"),
        ("lpt\u00b3.png", "_lpt\u00b3.png"),
        ("CONIN$.png", "_CONIN$.png"),
        ("context.png", "context.png"),
        ("-rf.png", "_-rf.png"),
        ("a.png:stream", "a.png_stream"),
        ('a"<b>|?*.png', "a__b____.png"),
        ("  spaced   out .png", "spaced out.png"),
        ("a.png. . ", "a.png"),
        (".htaccess", "file.htaccess"),
        ("", "file"),
        (".", "file"),
        ("..", "file"),
        ("...///...", "file"),
    ],
)
def test_a_name_is_cleaned(given_name: str, shown: str) -> None:
    """What is left of a name can be shown, logged and saved anywhere, and names no other place."""
    assert names.cleaned(given_name) == shown


@pytest.mark.requirement("S1-096")
@settings(max_examples=300)
@given(
    st.text(max_size=300)
    | st.text("./\\:%CONcon\0\u202e \u00b9$-~aé日", max_size=40)
    | st.text("日a.", min_size=200)
)
def test_any_name_is_cleaned(text: str) -> None:
    """Whatever somebody calls a file: one printable line, no path, no device, and short."""
    shown = names.cleaned(text)
    assert shown.isprintable()
    assert shown == shown.strip()
    assert not re.search(r"[/\\:\0]|\.\.", shown)
    assert 0 < len(shown) <= names.LONGEST + 1
    assert len(shown.encode()) <= names.LONGEST_BYTES + 2
    assert not re.fullmatch(r"(?i)con|nul|prn|aux|com\d|lpt\d", shown.partition(".")[0].strip())
    assert names.cleaned(shown) == shown
    found = names.extension(text)
    assert not found or shown.lower().endswith(f".{found}")


@pytest.mark.requirement("S1-093")
@pytest.mark.parametrize(
    ("given_name", "extension"),
    [
        ("a.png", "png"),
        ("a.PnG", "png"),
        ("a.tar.gz", "gz"),
        ("dir/a.png", "png"),
        ("a.png.", ""),
        ("a.png ", ""),
        ("a.png\t", ""),
        ("a.png\0", ""),
        ("a.png\u200b", ""),
        ("a.pn\u0261", ""),
        ("a.\uff50\uff4e\uff47", ""),
        ("a.png:x", ""),
        ("a.png/", ""),
        (".png", ""),
        ("..png", ""),
        ("png", ""),
        ("a.", ""),
        ("a.waytoolong", ""),
        ("", ""),
    ],
)
def test_an_extension_is_clear_or_none(given_name: str, extension: str) -> None:
    """What another system would see another extension in has none here."""
    assert names.extension(given_name) == extension


# The rule


@pytest.mark.requirement("S1-092", "S1-093", "S2-075", "C-29")
@pytest.mark.parametrize(
    ("name", "claim", "kinds", "code"),
    [
        ("a.pdf", "application/pdf", (), ""),
        ("a.pdf", "Application/PDF", (), ""),
        ("a.pdf", "", (), ""),
        ("a.pdf", "application/octet-stream", (), ""),
        ("a.csv", "text/csv; charset=utf-8", (), ""),
        ("a.csv", 'text/csv; charset="UTF-8"', (), ""),
        ("a.csv", "application/vnd.ms-excel", (), ""),
        ("a.jpg", "image/jpeg", (), ""),
        ("a.jpeg", "image/jpeg", (), "uploads.extension"),
        ("a.gif", "image/gif", (), "uploads.extension"),
        ("a.svg", "image/svg+xml", (), "uploads.extension"),
        ("a.html", "text/html", (), "uploads.extension"),
        ("a.pdf", "application/pdf", ("png",), "uploads.extension"),
        ("a.png", "image/png", ("png",), ""),
        ("a.png", "image/png", ("gif",), "uploads.extension"),
        ("a", "application/pdf", (), "uploads.extension"),
        ("a.php.pdf", "application/pdf", (), "uploads.extension"),
        ("a.PHP5.pdf", "application/pdf", (), "uploads.extension"),
        ("a.phps.pdf", "application/pdf", (), "uploads.extension"),
        ("a.ashx.pdf", "application/pdf", (), "uploads.extension"),
        ("a.\uff4asp.pdf", "application/pdf", (), "uploads.extension"),
        ("a.cer.pdf", "application/pdf", (), ""),
        ("a.html\0.pdf", "application/pdf", (), "uploads.extension"),
        ("acme.com.pdf", "application/pdf", (), ""),
        ("v1.2.final.pdf", "application/pdf", (), ""),
        ("a.pdf", "image/png", (), "uploads.media_type"),
        ("a.pdf", "application/pdf; charset=utf-8", (), "uploads.media_type"),
        ("a.png", "image/png;x=text/html", (), "uploads.media_type"),
        ("a.png", "image/png, text/html", (), "uploads.media_type"),
        ("a.csv", "text/csv; charset=utf-7", (), "uploads.media_type"),
        ("a.csv", "text/html", (), "uploads.media_type"),
        ("a.csv", "; charset=utf-8", (), "uploads.media_type"),
    ],
)
def test_name_and_claim_agree(
    builder: Builder, name: str, claim: str, kinds: tuple[str, ...], code: str
) -> None:
    """The policy's list, narrowed by the route's, decides about the extension; the claim belongs to it."""
    policy = builder.policy(KINDS)
    if code:
        with pytest.raises(Refused) as refused:
            uploads.judge(policy, name, claim, kinds)
        assert refused.value.reason.code == code
        assert refused.value.detail
    else:
        judged = uploads.judge(policy, name, claim, kinds)
        assert judged.extension == name.rpartition(".")[2]
        assert judged.kind in content.KINDS


@pytest.mark.requirement("S2-074")
def test_no_kind_is_taken_by_default(builder: Builder) -> None:
    """Where the policy says nothing, nothing comes in, whatever it is."""
    with pytest.raises(Refused) as refused:
        uploads.judge(builder.policy(), "a.pdf", "application/pdf")
    assert (refused.value.reason.status, refused.value.detail) == (415, "None is taken here.")


def test_every_fault_has_its_reason() -> None:
    """Whatever the look into a file finds, there is a code, a status and a sentence for it."""
    for code, sentence in FAULTS.items():
        reason = reasons.of(code)
        assert (reason.code, reason.title) == (f"uploads.{code}", sentence)
        assert reason.status in (415, 422)
        assert code in reasons._HELP, code
    with pytest.raises(LookupError):
        reasons.of("nothing of the kind")


def test_limits_are_the_policys(builder: Builder) -> None:
    """What the policy says of pixels and archives is what content is examined by."""
    text = '[uploads]\npixels = 7\nentries = 8\nunpacked = "9MB"\nratio = 10\n'
    found = uploads.limits(builder.policy(text).of(uploads.Settings))
    assert (found.pixels, found.entries, found.unpacked, found.ratio) == (7, 8, 9 * 1024 * 1024, 10)


# The policy


@pytest.mark.requirement("S1-093", "S2-078", "C-29")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kinds = ["pdf", "docm"]', 'no kind of file is called "docm"'),
        ('kinds = [".pdf"]', 'no kind of file is called ".pdf"'),
        ('storage = "s3://"', "it names no bucket"),
        ('storage = "ftp://host/x"', "nothing is known of such a storage"),
        ('storage = ""', "too short"),
        ('endpoint = "https://s3.example"', "a directory has no endpoint"),
        ('storage = "s3://b"\naccess_key = "env:KEY?"\nsecret_key = "env:S"', "S"),
        ("size = 0", "too small"),
        ("pixels = 0", "too small"),
        ("ratio = 1", "too small"),
        ("virus = 1", "no such key"),
        ('[[uploads.routes]]\npath = "/a"', "uploads.kinds is empty"),
        ('[[uploads.routes]]\npath = "/a?b"', "not of this form"),
        ('[[uploads.routes]]\npath = "/a"\nfields = []', "too short"),
        ('[[uploads.routes]]\npath = "/a"\nmethods = ["GET"]', "POST"),
        ('kinds = ["pdf"]\n[[uploads.routes]]\npath = "/a"\nkinds = ["png"]', ".png is not in uploads.kinds"),
        (
            'kinds = ["pdf"]\n[[uploads.routes]]\npath = "/a"\n[[uploads.routes]]\npath = "/a"',
            "/a comes twice",
        ),
        ("off = true", "because"),
        ('[body]\noff = true\nbecause = "x"', "any route would take files"),
    ],
)
def test_what_cannot_be_kept_does_not_start(builder: Builder, text: str, said: str) -> None:
    """A kind that nobody can judge, a storage that is none, a path that says two things."""
    assert said in builder.refusal(f"[uploads]\n{text}\n")


def test_a_key_without_its_secret(builder: Builder) -> None:
    """Half of what a service asks for."""
    text = '[uploads]\nstorage = "s3://bucket"\naccess_key = "env:S3_KEY"\n'
    assert "key and secret go together" in builder.refusal(text, S3_KEY="a-key-of-a-test")


def test_what_is_below_the_standard_is_said(builder: Builder) -> None:
    """Off, or files of a gigabyte: allowed, and printed."""
    policy = builder.policy('[uploads]\noff = true\nbecause = "an appliance"\nsize = "1GB"\n')
    assert {below.key for section, below, _ in policy.below_standard() if section == "uploads"} == {
        "off",
        "size",
    }


def test_the_statement_says_what_is_taken(builder: Builder) -> None:
    """No kinds, a directory, a bucket: each policy's own sentences."""
    nothing = uploads.CONTROL.statement(builder.policy())
    assert nothing[-1] == "No route takes files: the policy names no kind of them."
    local = " ".join(uploads.CONTROL.statement(builder.policy(KINDS)))
    assert "`.pdf`, `.png`" in local
    assert "10 MB each" in local
    assert "`var/uploads`, outside of the application" in local
    remote = " ".join(
        uploads.CONTROL.statement(builder.policy(KINDS + 'reencode = true\nstorage = "s3://b/p"\n'))
    )
    assert "the bucket `s3://b/p`" in remote
    assert "are written anew" in remote


def test_what_is_missing_here_is_named(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extras the start says what to install, and only where files are taken."""

    def missing() -> None:
        raise ImportError('pip install "bylaw[files]"')

    monkeypatch.setattr(content, "require", missing)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert list(uploads._start(builder.house())) == []
    found = list(uploads._start(builder.house(KINDS + 'storage = "s3://bucket"\n')))
    assert [conflict.accepted for conflict in found] == [
        'pip install "bylaw[files]"',
        'pip install "bylaw[s3]"',
    ]


# Declarations


def test_several_fields_are_one_declaration() -> None:
    """Their fields, all their kinds (where each names some), and as many files as all of them together."""
    one, two = Taking(frozenset({"a"}), ("pdf",), 1), Taking(frozenset({"b"}), ("png", "pdf"), 3)
    assert merged([]) is None
    assert merged([one, two]) == Taking(frozenset({"a", "b"}), ("pdf", "png"), 4)
    assert merged([one, Taking(frozenset({"c"}))]) == Taking(frozenset({"a", "c"}), (), 2)


@pytest.mark.requirement("S2-074", "S1-091")
def test_a_path_takes_what_the_nearest_entry_says(builder: Builder) -> None:
    """By path, for the methods named; what two programs could read in two ways takes nothing."""
    text = KINDS + "".join(
        f'[[uploads.routes]]\npath = "{path}"\nfields = ["{field}"]\n'
        for path, field in (("/lots/*", "any"), ("/lots/{id}/files", "one"))
    )
    takes_by_path = uploads.by_path(builder.policy(text + 'methods = ["PUT"]\n'))
    routes = Routes()
    routes.takes = takes_by_path

    def fields(method: str, path: str) -> set[str]:
        found = routes.at(method, path).files
        return set(found.fields) if found is not None else set()

    assert fields("POST", "/lots/4") == {"any"}
    assert fields("PUT", "/lots/4/files") == {"one"}
    for method, path in (
        ("POST", "/lots/4/files"),
        ("GET", "/lots/4"),
        ("POST", "/lots"),
        ("POST", "/LOTS/4"),
        ("POST", "//lots/4"),
        ("POST", "/lots/../lots/4"),
        ("POST", "/lots/4%2f"),
        ("POST", "/other"),
    ):
        assert fields(method, path) == set(), (method, path)


def _policy(folder: Path, text: str) -> Path:
    file = folder / "bylaw.toml"
    file.write_text(MINIMAL + text, "utf-8")
    return file


def _flask(folder: Path, text: str, declare: Callable[[Flask, FlaskBylaw], None]) -> Flask:
    app = Flask("shop")
    bylaw = FlaskBylaw(app, _policy(folder, text))
    declare(app, bylaw)
    bylaw.ready()
    return app


def _in_flask(app: Flask, bylaw: FlaskBylaw) -> None:
    @app.post("/lots/<int:number>")
    @public("for tests")
    @takes("drawing", kinds=("pdf",), most=2)
    @takes("photo", kinds=("png",))
    def lot(number: int) -> dict[str, Any]:
        found = {field: bylaw.files.given(field) for field in ("drawing", "photo")}
        return {
            field: [[g.name, g.media_type, list(g.kinds)] for g in given] for field, given in found.items()
        }

    @app.post("/wrong")
    @public("for tests")
    @takes("photo")
    def wrong() -> dict[str, Any]:
        with pytest.raises(MisuseError, match=r'@takes\("other"\)'):
            bylaw.files.given("other")
        return {}

    class Views(MethodView):
        decorators = (public("for tests"),)

        def post(self) -> dict[str, Any]:
            return {"given": len(bylaw.files.given("scan"))}

    view = takes("scan")(Views.as_view("views"))
    app.add_url_rule("/views", view_func=view)


def _in_fastapi(app: FastAPI) -> None:
    @app.post("/lots/{number}", dependencies=[Public("for tests")])
    def lot(
        number: int,
        drawing: Annotated[list[Given], Takes("drawing", kinds=("pdf",), most=2)],
        photo: Annotated[list[Given], Takes("photo", kinds=("png",))],
    ) -> dict[str, Any]:
        given = {"drawing": drawing, "photo": photo}
        return {
            field: [[g.name, g.media_type, list(g.kinds)] for g in found] for field, found in given.items()
        }


def _made(folder: Path, framework: str, text: str) -> Any:
    if framework == "flask":
        return _flask(folder, text, _in_flask)
    app = FastAPI()
    bylaw = FastBylaw(app, _policy(folder, text))
    _in_fastapi(app)
    bylaw.ready()
    return app


@pytest.fixture(scope="module", params=["flask", "fastapi"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """An application whose route takes two kinds of files in two fields."""
    folder = tmp_path_factory.mktemp(request.param)
    bench = Bench(Target(request.param, lambda: _made(folder, request.param, KINDS)))
    with bench.laboratory() as laboratory:
        yield laboratory
    bench.close()


def _send(laboratory: Laboratory, path: str, *files: dict[str, str]) -> Any:
    kind, body = form(files)
    visitor = laboratory.visitor()
    return visitor.act("POST", path, headers=[("Content-Type", kind)], body=body)


@pytest.mark.requirement("S1-091", "S2-074")
def test_a_view_gets_what_it_has_declared(shop: Laboratory) -> None:
    """Each field its files, with the kinds that may be in it; an empty field nothing; others never arrive."""
    drawing = {"field": "drawing", "holds": "pdf", "name": "d.pdf", "type": "application/pdf"}
    photo = {"field": "photo", "holds": "png", "name": "p.png"}
    reply = _send(shop, "/lots/4", drawing, drawing, photo)
    assert reply.status == 200, reply.text
    assert reply.json() == {
        "drawing": [["d.pdf", "application/pdf", ["pdf"]]] * 2,
        "photo": [["p.png", "", ["png"]]],
    }
    none = {"holds": "empty", "name": ""}
    reply = _send(shop, "/lots/4", drawing, {"field": "photo", **none}, {"field": "drawing", **none})
    assert (reply.status, len(reply.json()["drawing"]), reply.json()["photo"]) == (200, 1, [])
    assert _send(shop, "/lots/4", photo, photo, photo, photo).code == "uploads.too_many"
    assert _send(shop, "/lots/4", {**photo, "field": "other"}).code == "uploads.field"
    form_alone = shop.visitor().act("POST", "/lots/4", form={"a": "1"})
    assert form_alone.status == 200
    assert form_alone.json() == {"drawing": [], "photo": []}


def test_what_routes_declare_is_known(shop: Laboratory) -> None:
    """The list that the access matrix and the check show, by method and path as they are declared."""
    declared = shop.site.house.routes.files
    (path,) = {path for _, path in declared if "lots" in path}
    assert declared["POST", path] == Taking(frozenset({"drawing", "photo"}), ("pdf", "png"), 3) or declared[
        "POST", path
    ] == Taking(frozenset({"drawing", "photo"}), ("png", "pdf"), 3)
    body = streams.Files(frozenset({b"drawing", b"photo"}), 3, 10 * 1024 * 1024)
    assert body.most == declared["POST", path].most


def test_openapi_shows_files(tmp_path: Path) -> None:
    """A client generator sees a multipart form with binary fields."""
    folder = tmp_path
    bench = Bench(Target("fastapi", lambda: _made(folder, "fastapi", KINDS)))
    with bench.laboratory() as laboratory:
        app: Any = laboratory.app
        document = app.openapi()
    bench.close()
    content_of = document["paths"]["/lots/{number}"]["post"]["requestBody"]["content"]
    (name,) = re.findall(r"\w+$", content_of["multipart/form-data"]["schema"]["$ref"])
    properties = document["components"]["schemas"][name]["properties"]
    assert set(properties) == {"drawing", "photo"}
    items = properties["drawing"]["items"]
    assert items["type"] == "string"
    assert "binary" in (
        items.get("format"),
        items.get("contentMediaType", "").replace("application/octet-stream", "binary"),
    )
    assert "pdf" in properties["drawing"]["description"]


def test_views_of_flask_that_are_classes(tmp_path: Path) -> None:
    """A class of views takes files like a function; a field that is not declared is a mistake."""
    bench = Bench(Target("flask", lambda: _made(tmp_path, "flask", KINDS)))
    with bench.laboratory() as laboratory:
        assert _send(laboratory, "/views", {"field": "scan", "holds": "png", "name": "a.png"}).json() == {
            "given": 1
        }
        assert _send(laboratory, "/wrong", {"field": "photo", "holds": "png", "name": "a.png"}).status == 200
    bench.close()


@pytest.mark.requirement("S2-074", "C-29")
@pytest.mark.parametrize("framework", ["flask", "fastapi"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "takes files, and the policy takes none"),
        ('[uploads]\nkinds = ["pdf"]\n', "takes .png, and the policy does not"),
    ],
)
def test_a_route_that_takes_more_than_the_policy_does_not_start(
    tmp_path: Path, framework: str, text: str, said: str
) -> None:
    """A declaration that the policy does not cover is found at the start, and not by the first upload."""
    bench = Bench(Target(framework, lambda: _made(tmp_path, framework, text)))
    with pytest.raises((PolicyError, RuntimeError)) as refused, bench.laboratory() as laboratory:
        laboratory.visitor().get("/")
    assert said in str(refused.value)


@pytest.mark.requirement("S2-074")
def test_a_parameter_for_files_that_would_never_come(tmp_path: Path) -> None:
    """FastAPI's own `File()` beside the one way in: refused at the start, with what to write."""

    def made() -> FastAPI:
        app = FastAPI()
        bylaw = FastBylaw(app, _policy(tmp_path, KINDS))

        @app.post("/raw", dependencies=[Public("for tests")])
        def raw(picture: Annotated[UploadFile, File()]) -> None:
            """Never called."""

        bylaw.ready()
        return app

    with pytest.raises(PolicyError, match=r'Takes\("picture"'):
        Bench(Target("fastapi", made)).laboratory()


@pytest.mark.requirement("S2-074")
def test_a_path_that_nobody_may_call_takes_no_files(tmp_path: Path) -> None:
    """By path: an entry for what no access rule lets anybody call is a mistake in its path."""
    rules = '[[access.routes]]\npath = "/lots/{id}"\nmethods = ["POST"]\npublic = "the tests of uploads"\n'
    entry = '[[uploads.routes]]\npath = "/lots/{id}/files"\n'
    file = _policy(tmp_path, KINDS + entry + rules)
    with pytest.raises(PolicyError, match=r"nobody may call POST /lots/\{id\}/files") as told:
        Bench(Target("by path", lambda: _by_path(file))).laboratory()
    assert str(told.value).count("nobody may call") == 1


def _by_path(file: Path) -> Any:
    gated = wsgi.Gated(Flask("bare").wsgi_app, Site(file))
    gated.ready()
    return gated


def test_off_lets_everything_pass(builder: Builder) -> None:
    """Who switches it off has said so: forms bring what they bring, and `take` still judges."""
    from bylaw.controls import body

    policy = builder.policy('[uploads]\noff = true\nbecause = "an appliance"\n')
    forms = body.Forms(policy, body.Rules(policy), policy.of(body.Settings))
    free = forms.files(None)
    assert free is not None
    assert free.fields is None
