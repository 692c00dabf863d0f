"""Who may talk to the page: this machine's browser on the page itself, or whoever has the token."""

import hmac
import secrets
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "kun_review"
"""With the port behind it: a browser gives cookies to all ports of a host, and each reviewer has a server."""
HEADER = "x-kun-page"
"""What the page sends with every change; another page cannot read it, and cannot set it either."""
MOST_BYTES = 1_000_000
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def is_loopback(host: str) -> bool:
    """True for names and addresses that reach this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


class Guard:
    """Middleware: refuses what does not come from the page, and puts the headers on everything."""

    def __init__(self, app: ASGIApp, page: str, token: str) -> None:
        """`page` is the secret of the page; `token` that of the address, "" on loopback."""
        self._app, self._page, self._token = app, page, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; everything but HTTP (the server's start and end) goes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        request = Request(scope)
        answer = self._at_the_door(request) or self._on_change(request)
        await (answer or self._app)(scope, receive, with_headers)

    def _at_the_door(self, request: Request) -> Response | None:
        if not self._token:  # a page elsewhere may have made its own name point here: then the name is not ours
            return (
                None
                if is_loopback(_hostname(f"//{request.headers.get('host', '')}"))
                else _refused("this page answers to 127.0.0.1 alone")
            )
        cookie = f"{COOKIE}_{request.url.port or 80}"
        if _same(request.cookies.get(cookie, ""), self._token):
            return None
        if not _same(request.query_params.get("token", ""), self._token):
            return _refused("open the address that `kun review` printed, with its token")
        entered = RedirectResponse("/", status_code=303)  # so that the token leaves the address bar
        # Lax: a strict one would not come along when the address is opened from a mail or a chat. Reading changes nothing,
        # and changes ask for the origin and the secret of the page.
        entered.set_cookie(cookie, self._token, httponly=True, samesite="lax")
        return entered

    def _on_change(self, request: Request) -> Response | None:
        if request.method in ("GET", "HEAD"):
            return None
        own = f"http://{request.headers.get('host', '')}"
        if request.headers.get("origin") != own or not _same(request.headers.get(HEADER, ""), self._page):
            return _refused("votes are given on the page alone; reload it")
        length = request.headers.get("content-length", "")
        return (
            None if length.isdecimal() and int(length) <= MOST_BYTES else _refused("this is too long for a vote", 413)
        )


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _same(left: str, right: str) -> bool:
    """In a time that tells nothing."""
    return hmac.compare_digest(left.encode(), right.encode())


def _refused(why: str, status: int = 403) -> Response:
    return PlainTextResponse(why, status)
