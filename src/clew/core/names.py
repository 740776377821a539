"""Names that people give and that files are called by: of keys, and codes of forces. And codes of countries."""

import re

from clew.core.errors import Usage

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_HINT = "use a letter or digit first, then letters, digits, dots, dashes and underscores, 64 in all"
COUNTRY = re.compile(r"[A-Z]{2}")


def check_code(code: str) -> None:
    """Raises Usage for what can be no force's code: its keys, checkpoints and Bundles' files are named by it."""
    if not NAME.fullmatch(code):
        raise Usage(f"{code!r} cannot be a force's code", f"{NAME_HINT}, e.g. AT")


def check_country(code: str) -> None:
    """Raises Usage for what has not the form of ISO 3166-1 alpha-2, in which registers answer: two capital letters."""
    if not COUNTRY.fullmatch(code):
        raise Usage(f"{code!r} is no country code", "use ISO 3166-1 alpha-2, two capital letters, e.g. AT")
