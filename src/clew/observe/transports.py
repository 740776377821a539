"""Over which transport an endpoint is called next: what worked last, then the most discreet, after a failure the next.

A transport's name as Sightings have it is what was negotiated ("mse-rc4/tcp"); it is dialled as "mse/tcp". MSE tells a
peer nothing that it does not know already; a plaintext handshake shows our interest to whoever is there, so beyond
127.0.0.0/8 it needs the Mandate's permit (`observe.policy`).
"""

from clew.model import carrier

PLAIN = ("tcp", "utp")


def permitted(offered: tuple[str, ...], *, plain: bool, plain_first: bool) -> tuple[str, ...]:
    """What may be tried beyond 127.0.0.0/8, in order, under a Mandate with or without these permits."""
    clear = tuple(each for each in offered if each in PLAIN)
    veiled = tuple(each for each in offered if each not in PLAIN)
    if plain_first:
        return clear + veiled
    return veiled + clear if plain else veiled


def dialled(transport: str) -> str:
    """The name by which a negotiated transport is dialled."""
    return f"mse/{carrier(transport)}" if transport.startswith("mse") else transport


def order(offered: tuple[str, ...], worked: str | None) -> tuple[str, ...]:
    """The transports in the order in which they are tried."""
    if worked is None or dialled(worked) not in offered:
        return offered
    first = dialled(worked)
    return (first, *(each for each in offered if each != first))


def following(offered: tuple[str, ...], worked: str | None, tried: str) -> str | None:
    """The next transport of a visit in which `tried` (names by spaces) have failed; None after the last."""
    return next((each for each in order(offered, worked) if each not in tried.split()), None)


def failed(offered: tuple[str, ...], tried: str, transport: str, *, reached: bool) -> str:
    """`tried` after another failure. Where nobody was reached, no transport of that carrier is tried again."""
    gone = {transport} if reached else {each for each in offered if carrier(each) == carrier(transport)}
    return " ".join(sorted({*tried.split(), *gone}))


def probe(worked: str, chosen: tuple[str, ...]) -> str:
    """What a control probe goes over: plaintext on the carrier that worked. Its random infohash shows nothing, so that
    it needs no permit; over MSE nobody could answer it. MSE, or the other carrier, only where the operator chose
    transports without that: what worked may be of an earlier run.
    """
    plain = carrier(worked)
    best = (plain, f"mse/{plain}", *PLAIN)
    return next((each for each in best if each in chosen), chosen[0]) if chosen else plain
