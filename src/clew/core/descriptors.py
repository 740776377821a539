"""How many descriptors this process may hold open at a time (RLIMIT_NOFILE, getrlimit(2)); its children inherit it."""

import resource

from clew.core.errors import Usage

SPARE = 512  # that the case and its workers need beside what is asked for


def room_for(count: int, what: str, otherwise: str) -> None:
    """Raises the soft limit where `count` descriptors ask for it.

    Raises Usage where the hard limit forbids that: `what` says for what they are, `otherwise` what else can be done.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise Usage(
            f"{what}, and only {hard:,} may be open at a time", f"raise the limit (ulimit -Hn {wanted}), or {otherwise}"
        )
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
