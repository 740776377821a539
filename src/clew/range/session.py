"""What a fake says and hears once a connection stands, the same over every carrier."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

from clew.range import fake, hostile
from clew.range.bdecode import Malformed, dictionary
from clew.range.scenario import Manner
from clew.range.script import Call, Script

LARGEST_MESSAGE = 1 << 20
PEX_WAIT = 1.0  # seconds that canaries wait for the caller's extension handshake, where there is PEX to tell
PEX_TOLD = 50  # endpoints in a ut_pex message: BEP 11, "no more than 50 added"
SLOWEST = (1.0, 3.0)  # seconds that a slow one takes
SPEAKING = frozenset({Manner.ANSWERS, Manner.SLOW, Manner.ECHOES, Manner.OTHER})


class Session:
    """One conversation. `say` sends bytes as the carrier wraps them, `hang_up` ends it."""

    __slots__ = (
        "_answered",
        "_call",
        "_caller",
        "_hang_up",
        "_heard_extensions",
        "_held",
        "_loop",
        "_over",
        "_pex_id",
        "_pushed",
        "_say",
        "_script",
        "_timers",
        "carrier",
    )

    def __init__(
        self, script: Script, call: Call, carrier: str, say: Callable[[bytes], None], hang_up: Callable[[], None]
    ) -> None:
        self._script, self._call, self.carrier = script, call, carrier
        self._say, self._hang_up = say, hang_up
        self._held = bytearray()
        self._caller: fake.Caller | None = None
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self._over = self._answered = self._pushed = self._heard_extensions = False
        self._pex_id = 0  # what the caller calls ut_pex; 0 where it knows none

    def receive(self, data: bytes) -> None:
        """Bytes of the caller's, in clear."""
        self._held += data
        if self._caller is None and len(self._held) >= fake.HANDSHAKE_BYTES:
            self._greeted(bytes(self._held[: fake.HANDSHAKE_BYTES]))
            del self._held[: fake.HANDSHAKE_BYTES]
        while self._caller is not None and not self._over and self._message(self._caller):
            continue

    def leave(self) -> None:
        """Nothing is said any more."""
        self._over = True
        for timer in self._timers:
            timer.cancel()

    def play(self, lines: Iterator[tuple[float, bytes]]) -> None:
        """Says one thing after another, each some seconds after the one before."""
        for wait, said in lines:
            if wait:
                self._later(wait, partial(self._go_on, said, lines))
                return
            self._say(said)

    def _go_on(self, said: bytes, lines: Iterator[tuple[float, bytes]]) -> None:
        self._say(said)
        self.play(lines)

    def _later(self, wait: float, act: Callable[[], None]) -> None:
        self._timers = [t for t in self._timers if t.when() > self._loop.time()]
        self._timers.append(self._loop.call_later(wait, act))

    def _greeted(self, data: bytes) -> None:
        audit, call, party = self._script.audit, self._call, self._call.party
        caller = fake.read_handshake(data)
        if caller is None:
            audit.forbid("something that is no handshake", call.sender, call.to)
            self._hang_up()
            return
        self._caller = caller
        audit.greeted(
            caller,
            call.sender,
            call.to,
            at=self._loop.time(),
            unwatched=self._script.watched(caller.infohash) is False,
            carrier=self.carrier,
        )
        if party.client.extended and party.manner is not Manner.SILENT:
            audit.gossiped["connections that a ut_pex message would list"] += 1
        if party.manner in SPEAKING:
            self._speak(caller)
        elif party.manner is not Manner.SILENT:
            head = (caller.infohash, self._script.peer_id(party))
            self.play(hostile.lines(party, *head, self._script.canary, self._script.rng))

    def _speak(self, caller: fake.Caller) -> None:
        if self._script.holding(self._call.party, caller.infohash) is None:
            self._hang_up()
        elif self._call.party.manner is Manner.SLOW:
            self._later(self._script.rng.uniform(*SLOWEST), lambda: self._answer(caller))
        else:
            self._answer(caller)

    def _answer(self, caller: fake.Caller) -> None:
        script, call, party = self._script, self._call, self._call.party
        found = script.holding(party, caller.infohash)
        assert found is not None
        holding, torrent = found
        said = fake.answer(
            party,
            script.told(party, holding),
            torrent,
            caller,
            echo=script.echo(party, caller.infohash),
            peer_id=script.peer_id(party),
            port=call.local[1],
            caller_address=call.caller[0],
        )
        self._answered = True
        if caller.extended and party.client.extended and script.pex.has_parties and not self._heard_extensions:
            self._say(said)
            self._later(PEX_WAIT, self._push)
        else:
            self._say(said + self._rest())  # one segment less for each of tens of thousands

    def _push(self) -> None:
        rest = self._rest()
        if rest:
            self._say(rest)

    def _rest(self) -> bytes:
        """Once: one ut_pex message, to a caller that offered it, and what nobody asked for."""
        if self._pushed or self._caller is None:
            return b""
        self._pushed = True
        told = b""
        if self._pex_id:
            peers = self._script.pex.sample(self._caller.infohash, self._script.second, PEX_TOLD)
            told = fake.pex(self._pex_id, peers, self._script.rng)
        canary = self._script.canary
        pushed = fake.pushed(canary, self._script.rng)
        self._script.audit.canary_bytes_pushed[self.carrier] += pushed.count(canary) * len(canary)
        return told + pushed

    def _message(self, caller: fake.Caller) -> bool:
        """Hears one message; False where there is none yet, or nobody listens any more."""
        if len(self._held) < 4:
            return False
        length = int.from_bytes(self._held[:4], "big")
        if length > LARGEST_MESSAGE:
            self._script.audit.forbid("a message larger than any that a peer needs", self._call.sender, self._call.to)
            self._hang_up()
            return False
        if len(self._held) < 4 + length:
            return False
        body = bytes(self._held[4 : 4 + length])
        del self._held[: 4 + length]
        if body:
            self._heard(caller, body[0], body[1:])
        return True

    def _heard(self, caller: fake.Caller, kind: int, payload: bytes) -> None:
        party = self._call.party
        extended = party.client.extended and caller.extended
        self._script.audit.received(
            kind,
            payload,
            fast=party.client.fast and caller.fast,
            extended=extended,
            sender=self._call.sender,
            to=f"{self._call.to} ({party.kind}, {self.carrier})",
        )
        if kind == fake.INTERESTED:
            self._say(fake.message(fake.UNCHOKE))
        elif kind == fake.EXTENDED and extended and payload[:1] == b"\x00":
            self._extensions(payload[1:])

    def _extensions(self, data: bytes) -> None:
        """The caller's extension handshake (BEP 10): what it calls ut_pex, whether it tells a port to list."""
        try:
            found = dictionary(data)
        except Malformed:
            self._script.audit.forbid("an extension handshake that is none", self._call.sender, self._call.to)
            return
        names, port = found.get(b"m"), found.get(b"p")
        number = names.get(b"ut_pex") if isinstance(names, dict) else None
        self._pex_id = number if isinstance(number, int) and 0 < number < 256 else 0
        if port and self._call.party.manner is not Manner.SILENT:
            self._script.audit.gossiped["of these, with a listen port told"] += 1
        first, self._heard_extensions = not self._heard_extensions, True
        if first and self._pex_id and self._call.party.manner is Manner.PEX_FLOOD:
            self.play(hostile.flood(self._pex_id, self._script.scenario.ports, self._script.rng))
        elif first and self._answered:
            self._push()
