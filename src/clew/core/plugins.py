"""Plug-ins: one file whose name is its name, ending in `PLUGIN: Protocol = Thing()`.

Files are listed without importing them; a plug-in is imported when it is asked for. Packages outside clew come in by
entry point, in a group named like the folder (`clew.intake.extractors`).
"""

from functools import cache
from importlib import import_module, metadata, resources
from typing import Any

from clew.core.errors import Usage


def names(package: str) -> list[str]:
    """The names of the plug-ins of a folder such as "clew.intake.sources", sorted, nothing imported."""
    inside = [f.name[:-3] for f in resources.files(package).iterdir() if f.name.endswith(".py")]
    outside = [entry.name for entry in _installed(package)]
    return sorted({n for n in inside if not n.startswith("_")} | set(outside))


def load(package: str, name: str) -> Any:
    """The plug-in of that name. Raises Usage, naming those that are there, for any other."""
    if name not in names(package):
        raise Usage(
            f"no {package.rpartition('.')[2]} plug-in is called {name!r}", f"there are: {', '.join(names(package))}"
        )
    for entry in _installed(package):
        if entry.name == name:
            return entry.load()
    return import_module(f"{package}.{name}").PLUGIN


def load_all(package: str) -> dict[str, Any]:
    """Every plug-in of a folder by name, in name order."""
    return {name: load(package, name) for name in names(package)}


@cache
def _installed(package: str) -> metadata.EntryPoints:
    """What installed packages offer for a folder, read once a process: each reading opens a file of every one."""
    return metadata.entry_points(group=package)
