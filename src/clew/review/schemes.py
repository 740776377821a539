"""Category schemes: JSON files beside this module, or a force's own file in the same form (docs/formats.md)."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

from clew.core.errors import Usage
from clew.review.api import Choice, Scheme

DEFAULT = "vics-us-2.0"
_MOST_BYTES = 64_000


def names() -> list[str]:
    """The schemes that come with clew."""
    folder = resources.files("clew.review") / "schemes"
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json"))


def load(name_or_path: str) -> Scheme:
    """The scheme of that name, or of that file. Raises Usage where it is neither, or is not a scheme."""
    if name_or_path in names():
        text = (resources.files("clew.review") / "schemes" / f"{name_or_path}.json").read_text("utf-8")
    elif (path := Path(name_or_path)).is_file() and path.stat().st_size <= _MOST_BYTES:
        text = path.read_text("utf-8-sig")
    else:
        raise Usage(f"there is no scheme {name_or_path!r}", f"there are: {', '.join(names())}; or name a JSON file")
    try:
        return _parse(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise Usage(
            f"{name_or_path} is not a scheme: {error}", "see src/clew/review/schemes/training.json for the form"
        ) from error


def _parse(data: dict[str, Any]) -> Scheme:
    choices = tuple(Choice(_key(c["key"]), str(c["code"]), str(c["label"])) for c in data["categories"])
    if not choices or len({c.key for c in choices}) < len(choices) or len({c.code for c in choices}) < len(choices):
        raise ValueError("each category needs a key and a code of its own")
    return Scheme(
        name=str(data["scheme"]),
        title=str(data["title"]),
        country=str(data["country"]),
        version=str(data["version"]),
        note=str(data.get("note", "")),
        choices=choices,
    )


def _key(text: str) -> str:
    if text not in tuple("0123456789"):
        raise ValueError(f"a category's key is one of 0 to 9, not {text!r}")
    return text
