"""Who may talk to the page, and what every answer says to the browser. Pure ASGI, around everything.

A one-time token in the first address becomes an HttpOnly, SameSite=Strict cookie. Since cookies do not tell ports apart
and every page on 127.0.0.1 is "same site", the browser's own word (Sec-Fetch-Site,
https://www.w3.org/TR/fetch-metadata/) must be same-origin for everything but opening a page, and changes need a header
that no form can send.
"""

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "autoplay=(), camera=(), microphone=(), geolocation=(), display-capture=()",
    "Cache-Control": "no-store",
}
CHANGE_HEADER = "x-clew"
PAGES = ("/", "/leads")


class Keys:
    """The one-time token and the session cookie of one run."""

    def __init__(self) -> None:
        self._token: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self.cookie_name = "clew-" + secrets.token_hex(8)

    @property
    def token(self) -> str | None:
        """The token, until it was used."""
        return self._token

    def enter(self, token: str) -> str | None:
        """The session's cookie value for the right token, once; None ever after and for any other."""
        if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        self._token = None
        return self._session

    def known(self, cookie_header: str) -> bool:
        """Whether this request carries the session's cookie."""
        try:
            morsel = SimpleCookie(cookie_header).get(self.cookie_name)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self._session.encode())


class Guard:
    """The ASGI middleware: lets through what carries the cookie and comes from our own page; marks every answer."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, marked)

    def _refusal(self, scope: Scope) -> Response | None:
        path, method, headers = scope["path"], scope["method"], Headers(scope=scope)
        if path == "/enter" or path.startswith("/static/"):
            return None if method in ("GET", "HEAD") else _no(405, "this address is only read")
        if not self._keys.known(headers.get("cookie", "")):
            return _no(401, "open the address that clew review printed; it works once, then this browser knows the way")
        site = headers.get("sec-fetch-site", "")
        if site != "same-origin" and not (site == "none" and path in PAGES):
            return _no(403, "this request did not come from clew's own page")
        if method not in ("GET", "HEAD"):
            if headers.get(CHANGE_HEADER) != "1":
                return _no(403, "a change needs the header X-Clew")
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return _no(415, "a change is sent as application/json")
        return None


def _no(status: int, why: str) -> Response:
    return JSONResponse({"error": why, "hint": "start again with: clew review CASE"}, status_code=status)
