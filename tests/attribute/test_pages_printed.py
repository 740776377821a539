"""The pages in a real browser, as they are printed on A4: nothing is cut off, nothing is loaded, nothing complains."""

import pytest
from lead_case import claims, lead_case

import headless
from clew.attribute import ask_by, lead_page, listing, provider
from clew.core import coverage

pytestmark = headless.LAST_RESORT

WIDTH = 688  # pixels of 182 mm: A4 without the margins of page.css
LONGEST = {
    "address": "2001:db8:abcd:ef01:2345:6789:abcd:ef01",
    "local_address": "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe",
}


@pytest.fixture(scope="module")
def browser():
    with headless.chromium() as started:
        yield started


@pytest.fixture(autouse=True)
def _bounded():
    with headless.within(headless.TEST_SECONDS):
        yield


@pytest.mark.parametrize("long", [{}, LONGEST], ids=["IPv4", "longest IPv6"])
def test_nothing_is_cut_off_on_paper_and_nothing_is_loaded(browser, case, tmp_path, long):
    (label,) = lead_case(case, tmp_path, claims(**long))
    asked = provider.question(case, label, ask_by.by_hand(90))
    made = {
        "provider": provider.page(case, asked),
        "lead": lead_page.page(case, listing.lead(case, label), coverage.read(case)),
    }
    for name, html in made.items():
        path = tmp_path / f"{name}.html"
        path.write_text(html, "utf-8")
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, java_script_enabled=True)
        said, loaded = [], []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("request", lambda request, loaded=loaded: loaded.append(request.url))
        page.emulate_media(media="print")
        page.goto(path.as_uri())
        wide = page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert wide == [], name
        assert said == []
        assert loaded == [path.as_uri()]
        page.close()
