"""Whether this build has error rates of its own: a table beside the code, measured on exactly this code.

`make error-rates` writes the table with the hash of the sources that it was measured on. The hash covers every file of
the package but the table itself, so that it depends on no version control, and one changed byte makes it another build.
"""

import hashlib
import json
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

TABLE = "range/error_rates.json"
FORMAT = "clew error rates 1"
LEFT_OUT = frozenset({"__pycache__"})


@lru_cache(maxsize=1)
def build_hash() -> str:
    """Hexadecimal SHA-256 over the sorted lines "SHA-256 of the file, two blanks, its path" of the package's files."""
    with resources.as_file(resources.files("clew")) as package:
        return hash_of(package)


def hash_of(package: Path) -> str:
    """The same of any folder; docs/formats.md gives the line for a shell that computes it without clew."""
    lines = []
    for path in sorted(package.rglob("*"), key=lambda each: each.relative_to(package).as_posix().encode()):
        name = path.relative_to(package)
        if path.is_file() and not LEFT_OUT & set(name.parts) and name.as_posix() != TABLE:
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name.as_posix()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def table() -> dict[str, Any] | None:
    """The table that lies beside the code, whatever build it holds for; None where there is none that can be read."""
    path = resources.files("clew") / TABLE
    try:
        found = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def is_validated() -> bool:
    """Whether the table was measured on exactly this code."""
    found = table()
    return found is not None and found.get("build") == build_hash()
