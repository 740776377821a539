"""What the page changes: grades and alarms. Each is one POST, one transaction, one ledger entry."""

import json
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clew.core.errors import Usage
from clew.review import desk as desks
from clew.review import grading, safeguards
from clew.review.api import Stroke
from clew.review.desk import Desk

MOST_BODY = 64_000

Body = dict[str, Any]


def grade(desk: Desk, body: Body) -> Body:
    """{"content", "code"}: a person's decision about exact bytes."""
    content = desks.digest(_text(body, "content"))
    if not desk.worklist.holds(content):
        raise Usage("nothing of that content stands on this page", "reload the page; it may have been matched anew")
    stroke = grading.grade(desk.case, desk.reviewer, content, desk.scheme.category(_text(body, "code")))
    return _stroke(desk, stroke, content)


def confirm(desk: Desk, body: Body) -> Body:
    """{"proposals": [ids]}: all of them become this person's decisions."""
    return _stroke(desk, grading.confirm(desk.case, desk.reviewer, _texts(body, "proposals")))


def reject(desk: Desk, body: Body) -> Body:
    """{"proposals": [ids]}: none of them is right."""
    return _stroke(desk, grading.reject(desk.case, desk.reviewer, _texts(body, "proposals")))


def undo(desk: Desk, _body: Body) -> Body:
    """{}: takes back this reviewer's last stroke."""
    stroke = grading.undo(desk.case, desk.reviewer)
    return _stroke(desk, stroke, stroke.content)


def raise_alarm(desk: Desk, body: Body) -> Body:
    """{"kind", "about", "reason"}: child at risk now."""
    about = _text(body, "about")
    return {
        "alarm": safeguards.raise_alarm(desk.case, desk.reviewer, _text(body, "kind"), about, _text(body, "reason"))
    }


def acknowledge(desk: Desk, body: Body) -> Body:
    """{"alarm"}: a second person has taken it up."""
    safeguards.acknowledge(desk.case, desk.reviewer, _text(body, "alarm"))
    return {}


def close(desk: Desk, body: Body) -> Body:
    """{"alarm", "reason"}: the clock ends."""
    safeguards.close_alarm(desk.case, desk.reviewer, _text(body, "alarm"), _text(body, "reason"))
    return {}


def _route(path: str, change: Callable[[Desk, Body], Body]) -> Route:
    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        return JSONResponse(await run_in_threadpool(change, desks.of(request), body))

    return Route(path, endpoint, methods=["POST"])


async def _body(request: Request) -> Body:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY:
            raise Usage(f"a change of more than {MOST_BODY} bytes", "send less at once")
    value = json.loads(data)
    if not isinstance(value, dict):
        raise Usage("a change is one JSON object", "reload the page")
    return value


def _text(body: Body, key: str) -> str:
    value = body[key]
    if not isinstance(value, str):
        raise Usage(f"{key} is a text", "reload the page")
    return value


def _texts(body: Body, key: str) -> list[str]:
    value = body[key]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Usage(f"{key} is a list of texts", "reload the page")
    return value


def _stroke(desk: Desk, stroke: Stroke, content: bytes | None = None) -> Body:
    return {
        "did": stroke.did,
        "proposed": stroke.proposed,
        "confirmed": stroke.confirmed,
        "rejected": stroke.rejected,
        "series": desk.worklist.holding(content) if content else None,
    }


ROUTES = [
    _route("/api/grade", grade),
    _route("/api/confirm", confirm),
    _route("/api/reject", reject),
    _route("/api/undo", undo),
    _route("/api/alarm", raise_alarm),
    _route("/api/alarm/acknowledge", acknowledge),
    _route("/api/alarm/close", close),
]
