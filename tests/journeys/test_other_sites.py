"""What another site can make a visitor's browser do to MTC: nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bylaw.verify import live
from tests.journeys.conftest import Visit
from tests.journeys.served import Served

NAME = "Made by another site"
Lure = Callable[[str], None]
# Another site to the browser (its host is another), and another origin of the same site (only the port is):
# for the second one the session's cookie comes along.
HOSTS = ("localhost", "127.0.0.1")


class Elsewhere:
    """A site of somebody else's that shows one page."""

    page = ""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [self.page.encode()]


@pytest.fixture(params=HOSTS)
def elsewhere(request: pytest.FixtureRequest) -> Iterator[tuple[str, Elsewhere]]:
    site = Elsewhere()
    with live.wsgi(site) as at:
        yield f"http://{request.param}:{at.port}/", site


def named(mtc: Served, visit: Visit) -> int:
    """How many processes have the foreign site's name."""
    visitor = visit(mtc, mtc.person("user"))
    visitor.go(f"/processes?q={NAME}")
    return visitor.page.get_by_role("link", name=NAME, exact=True).count()


@pytest.mark.requirement("S1-038", "S1-039", "S1-046")
def test_a_form_on_another_site_changes_nothing(
    mtc: Served, visit: Visit, elsewhere: tuple[str, Elsewhere]
) -> None:
    """A signed-in manager clicks on a lure elsewhere: the form it sends to MTC is refused with 400."""
    address, site = elsewhere
    victim = visit(mtc, mtc.person("manager"), script=True)
    site.page = (
        f"<!doctype html><form method=post action='{mtc.url}/processes'>"
        f"<input type=hidden name=name value='{NAME}'><input type=hidden name=description>"
        "<button>Win a prize</button></form>"
    )
    victim.page.goto(address)
    assert victim.press("Win a prize", within="body") == 400
    assert "another site" in victim.text
    victim.picture("another-site")
    assert victim.go("/") == 200
    assert victim.heading == "Overview"
    assert named(mtc, visit) == 0


@pytest.mark.requirement("S1-040", "S1-041", "S1-046", "C-17")
def test_a_script_on_another_site_changes_nothing_where_no_token_is_asked_for(
    mtc: Served, visit: Visit, elsewhere: tuple[str, Elsewhere]
) -> None:
    """JSON dressed as text reaches the exempt API with the visitor's cookie, and is refused there too."""
    address, site = elsewhere
    victim = visit(mtc, mtc.person("manager"), script=True)
    site.page = (
        f"<!doctype html><form method=post enctype=text/plain action='{mtc.url}/api/upf/processes'>"
        f"""<input type=hidden name='{{"name": "{NAME}", "description": "' value='"}}'>"""
        "<button>Win a prize</button></form>"
    )
    victim.page.goto(address)
    assert victim.press("Win a prize", within="body") == 400
    victim.page.goto(address)
    seen = victim.page.evaluate(
        """async ([url, name]) => {
            const body = JSON.stringify({name: name, description: ""});
            const how = {method: "POST", credentials: "include", body: body};
            const json = {headers: {"Content-Type": "application/json"}};
            const answers = [];
            for (const more of [{mode: "no-cors"}, {mode: "cors", ...json}, {mode: "cors"}]) {
                try { const answer = await fetch(url, {...how, ...more}); answers.push(answer.status); }
                catch (error) { answers.push("kept away"); }
            }
            return answers;
        }""",
        [f"{mtc.url}/api/upf/processes", NAME],
    )
    assert seen[1:] == ["kept away", "kept away"]
    assert named(mtc, visit) == 0
    victim.complaints.clear()  # the browser says that it kept the foreign script away, and it should


@pytest.mark.requirement("S3-063")
def test_another_site_cannot_show_mtc_in_a_frame(
    mtc: Served, visit: Visit, elsewhere: tuple[str, Elsewhere]
) -> None:
    """A page that lays MTC invisibly over its own buttons gets an empty frame."""
    address, site = elsewhere
    victim = visit(mtc, mtc.person("manager"), script=True)
    site.page = f"<!doctype html><iframe src='{mtc.url}/processes' width=800 height=600></iframe>"
    victim.page.goto(address)
    (frame,) = victim.page.frames[1:]
    # On a busy machine the page is there before the browser has said what becomes of the frame.
    frame.wait_for_url("chrome-error://chromewebdata/", wait_until="commit")
    victim.complaints.clear()  # the browser says that it refused to show the frame


@pytest.mark.requirement("S1-037", "S1-039")
def test_a_script_of_mtcs_own_sends_the_token_in_its_header(mtc: Served, visit: Visit) -> None:
    """What a page of MTC sends by script passes with the header, and is refused without or with another."""
    visitor = visit(mtc, mtc.person("manager"), script=True)
    visitor.go("/lots/6")
    statuses = visitor.page.evaluate(
        """async () => {
            const form = document.querySelector("form[action$=notes]");
            const token = form.elements.csrf_token.value;
            const send = headers => fetch(form.action, {
                method: "POST", headers: headers, body: new URLSearchParams({text: "Sent by script."}),
            }).then(answer => answer.status);
            const headers = [{"X-CSRFToken": token}, {}, {"X-CSRFToken": "x." + token}];
            return await Promise.all(headers.map(send));
        }"""
    )
    assert statuses == [200, 400, 400]
    visitor.go("/lots/6")
    assert visitor.page.get_by_text("Sent by script.").count() == 1
    visitor.complaints.clear()  # the browser notes the two refusals
