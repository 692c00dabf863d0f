"""The page and what it asks for."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from kun.review.guard import Guard, new_token
from kun.review.labels import LABELS
from kun.review.session import Session

FOLDER = Path(__file__).parent
VOTE = {"record": str, "verdict": str, "edit": dict, "note": str}
FILES = {"review.js": "text/javascript", "review.css": "text/css"}


def review_app(session: Session, token: str, started: Callable[[], None], ended: Callable[[], None]) -> Starlette:
    """The application; `token` is asked for unless "", `started` and `ended` are called when the server is up and stops."""
    page = new_token()
    pages = Pages(session, page)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        started()
        yield
        ended()

    routes = [
        Route("/", pages.home),
        *(Route(f"/{name}", _file(name, kind)) for name, kind in FILES.items()),
        Route("/api/session", pages.overview),
        Route("/api/records/{place:int}", pages.record),
        Route("/api/votes", pages.vote, methods=["POST"]),
        Route("/api/undo", pages.undo, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, page=page, token=token)], lifespan=life)


class Pages:
    """Answers of one session; all run one after another in the event loop, so votes never mix."""

    def __init__(self, session: Session, page: str) -> None:
        """`page` is the secret that changes must bring along."""
        self._session, self._secret = session, page
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
        )
        self._page = environment.get_template("page.html.j2")

    async def home(self, request: Request) -> Response:
        """The page in the reader's language, without any record."""
        wanted = request.query_params.get("lang") or request.headers.get("accept-language", "")
        lang = "zh" if wanted.lower().startswith("zh") else "en"
        return HTMLResponse(self._page.render(t=LABELS[lang], lang=lang, secret=self._secret))

    async def overview(self, request: Request) -> Response:
        """What is read, by whom, and all votes so far."""
        return JSONResponse(self._session.overview())

    async def record(self, request: Request) -> Response:
        """One record with its differences."""
        place = int(request.path_params["place"])
        if place >= len(self._session.records):
            return _error(f"there is no record {place + 1}", 404)
        return JSONResponse(self._session.view(place))

    async def vote(self, request: Request) -> Response:
        """Store {record, verdict, edit, note}."""
        try:
            self._session.vote(**_asked(await request.body()))
        except KeyError as error:
            return _error(f"no record {error} is read here", 404)
        except ValueError as error:
            return _error(str(error), 400)
        return JSONResponse(self._session.overview())

    async def undo(self, request: Request) -> Response:
        """Take the last vote back; `undone` is the place of its record, null when there was none."""
        undone = self._session.undo()
        place = None if undone is None else list(self._session.records).index(undone)
        return JSONResponse(self._session.overview() | {"undone": place})


def _asked(body: bytes) -> dict[str, Any]:
    """The arguments of a vote; ValueError for anything else."""
    try:
        asked = json.loads(body)
    except RecursionError:
        raise ValueError("a vote is no deep structure") from None
    if not isinstance(asked, dict) or set(asked) != set(VOTE):
        raise ValueError(f"a vote has {', '.join(VOTE)}")
    for name, kind in VOTE.items():
        if not isinstance(asked[name], kind):
            raise ValueError(f"{name} is of another type")
    return asked


def _file(name: str, kind: str) -> Callable[[Request], Any]:
    content = (FOLDER / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


def _error(text: str, status: int) -> Response:
    return JSONResponse({"error": text}, status)
