"""Endpoints by address and port, one for each Watch.

Nearly every place has one endpoint alone, which stands there itself: a tuple around it would be 48 bytes more, each.
"""

from collections.abc import Iterator

from clew.observe.endpoints import Endpoint

Place = tuple[str, int]  # address, port


class Places:
    """Iterates over all endpoints; has so many as its length."""

    def __init__(self) -> None:
        self._at: dict[Place, Endpoint | tuple[Endpoint, ...]] = {}
        self._count = 0

    def __iter__(self) -> Iterator[Endpoint]:
        for held in self._at.values():
            if isinstance(held, tuple):
                yield from held
            else:
                yield held

    def __len__(self) -> int:
        return self._count

    def each(self) -> Iterator[tuple[Endpoint, ...]]:
        """The endpoints of each place together."""
        return (held if isinstance(held, tuple) else (held,) for held in self._at.values())

    def at(self, place: Place) -> tuple[Endpoint, ...]:
        """Those of this place, in the order in which they came; none where nobody is known there."""
        held = self._at.get(place, ())
        return held if isinstance(held, tuple) else (held,)

    def find(self, watch: str, place: Place) -> Endpoint | None:
        """The one of this Watch there."""
        held = self._at.get(place, ())
        if isinstance(held, tuple):
            return next((each for each in held if each.watch == watch), None)
        return held if held.watch == watch else None

    def add(self, endpoint: Endpoint) -> None:
        """Adds one that is not there."""
        place = endpoint.place
        there = self.at(place)
        self._at[place] = (*there, endpoint) if there else endpoint
        self._count += 1

    def remove(self, endpoint: Endpoint) -> None:
        """Takes out one that is there."""
        left = tuple(each for each in self.at(endpoint.place) if each is not endpoint)
        self._count -= 1
        if left:
            self._at[endpoint.place] = left if len(left) > 1 else left[0]
        else:
            del self._at[endpoint.place]
