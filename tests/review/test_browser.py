"""The page in headless Chromium, worked with the keyboard alone.

CLEW_SCREENSHOT=path makes `test_the_whole_work_from_the_keyboard` write the picture of the page that the README shows.
"""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from review_page import Known, Served, actions, empty_case, hit, serving

import headless
from clew.model import Category
from clew.review import grading
from clew.review.safeguards import RestRule
from facts_case import put

pytestmark = headless.LAST_RESORT

expect.set_options(timeout=30_000)  # milliseconds: a machine that runs other tests beside it is slow to show a page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless.chromium() as started:
        yield started


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    with headless.within(headless.TEST_SECONDS):
        yield


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    yield from opened(browser, served)


def opened(browser: Browser, served: Served) -> Iterator[Page]:
    """A page that has come in by the one-time address; any script error or refused resource fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 860}, reduced_motion="reduce")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(served.entrance)
    expect(page.locator("#work")).to_be_visible()
    yield page
    context.close()
    assert wrong == []


def graded(known: Known) -> int:
    query = "SELECT count(*) FROM standing_grades WHERE state IN ('decided', 'confirmed')"
    return int(known.case.read().execute(query).fetchone()[0])


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_whole_work_from_the_keyboard(page: Page, known: Known) -> None:
    tiles, label = page.locator(".tile"), page.locator("#label")
    expect(label).to_have_text("S-001")
    expect(tiles).to_have_count(6)
    expect(page.locator("#facts")).to_contain_text("Shape Camera 3")
    expect(page.locator("#not-covered")).to_have_text(
        "Not covered by this page: 3 items could not be read, 2 items skipped, "
        "1 content without a picture (listed only where an alert set knows it, or a person graded; "
        "films and pictures by name: clew show unseen CASE)."
    )
    press(page, "1")
    expect(page.locator("#confirm")).to_contain_text("Confirm 4 proposals")
    expect(tiles.nth(3)).to_contain_text("inherited, distance 12")
    expect(page.locator("#progress")).to_contain_text("1 graded, 4 proposed")
    assert graded(known) == 1
    press(page, "ArrowRight", "ArrowRight")
    expect(tiles.nth(2)).to_be_focused()
    _screenshot(page)
    press(page, "x")
    expect(tiles.nth(2)).to_contain_text("1 rejected")
    press(page, "Enter")
    expect(tiles.nth(1)).to_contain_text("1 confirmed")
    expect(tiles.nth(2)).to_be_focused()  # the first one that still needs a grade
    assert graded(known) == 4
    press(page, "2")
    expect(tiles.nth(5)).to_be_focused()
    press(page, "0")
    expect(label).to_have_text("S-002")  # done: on to the next
    assert graded(known) == 6
    press(page, "z")
    expect(label).to_have_text("S-001")
    expect(tiles.nth(5)).to_contain_text("no grade")
    assert graded(known) == 5
    steps = [step.removeprefix("grade.") for step in actions(known.case, "grade")]
    assert steps == ["decided", "rejected", "confirmed", "decided", "decided", "undone"]


def _screenshot(page: Page) -> None:
    if target := os.environ.get("CLEW_SCREENSHOT"):
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        page.screenshot(path=target)


def test_the_clear_picture_is_there_only_while_the_key_is_held(page: Page, known: Known) -> None:
    canvas = page.locator("canvas")
    expect(canvas).to_have_count(0)
    page.keyboard.down(" ")
    expect(canvas).to_have_count(1)
    assert page.evaluate("document.querySelector('canvas').width") == 200
    page.keyboard.up(" ")
    expect(canvas).to_have_count(0)
    box = page.locator("#frame").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    expect(canvas).to_have_count(0)  # hovering shows nothing
    page.mouse.down()
    expect(canvas).to_have_count(1)
    page.mouse.up()
    expect(canvas).to_have_count(0)
    page.keyboard.down(" ")
    expect(canvas).to_have_count(1)
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    expect(canvas).to_have_count(0)
    rows = known.case.read().execute("SELECT count(*) FROM exposure WHERE how = 'clear'").fetchone()[0]
    assert rows == 3
    assert page.locator("img").evaluate_all("all => all.every(i => i.src.includes('/picture/'))")
    assert page.locator("audio, video, iframe, object, embed").count() == 0


def test_a_key_released_before_the_picture_came_shows_nothing(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.wait_for_load_state("networkidle")  # the page listens to keys once it has its queue
    page.route("**/reveal/*", hold)
    with page.expect_request("**/reveal/*"):
        page.keyboard.down(" ")
    page.keyboard.up(" ")
    for route in held:
        route.continue_()
    press(page, "ArrowRight", "ArrowLeft")
    page.wait_for_load_state("networkidle")
    expect(page.locator("canvas")).to_have_count(0)


def test_what_is_known_or_done_is_listed_without_pictures(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/picture/" in request.url else None)
    page.wait_for_load_state("networkidle")
    asked.clear()
    press(page, "w")
    expect(page.locator("#label")).to_have_text("S-007")
    expect(page.locator("#hits")).to_contain_text("Known shapes")
    expect(page.locator(".tile").first).to_contain_text("closed")
    page.wait_for_load_state("networkidle")
    assert asked == []


def test_a_match_on_a_page_that_is_not_shown_is_said_beside_what_is_shown(page: Page, known: Known) -> None:
    content = known.series[f"{1:032x}"][1]
    with known.case.write("match") as tx:
        hit = ("p", content, "h", "pdq", 12, "exact", "alert", None, None, None, None, "x", "stands", "page 2")
        tx.execute("INSERT INTO hits VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", hit)
    page.reload()
    expect(page.locator("#entries li").first).to_contain_text("a match on a picture not shown")
    expect(page.locator(".tile").nth(1)).to_contain_text("match on page 2: not shown")
    press(page, "ArrowRight")
    expect(page.locator("#facts")).to_contain_text("page 2 (not shown): alert · Known shapes (pdq, near, distance 12)")


def test_a_known_file_without_a_picture_is_listed_with_its_words_and_graded(page: Page, known: Known) -> None:
    content = known.pictureless
    hit(known.case, content)
    made = {"content": content, "extractor": "video", "version": "1", "mode": ""}
    put(known.case, "traits", [made | {"name": "video.duration", "number": 93.4}], "intake")
    asked: list[str] = []
    page.wait_for_load_state("networkidle")
    page.on("request", lambda request: asked.append(request.url) if content.hex() in request.url else None)
    press(page, "w")
    expect(page.locator("#label")).to_have_text("S-007")
    press(page, "ArrowDown")
    expect(page.locator("#label")).to_have_text(f"File {content.hex()[:8]}")
    expect(page.locator("#hits")).to_have_text("alert · Known shapes (md5, exact, VICS US 2.0: 1)")
    expect(page.locator("#facts")).to_contain_text("93.4 s, 40,000 bytes")
    expect(page.locator("#facts")).to_contain_text("Pictures/shapes_501_0.jpg")
    expect(page.locator("#members-title")).to_have_text("One file, and no picture of it")
    expect(page.locator("#frame")).to_have_text("no picture")
    expect(page.locator(".tile")).to_contain_text("known: Known shapes")
    press(page, " ", "2")
    expect(page.locator("#chips")).to_contain_text("done")
    assert graded(known) == 1
    assert [url for url in asked if "/picture/" in url or "/reveal/" in url] == []
    page.wait_for_load_state("networkidle")
    press(page, "z")
    expect(page.locator(".tile")).to_contain_text("no grade")
    assert actions(known.case, "grade") == ["grade.decided", "grade.undone"]


def test_of_a_known_series_the_known_picture_is_named_and_how_many_are_not(page: Page, known: Known) -> None:
    with known.case.write("match") as tx:
        tx.execute("DELETE FROM hits")
    hit(known.case, known.series[f"{7:032x}"][3])
    press(page, "w")
    expect(page.locator("#chips .chip")).to_have_text(["1 of 5 known", "4 neither known nor graded"])
    line = page.locator("#entries li").first
    expect(line).to_contain_text("5 pictures · 1 of 5 known · 4 neither known nor graded")
    expect(line).not_to_have_class("done")
    expect(page.locator("#hits li")).to_have_count(0)
    expect(page.locator(".tile").nth(3)).to_contain_text("known: Known shapes")
    press(page, "ArrowRight", "ArrowRight", "ArrowRight")
    expect(page.locator("#hits")).to_have_text("alert · Known shapes (md5, exact, VICS US 2.0: 1)")
    hit(known.case, known.single, kind="known-good", algorithm="sha256")
    for content in known.series[f"{7:032x}"]:
        hit(known.case, content, entry="8")
    press(page, "w")
    expect(page.locator("#label")).to_have_text("S-001")
    press(page, "w")
    expect(page.locator("#chips .chip")).to_have_text(["5 of 5 known"])
    expect(line).to_have_class("done")
    press(page, "ArrowDown")
    expect(page.locator("#chips .chip")).to_have_text(["known good"])


def test_alarm_help_and_cover_by_key(page: Page, browser: Browser, known: Known) -> None:
    press(page, "?")
    expect(page.locator("#help")).to_be_visible()
    expect(page.locator("#help")).to_contain_text("confirm all proposals")
    press(page, "Enter")
    expect(page.locator("#help")).to_be_hidden()
    press(page, "r")
    page.keyboard.type("a date tomorrow, 1 2 3")
    press(page, "Control+Enter")
    expect(page.locator(".alarm")).to_contain_text("series S-001: a date tomorrow, 1 2 3")
    expect(page.locator(".alarm button")).to_be_hidden()
    assert graded(known) == 0, "what is typed as a reason grades nothing"
    with serving(known.case.folder, "wren") as second:
        for other in opened(browser, second):
            press(other, "g")
            expect(other.locator(".lead")).to_be_focused()
            expect(other.locator(".lead")).to_contain_text("a second register says DE")
            expect(other.locator(".alarm time")).to_have_text(_CLOCK)
            other.locator(".alarm button").focus()
            press(other, "Enter")
            expect(other.locator(".alarm")).to_contain_text("taken up by wren")
            press(other, "Tab")
            other.locator(".lead").focus()
            press(other, "r")
            other.keyboard.type("the lead too")
            press(other, "Control+Enter")
            expect(other.locator(".alarm")).to_have_count(2)
    expect(page.locator(".alarm")).to_have_count(2, timeout=8000)  # seen by whoever is at work, unasked
    expect(page.locator(".alarm.taken")).to_contain_text("taken up by wren")
    press(page, "Escape")
    expect(page.locator("#cover")).to_be_visible()
    expect(page.locator("#work")).to_be_hidden()
    press(page, "1")
    expect(page.locator("#work")).to_be_visible()
    assert graded(known) == 0, "the key that uncovers grades nothing"


_CLOCK = re.compile(r"^\d\d:\d\d:\d\d$")


def test_the_counter_and_the_reminder_to_rest(browser: Browser, known: Known) -> None:
    with serving(known.case.folder, "heron", RestRule(minutes=50, pictures=2)) as served:
        for page in opened(browser, served):
            expect(page.locator("#rest")).to_be_hidden()
            for _ in range(2):
                page.keyboard.down(" ")
                expect(page.locator("canvas")).to_have_count(1)
                page.keyboard.up(" ")
                press(page, "ArrowRight")
            press(page, "1")
            expect(page.locator("#exposure")).to_have_text("2 seen clearly today")
            expect(page.locator("#rest")).to_be_visible()
            page.locator("#rest-later").focus()
            press(page, "Enter")
            expect(page.locator("#rest")).to_be_hidden()


def test_empty_states_say_what_to_do(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = empty_case(tmp_path_factory.mktemp("empty") / "case")
    with serving(made.case.folder, "heron") as served:
        context = browser.new_context()
        page = context.new_page()
        page.goto(served.entrance)
        expect(page.locator("#empty")).to_contain_text("clew intake")
        press(page, "w")
        expect(page.locator("#empty")).to_contain_text("Nothing here is known or graded yet")
        press(page, "g")
        expect(page.locator(".empty")).to_contain_text("clew attribute")
        context.close()
    made.case.close()


def test_the_used_address_and_the_browsers_view_of_the_cookie(browser: Browser, served: Served, known: Known) -> None:
    entrance = served.entrance
    for page in opened(browser, served):
        assert page.evaluate("document.cookie") == ""
        cookies = page.context.cookies()
        assert [(c["httpOnly"], c["sameSite"]) for c in cookies] == [(True, "Strict")]
        assert served.keys.token is None
        assert "token" not in page.url
        refused = page.evaluate("fetch('/api/undo', {method: 'POST', body: '{}'}).then((r) => r.status)")
        assert refused == 403
        page.context.clear_cookies()
        page.goto(entrance)
        expect(page.locator("h1")).to_contain_text("opens the page once")
        return


def test_a_grade_by_another_scheme_is_never_shown_as_a_category_of_this_one(page: Page, known: Known) -> None:
    grading.grade(known.case, "wren", known.series[f"{1:032x}"][0], Category("VICS", "UK", "2.0", "2"))
    page.reload()
    first, second = page.locator(".tile").nth(0), page.locator(".tile").nth(1)
    expect(first.locator(".match")).to_have_text("in VICS UK 2.0")
    expect(second.locator(".match").first).to_have_text("in VICS UK 2.0")
    expect(first).to_have_attribute("aria-label", re.compile("2 graded, in VICS UK 2.0"))
    expect(page.locator("[data-code][aria-pressed=true], [data-code].suggested")).to_have_count(0)
    press(page, "1")
    expect(first.locator(".state")).to_have_text("1 graded")
    expect(first).not_to_contain_text("VICS UK")
