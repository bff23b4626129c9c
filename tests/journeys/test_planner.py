"""The planner in a browser: a facilitator at a laptop, two participants on their phones, a room that watches,
and all of it inside another site's frame."""

from __future__ import annotations

import csv
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import Browser, Page

from apps import planner as planner_application
from bylaw import ports
from bylaw.controls import secrets as keys
from bylaw.store import migrate
from bylaw.store.engine import connect
from bylaw.verify import live
from bylaw.verify.fakes import Mailbox
from bylaw.verify.world import environment
from tests.journeys.conftest import Visit, _chromium
from tests.journeys.served import Served, _wsgi, serve
from tests.journeys.visitor import DESKTOP, PHONE, Visitor

SQUARE = "What shall our square be like?"
PROJECTOR = {"width": 1920, "height": 1080}


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The planner with its sample data."""
    with serve(planner_application.create_app, tmp_path_factory.mktemp("planner")) as served:
        planner_application.sample(served.bylaw)
        yield served


def axe(page: Page) -> list[str]:
    """What axe finds serious or worse, by day and by night."""
    page.evaluate(AXE_SCRIPT)
    found = []
    # What another colour scheme can change; all other rules judge the same document.
    for scheme, rules in (("light", "{}"), ("dark", "{runOnly: ['color-contrast']}")):
        page.emulate_media(color_scheme=scheme)
        page.evaluate("Promise.all(document.getAnimations().map(each => each.finished))")
        result = page.evaluate(f"axe.run(document, {{resultTypes: ['violations'], ...{rules}}})")
        found += [
            f"{scheme}: {each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for each in result["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]
    page.emulate_media(color_scheme="light")
    return found


def tokens_of(visitor: Visitor) -> list[str]:
    """What stands on the cards that a page shows."""
    return [text.strip() for text in visitor.page.locator(".token code").all_inner_texts()]


def make_planning(lead: Visitor, title: str) -> str:
    """A planning with a plan, prepared by its facilitator; its path."""
    lead.go("/")
    lead.follow("New planning")
    lead.fill("Title", title)
    lead.fill("Prompt", "Say what is missing.")
    lead.page.get_by_label("Plan or map").select_option(label="A street with houses")
    lead.page.get_by_label("Participants may place").check()
    assert lead.press("Prepare") == 200
    found = re.search(r"/plannings/\d+", lead.path)
    assert found
    return found[0]


def enter(visit: Visit, planner: Served, token: str, **how: Any) -> Visitor:
    """Somebody on a phone who types what stands on a card."""
    phone = visit(planner, viewport=PHONE, **how)
    phone.go("/")
    if "sign-in-token" not in phone.path:
        phone.go(planner.page("sign_in_token"))
    phone.fill("Access token", token)
    assert phone.press("Sign in with the token") == 200
    return phone


@pytest.mark.requirement("S2-004", "S2-007", "S2-065", "S2-066", "S2-067")
def test_a_planning_from_its_first_word_to_the_export(planner: Served, visit: Visit, tmp_path: Path) -> None:
    """A facilitator prepares, prints cards and opens; two phones contribute, support and place; he closes,
    exports and deletes. No page of it needs a script."""
    lead = visit(planner, planner.person("facilitator", name="Fanny Facilitator"))
    path = make_planning(lead, "Our street, next year")

    lead.follow("Participants")
    lead.fill("Cards", "2")
    lead.picture("planner-participants")
    assert lead.press("Make the cards") == 200
    lead.picture("planner-cards")
    cards = tokens_of(lead)
    assert len(set(cards)) == 2
    lead.page.reload()  # the browser would ask, and send the form once more
    assert "shown already" in lead.text
    assert tokens_of(lead) == []
    lead.go(f"{path}/run")
    assert lead.press("Open") == 200

    ada, ben = (enter(visit, planner, card) for card in cards)
    assert ada.path == ben.path == path  # there is but one for them
    ada.page.get_by_label("Problem", exact=True).check()
    ada.fill("In your words", "Cars park on the crossing.")
    ada.picture("planner-phone-form")
    assert ada.press("Contribute") == 200
    ada.follow("Place on the plan: Cars park on the crossing.")
    ada.picture("planner-phone-place")
    picture = ada.page.locator("input[type=image]:visible")
    assert picture.count() == 1
    box = picture.bounding_box()
    assert box
    with ada.page.expect_navigation():
        picture.click(position={"x": box["width"] * 0.6, "y": box["height"] * 0.5})
    assert "square H5" in ada.text or "square H4" in ada.text
    ada.picture("planner-phone-plan")

    ben.go(path)
    support = ben.page.get_by_role("button", name=re.compile("^Support"))
    with ben.page.expect_navigation():
        support.click()
    assert ben.page.get_by_role("button", name=re.compile("^Supported · 1")).count() == 1
    ben.fill("In your words", "=HYPERLINK(1) <b>benches</b>")
    assert ben.press("Contribute") == 200
    ben.picture("planner-phone-list")
    said = ben.page.locator("p.prose").filter(has_text="=HYPERLINK(1) <b>benches</b>")
    assert said.count() == 1
    assert not ada.is_wider_than_the_screen
    assert not ben.is_wider_than_the_screen

    lead.go(f"{path}/run")
    row = lead.page.get_by_role("listitem").filter(has_text="HYPERLINK")
    row.get_by_text("Hide", exact=True).first.click()
    row.get_by_label("Why?").fill("No advertisements")
    with lead.page.expect_navigation():
        row.get_by_role("button", name="Hide", exact=True).click()
    ada.go(path)
    assert "HYPERLINK" not in ada.text
    ben.go(path)
    assert "Hidden from others: No advertisements" in ben.text

    lead.go(f"{path}/run")
    lead.picture("planner-moderate")
    with lead.page.expect_download() as download:
        lead.page.get_by_role("link", name="Export as CSV").click()
    download.value.save_as(tmp_path / "out.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8-sig"))))
    assert {row["text"] for row in rows} == {
        "Cars park on the crossing.",
        "'=HYPERLINK(1) <b>benches</b>",
    }
    assert lead.press("Close") == 200
    ada.go(path)
    assert "This planning is closed" in ada.text
    lead.page.get_by_text("Delete this planning").click()
    lead.fill("Type its title: Our street, next year", "Our street, next year")
    assert lead.press("Delete for good") == 200
    assert ada.go(path) in (200, 404)  # signed out with the card, or nothing there
    assert "Cars park" not in ada.text


def test_the_cards_fit_on_paper(planner: Served, visit: Visit) -> None:
    """Twelve cards are two pages of A4, ten and two, whole and in black on white even by night."""
    lead = visit(planner, planner.person("administrator"), script=True, color_scheme="dark")
    lead.go("/plannings/1/participants")
    lead.fill("Cards", "12")
    assert lead.press("Make the cards") == 200
    lead.page.emulate_media(media="print", color_scheme="dark")
    lead.page.set_viewport_size({"width": 718, "height": 1055})  # A4 within its margins, at 96 to the inch
    lead.picture("planner-cards-printed")
    cut = lead.page.evaluate(
        """() => [...document.querySelectorAll(".ticket")].filter(card =>
            [...card.querySelectorAll("*")].some(each =>
                each.getBoundingClientRect().bottom > card.getBoundingClientRect().bottom + 1)).length"""
    )
    assert cut == 0
    grounds = lead.page.evaluate(
        "[...document.querySelectorAll('.ticket')].map(each => getComputedStyle(each).backgroundColor)"
    )
    assert set(grounds) == {"rgb(255, 255, 255)"}
    pages = len(re.findall(rb"/Type\s*/Page\b", lead.page.pdf(prefer_css_page_size=True)))
    assert pages == 2


def test_a_card_that_was_photographed_signs_in_and_leaves_no_trace_in_the_address(
    planner: Served, visit: Visit
) -> None:
    """The code's link has the token behind the `#`: no server is told, and the address bar loses it."""
    lead = visit(planner, planner.person("administrator", name="Ada Min"))
    lead.go("/plannings/1/participants")
    lead.fill("Cards", "1")
    assert lead.press("Make the cards") == 200
    (card,) = tokens_of(lead)
    secret = re.sub(r"[\s-]", "", card)
    phone = visit(planner, script=True, viewport=PHONE)
    asked: list[str] = []
    phone.context.on("request", lambda request: asked.append(request.url))
    phone.page.goto(planner.bylaw.tokens.address(secret))
    phone.page.wait_for_function("!location.hash")
    phone.picture("planner-phone-entering")
    assert phone.press("Sign in with the token") == 200
    assert phone.path == "/plannings/1"
    assert not [url for url in asked if secret in url.partition("#")[0]]


def test_every_page_is_for_everybody(planner: Served, visit: Visit) -> None:
    """axe finds nothing serious by day or night, nothing is wider than a phone, nothing stands inline."""
    lead = visit(planner, planner.person("administrator", name="Ada Min"), script=True)
    wrong: list[str] = []
    for number, path in enumerate(
        (
            "/", "/plannings/new", "/plannings/1", "/plannings/1/plan",
            "/plannings/1/overview", "/plannings/1/run", "/plannings/1/participants", "/plannings/2/run",
            "/plannings/3", "/contributions/1/place", "/nothing-here", "/plannings/999",
        )
    ):  # fmt: skip
        for viewport in (DESKTOP, PHONE):
            lead.page.set_viewport_size(viewport)
            lead.go(path)
            if lead.is_wider_than_the_screen:
                wrong.append(f"{path} is wider than {viewport['width']}")
            lead.picture(f"planner-{number}-{viewport['width']}")
        wrong += [f"{path} {each}" for each in axe(lead.page)]
        if lead.page.locator("[style]:not([style='']), script:not([src]), [onclick]").count():
            wrong.append(f"{path} has style or script within")
    assert wrong == []


def test_the_charts_are_drawn_as_they_are_meant(planner: Served, visit: Visit) -> None:
    """The Content-Security-Policy does not take the charts their colours, and they are no larger than a
    screen."""
    room = visit(planner, planner.person("administrator"), script=True, viewport=PROJECTOR)
    room.go("/plannings/1/overview")
    room.page.wait_for_load_state("networkidle")
    room.picture("planner-projector")
    sizes = room.page.evaluate("[...document.querySelectorAll('img.chart')].map(i => i.naturalWidth)")
    assert sizes == [480, 480, 480]
    colours = room.page.evaluate(
        """() => {
            const image = document.querySelector("img.chart"), canvas = document.createElement("canvas");
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const data = context.getImageData(0, 0, canvas.width, canvas.height).data, seen = {};
            for (let at = 0; at < data.length; at += 4)
                if (data[at + 3] == 255) {
                    const key = [...data.slice(at, at + 3)].join();
                    seen[key] = (seen[key] || 0) + 1;
                }
            return Object.entries(seen).filter(([, count]) => count > 800).map(([key]) => key);
        }"""
    )
    assert {"27,94,140", "161,61,45"} <= set(colours)  # the first categories' own, in wide bars


def test_a_room_sees_what_comes_without_anybody_pressing_anything(planner: Served, visit: Visit) -> None:
    """The overview brings itself up to date, stops when told, and says so when it cannot."""
    room = visit(planner, planner.person("administrator"), script=True)
    room.page.clock.install()
    room.go("/plannings/3/overview")
    assert room.page.locator(".figures dd").first.inner_text() == "0"
    lead = visit(planner, planner.person("administrator"))
    lead.go("/plannings/3/run")
    if lead.page.get_by_role("button", name="Open", exact=True).count():
        assert lead.press("Open") == 200
    lead.go("/plannings/3")
    lead.fill("In your words", "More shade.")
    assert lead.press("Contribute") == 200
    with room.page.expect_response(re.compile("overview")):
        room.page.clock.run_for(15_100)
    room.page.locator(".figures dd", has_text="1").first.wait_for()
    room.page.get_by_role("button", name="Pause").press("Enter")
    assert "Paused." in room.text
    asked: list[str] = []
    room.page.on("request", lambda request: asked.append(request.url))
    room.page.clock.run_for(60_000)
    assert asked == []


# Inside another site's frame


def certificate(directory: Path, *names: str) -> ssl.SSLContext:
    """A certificate for these names that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "tls.txt"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@contextmanager
def behind_tls(context: ssl.SSLContext, port: int) -> Iterator[int]:
    """A port on which TLS ends, before the plain port of a server."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    over = threading.Event()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def answer(raw: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(raw, server_side=True) as outer,
            socket.create_connection(("127.0.0.1", port)) as inner,
        ):
            back = threading.Thread(target=pump, args=(inner, outer), daemon=True)
            back.start()
            pump(outer, inner)
            back.join(5)

    def accept() -> None:
        while not over.is_set():
            with suppress(OSError):
                raw, _ = listening.accept()
                threading.Thread(target=answer, args=(raw,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()


class OtherSite:
    """Another site's page with a frame in it."""

    def __init__(self) -> None:
        self.html = ""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [self.html.encode()]


@dataclass(frozen=True)
class Framed:
    """The planner in production over https, and two other sites: one may frame it, one may not."""

    planner: Served
    embedding: str
    stranger: str
    page: OtherSite


@pytest.fixture(scope="module")
def framed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Framed]:
    directory = tmp_path_factory.mktemp("framed")
    tls = certificate(directory, "planner.lab", "spaces.lab", "stranger.lab")
    made: Future[Any] = Future()
    other = OtherSite()
    with ExitStack() as stack:
        at, there = (stack.enter_context(live.wsgi(each, "https")) for each in (_wsgi(made), other))
        port, other_port = (stack.enter_context(behind_tls(tls, each.port)) for each in (at, there))
        url, embedding = f"https://planner.lab:{port}", f"https://spaces.lab:{other_port}"
        database = f"sqlite:///{directory / 'framed.db'}"
        variables = {
            "BYLAW_ENV": "production",
            "BASE_URL": url,
            "DATABASE_URL": database,
            "FLASK_SECRET_KEY": keys.new(),
            "EMBEDDING_SITE": embedding,
            "ADMIN_TOKEN": "",
        }
        engine = connect(database)
        migrate.upgrade(engine)
        planner_application.prepare_laboratory(engine)
        engine.dispose()
        mailbox = Mailbox()
        with environment(variables), ports.using(clock=time.time, mail=mailbox, environ=variables):
            app = planner_application.create_app()
        bylaw = app.extensions["bylaw"]
        bylaw.site.house.paced = False
        made.set_result(app)
        yield Framed(Served(url, app, bylaw, mailbox), embedding, f"https://stranger.lab:{other_port}", other)
        bylaw.site.close()


@pytest.fixture(scope="module")
def strict_browser(browser: Browser) -> Iterator[Browser]:
    """A browser that gives no other site's frame its ordinary cookies: what all of them will do one day."""
    made = browser.browser_type.launch(
        executable_path=_chromium(),
        args=["--test-third-party-cookie-phaseout", "--host-resolver-rules=MAP *.lab 127.0.0.1"],
    )
    yield made
    made.close()


@pytest.mark.requirement("S2-008", "S2-009", "S2-010", "C-09")
def test_a_participant_takes_part_inside_the_embedding_sites_frame(
    framed: Framed, strict_browser: Browser
) -> None:
    """In a frame of the embedding site, in a browser without third-party cookies: the partitioned cookie
    signs in there, and is not there for the same application on its own."""
    planner = framed.planner
    issued = planner.bylaw.tokens.issue_many(
        _everything(), 1, "participant", scope="planning:1", names=["Framed"], because="a journey"
    )
    framed.page.html = (
        f"<!doctype html><title>Spaces</title><iframe src='{planner.url}/' width=390 height=800></iframe>"
    )
    context = strict_browser.new_context(ignore_https_errors=True, viewport=DESKTOP)
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    page.goto(framed.embedding)
    frame = page.frame_locator("iframe")
    if frame.get_by_label("Access token").count() == 0:
        page.frames[1].goto(planner.url + planner.page("sign_in_token"))
    frame.get_by_label("Access token").fill(issued[0].secret)
    frame.get_by_role("button", name="Sign in with the token").click()
    frame.get_by_role("heading", name=SQUARE).wait_for()
    frame.get_by_label("In your words").fill("Said within a frame.")
    frame.get_by_role("button", name="Contribute").click()
    frame.get_by_role("status").wait_for()
    assert frame.locator("p.prose").filter(has_text="Said within a frame.").count() == 1
    _shot(page, "planner-framed")
    (cookie,) = [c for c in context.cookies() if c["name"] == planner.cookie]
    assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"]) == ("None", True, True)
    assert "spaces.lab" in str(cookie.get("partitionKey", ""))
    alone = context.new_page()
    alone.goto(f"{planner.url}/plannings/1")
    assert alone.locator("main").inner_text().startswith("Sign in")
    assert [c for c in complaints if "Content Security Policy" in c] == []
    context.close()


def _everything() -> Any:
    from bylaw.operations.administering import SYSTEM

    return SYSTEM


def _shot(page: Page, name: str) -> None:
    import os

    if os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png")


@pytest.mark.requirement("S2-010", "S2-016", "S2-060", "C-09", "C-15")
@pytest.mark.parametrize("who", ["embedding", "stranger"])
def test_no_other_site_acts_with_the_cookie_that_comes_along(
    framed: Framed, strict_browser: Browser, who: str
) -> None:
    """SameSite=None sends the session with a form of any site, the embedding one too: each is refused, and
    nobody but the embedding site shows the planner in a frame."""
    planner, site = framed.planner, getattr(framed, who)
    # A browser that still gives cookies to everybody: the attacker's best case.
    context = strict_browser.new_context(ignore_https_errors=True)
    person = planner.person("administrator")
    context.add_cookies(
        [
            {
                "name": planner.cookie,
                "value": planner.session(person),
                "url": planner.url,
                "secure": True,
                "httpOnly": True,
                "sameSite": "None",
            }
        ]
    )
    page = context.new_page()
    framed.page.html = (
        "<!doctype html><title>Lure</title>"
        f"<form method=post target=_top action='{planner.url}/plannings/1/state'>"
        "<input type=hidden name=state value=closed><button>Win a prize</button></form>"
    )
    page.goto(site)
    with page.expect_navigation() as arrived:
        page.get_by_role("button").click()
    answer = arrived.value
    assert answer is not None
    assert answer.status == 403
    assert planner.cookie in (
        answer.request.all_headers().get("cookie") or ""
    )  # it came along, and did nothing
    assert "another site" in page.locator("main").inner_text()
    framed.page.html = (
        f"<!doctype html><title>Frame</title><iframe src='{planner.url}/' width=390 height=600></iframe>"
    )
    page.goto(site)
    shown = urlsplit(page.frames[1].url).scheme == "https"
    assert shown is (who == "embedding")
    page.goto(f"{planner.url}/plannings/1")
    assert "Your contribution" in page.locator("main").inner_text()
    context.close()
