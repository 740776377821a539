"""What the page asks for: pages, lists, pictures. Nothing here changes a grade; the gallery records views."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from clew.core import clock
from clew.core.errors import ClewError
from clew.model import Missing
from clew.review import desk as desks
from clew.review import facts, leads, parts, safeguards
from clew.review.api import Standing
from clew.review.desk import Desk
from clew.review.worklist import Entry, Member

LONGEST_WAIT = 60.0  # seconds for a picture; the worker has 10 for each, and up to 64 may be in front


def enter(request: Request) -> Response:
    """Takes the one-time token, sets the cookie, and goes on by a page of ours, so that a Strict cookie is sent."""
    desk = desks.of(request)
    session = desk.keys.enter(request.query_params.get("token", ""))
    if session is None:
        return _html(
            desk, "message.html", 403, message="This address does not work (any more): it opens the page once."
        )
    response = _html(desk, "enter.html", 200)
    response.set_cookie(desk.keys.cookie_name, session, httponly=True, samesite="strict", path="/")
    return response


def series_page(request: Request) -> Response:
    """The page on which series are graded."""
    desk = desks.of(request)
    return _html(desk, "desk.html", 200, choices=desk.scheme.choices, scheme=desk.scheme)


def leads_page(request: Request) -> Response:
    """The read-only list of leads."""
    rank, _, identity = request.query_params.get("after", "-1:").partition(":")
    views, following = leads.page(desks.of(request).case, (int(rank), identity))
    return _html(desks.of(request), "leads.html", 200, leads=views, following=following)


def state(request: Request) -> Response:
    """What stands on top of every page: open alarms, what this reviewer alone has seen, whether a rest is due."""
    desk = desks.of(request)
    now = clock.now().utc_ns
    seen = safeguards.exposure(desk.case, desk.reviewer, desk.rest, now)
    return JSONResponse(
        {
            "now": now // 1_000_000,
            "alarms": [_alarm(alarm, desk.reviewer) for alarm in safeguards.open_alarms(desk.case)],
            "exposure": {
                "clear_today": seen.clear_today,
                "blurred_today": seen.blurred_today,
                "clear_since_rest": seen.clear_since_rest,
                "working_minutes": seen.working_ns // (60 * safeguards.SECOND),
                "rest_due": seen.rest_due,
            },
        }
    )


def progress(request: Request) -> Response:
    """How far the work is, and what this page cannot show."""
    worklist = desks.of(request).worklist
    return JSONResponse({"progress": worklist.progress(), "not_covered": worklist.not_covered()})


def series_list(request: Request) -> Response:
    """A page of the list of series, with the honest line of what it does not cover."""
    worklist = desks.of(request).worklist
    page = worklist.page(request.query_params.get("section", "open"), request.query_params.get("after", ""))
    return JSONResponse(
        {
            "entries": [_entry(entry) for entry in page.entries],
            "next": page.next,
            "progress": worklist.progress(),
            "not_covered": worklist.not_covered(),
        }
    )


def series_one(request: Request) -> Response:
    """One series: its line, and a page of its members, each with its hits."""
    worklist = desks.of(request).worklist
    identity = request.path_params["series"]
    entry = worklist.entry(identity)
    members, following = worklist.members(identity, max(0, int(request.query_params.get("after", "0"))))
    return JSONResponse(
        {
            "entry": _entry(entry),
            "members": [_member(member) for member in members],
            "next": following,
        }
    )


def content_facts(request: Request) -> Response:
    """What is known of a picture in words, and what pages and pictures of its file match that are not shown."""
    case, content = desks.of(request).case, desks.digest(request.path_params["content"])
    return JSONResponse(facts.of(case, content) | {"parts": parts.lines(case.read(), content)})


async def picture(request: Request) -> Response:
    """The blurred, grey picture of a Content."""
    return await _picture(request, "blurred")


async def reveal(request: Request) -> Response:
    """The clear, grey picture of a Content, while somebody holds a key."""
    return await _picture(request, "clear")


async def _picture(request: Request, how: str) -> Response:
    desk = desks.of(request)
    asked = desk.gallery.show(desks.digest(request.path_params["content"]), how)
    try:
        made = await run_in_threadpool(asked.result, LONGEST_WAIT)
    except TimeoutError as error:
        raise ClewError("the picture worker does not answer", "stop clew review and start it again") from error
    if isinstance(made, Missing):
        return JSONResponse({"error": str(made), "hint": "it can still be graded from its facts"}, status_code=404)
    return Response(made.jpeg, media_type="image/jpeg")


def _html(desk: Desk, template: str, status: int, **values: Any) -> HTMLResponse:
    text = desk.templates.get_template(template).render(
        operation=desk.case.settings.operation, force=desk.case.settings.force, reviewer=desk.reviewer, **values
    )
    return HTMLResponse(text, status)


def _alarm(alarm: safeguards.Alarm, reviewer: str) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "kind": alarm.about_kind,
        "about": alarm.about,
        "label": alarm.label,
        "reason": alarm.reason,
        "raised_by": alarm.raised_by,
        "raised": alarm.raised_ns // 1_000_000,
        "acknowledged_by": alarm.acknowledged_by,
        "mine": safeguards.same_person(alarm.raised_by, reviewer),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "label": entry.label,
        "kind": entry.kind,
        "representative": entry.representative.hex(),
        "known": entry.known,
        "members": entry.members,
        "known_members": entry.known_members,
        "settled": entry.settled,
        "unanswered": entry.unanswered,
        "waiting": entry.waiting,
        "picture": entry.picture,
        "grade": _standing(entry.grade),
        "parts": entry.parts,
        "key": entry.label if entry.kind == "series" else entry.id,
    }


def _member(member: Member) -> dict[str, Any]:
    return {
        "content": member.content.hex(),
        "distance": member.distance,
        "picture": member.picture,
        "grade": _standing(member.grade),
        "known": member.known,
        "hits": member.hits,
        "parts": member.parts,
    }


def _standing(standing: Standing | None) -> dict[str, Any] | None:
    if standing is None:
        return None
    kind = standing.category
    return {
        "id": standing.grade,
        "state": str(standing.state),
        "scheme": f"{kind.scheme} {kind.country} {kind.version}",
        "code": kind.code,
        "reviewer": standing.reviewer,
        "distance": standing.distance,
    }


ROUTES = [
    Route("/enter", enter),
    Route("/", series_page),
    Route("/leads", leads_page),
    Route("/api/state", state),
    Route("/api/progress", progress),
    Route("/api/series", series_list),
    Route("/api/series/{series}", series_one),
    Route("/api/facts/{content}", content_facts),
    Route("/picture/{content}", picture),
    Route("/reveal/{content}", reveal),
]
