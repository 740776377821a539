"""Which Source and Extractors there are, and the workers that run them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from clew.core import hash_code, plugins
from clew.core.engine import Policy, Pool, Task
from clew.core.errors import Usage
from clew.intake import expand
from clew.intake.api import Ask, Session, Source
from clew.intake.options import Options
from clew.intake.reading import find
from clew.model import Missing

SOURCES, EXTRACTORS, ARTEFACTS = "clew.intake.sources", "clew.intake.extractors", "clew.intake.artefacts"


def choose(path: Path) -> Source:
    """The Source that opens what lies there. Raises Usage where none does."""
    wanting: list[Source] = [source for source in plugins.load_all(SOURCES).values() if source.wants(path)]
    for source in sorted(wanting, key=lambda each: each.general):
        return source
    raise Usage(f"no source can open {path}", f"there are: {', '.join(plugins.names(SOURCES))}")


def extractors() -> tuple[str, ...]:
    """Every Extractor as "module:name", in name order of both folders; those of other packages included."""
    found = []
    for folder in (EXTRACTORS, ARTEFACTS):
        for name, extractor in plugins.load_all(folder).items():
            inside = f"{folder}.{name}"
            found.append(f"{inside if type(extractor).__module__ == inside else type(extractor).__module__}:PLUGIN")
    return tuple(found)


def open_pool(
    source: Source,
    session: Session,
    specs: tuple[str, ...],
    options: Options,
    lists: tuple[int, ...] = (),
    also: tuple[str, ...] = (),
    may: Callable[[], object] = lambda: None,
) -> Pool:
    """The workers of one run, with all that they need imported, or called (`also`), before they lock themselves up.
    `lists` are descriptors of sorted hashes that stop the reading of a content; `may` raises where they may not go on.
    """
    modules = tuple(spec.partition(":")[0] for spec in specs)
    preload = ("clew.intake.reading:preload", *expand.PRELOAD, *source.preload, *modules, *also)
    policy = Policy(accept_weak=options.accept_weak_isolation)
    return Pool(options.workers, preload, options.limits, policy, session.held, lists, hash_code.made(), may)


def versions(source: Source, specs: tuple[str, ...]) -> str:
    """What a receipt stands for: the Source and every Extractor, each with its version."""
    return ", ".join([f"{source.name} {source.version}", *(f"{each.name} {each.version}" for each in map(find, specs))])


def asking(pool: Pool) -> Ask:
    """Runs one entry in the pool and waits for its value."""

    def ask(entry: str, payload: dict[str, Any], fds: tuple[int, ...], size: int) -> Any | Missing:
        reply = pool.ask(Task(entry, entry, payload, fds, size))
        return reply if isinstance(reply, Missing) else reply.value

    return ask
