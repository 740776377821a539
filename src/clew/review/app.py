"""The review page, put together. Who may call stands in guard.py, what a decision does in grading.py, safeguards.py."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from clew.core import clock, mandate
from clew.core.case import Case
from clew.core.errors import ClewError, Refused, Usage
from clew.review import answers, changes
from clew.review.api import Renderer, Scheme
from clew.review.desk import Desk
from clew.review.gallery import Gallery, pool_renderer
from clew.review.guard import Guard, Keys
from clew.review.safeguards import RestRule
from clew.review.thumbnails import Thumbnails
from clew.review.worklist import Worklist

HOST = "127.0.0.1"


def create_app(
    case: Case,
    *,
    reviewer: str,
    scheme: Scheme,
    keys: Keys,
    rest: RestRule = RestRule(),  # noqa: B008  frozen
    renderer: AbstractContextManager[Renderer] | None = None,
) -> Starlette:
    """The page for one reviewer on one case. Raises Refused without a Mandate for review.

    `renderer` makes servable pictures of stored ones; by default one sandboxed worker does, started with the app.
    """
    mandate.require(case, purpose="review", at_ns=clock.now().utc_ns)
    thumbnails = Thumbnails(case)
    gallery = Gallery(case, reviewer, thumbnails, renderer or pool_renderer(case))
    templates = Environment(loader=PackageLoader("clew.review"), autoescape=True, trim_blocks=True, lstrip_blocks=True)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        gallery.start()
        yield
        gallery.stop()

    app = Starlette(
        routes=[*answers.ROUTES, *changes.ROUTES, Mount("/static", StaticFiles(packages=[("clew.review", "static")]))],
        middleware=[Middleware(Guard, keys=keys), Middleware(TrustedHostMiddleware, allowed_hosts=[HOST])],
        exception_handlers={ClewError: _explain, sqlite3.Error: _explain, KeyError: _malformed, ValueError: _malformed},
        lifespan=lifespan,
    )
    app.state.desk = Desk(
        case=case,
        reviewer=reviewer,
        scheme=scheme,
        keys=keys,
        rest=rest,
        thumbnails=thumbnails,
        worklist=Worklist(case, thumbnails),
        gallery=gallery,
        templates=templates,
    )
    return app


async def _explain(_request: Request, error: Exception) -> Response:
    """A refusal in words, for the page to show."""
    status = 409 if isinstance(error, Refused) else 400 if isinstance(error, Usage) else 500
    unwritten = (f"the case could not be read or written: {error}", "see that its disk is writable and has room")
    message, hint = (error.message, error.hint) if isinstance(error, ClewError) else unwritten
    return JSONResponse({"error": message, "hint": hint}, status_code=status)


async def _malformed(_request: Request, error: Exception) -> Response:
    return JSONResponse(
        {"error": f"malformed request: {type(error).__name__}", "hint": "reload the page"}, status_code=400
    )
