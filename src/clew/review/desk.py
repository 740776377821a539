"""What every request of one reviewer's page needs: one object, made once."""

from dataclasses import dataclass

from jinja2 import Environment
from starlette.requests import Request

from clew.core.case import Case
from clew.review.api import Scheme
from clew.review.gallery import Gallery
from clew.review.guard import Keys
from clew.review.safeguards import RestRule
from clew.review.thumbnails import Thumbnails
from clew.review.worklist import Worklist


@dataclass(frozen=True, slots=True)
class Desk:
    """One reviewer, one case, one scheme."""

    case: Case
    reviewer: str
    scheme: Scheme
    keys: Keys
    rest: RestRule
    thumbnails: Thumbnails
    worklist: Worklist
    gallery: Gallery
    templates: Environment


def of(request: Request) -> Desk:
    """The Desk that a request is for."""
    desk: Desk = request.app.state.desk
    return desk


def digest(text: str) -> bytes:
    """A SHA-256 as the page writes it. Raises ValueError for anything else."""
    if len(text) != 64:
        raise ValueError("not a SHA-256")
    return bytes.fromhex(text)
