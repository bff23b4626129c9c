import os
from tests.journeys.visitor import DESKTOP, PHONE
import pytest
PAGES=["/","/items","/items/1","/variants/1","/suppliers","/suppliers/1","/rates","/processes","/processes/1","/subprocesses/1","/usages/1","/lots","/lots/1","/lots/5","/lots/6","/report","/imports","/audit","/auth/sessions","/auth/password","/auth/users","/nothing"]
def test_shots(mtc, visit):
    admin=mtc.person("admin", name="Ada Admin", password=None)
    mtc.person("user", name="Una", password=None)
    v=visit(mtc, admin, script=True)
    for p in PAGES:
        for scheme in ("light","dark"):
            for size,view in (("desk",DESKTOP),("phone",PHONE)):
                if scheme=="dark" and size=="desk" and len(p)>7: continue
                v.page.emulate_media(color_scheme=scheme)
                v.page.set_viewport_size(view)
                if scheme=="light" and size=="desk": v.go(p)
                v.page.screenshot(path=f"/tmp/shots/{p.strip('/').replace('/','-') or 'home'}-{size}-{scheme}.png", full_page=True)
                if v.is_wider_than_the_screen: print("WIDE",p,size)
    print(v.complaints)
    v.complaints.clear()
