"""The first bytes of a connection: plaintext or MSE, taken or refused as the party's `accepts` has it.

A plaintext handshake shows itself by its first 20 bytes (BEP 3); whatever differs may be the public key that MSE begins
with. What is inside goes to a session, which does not know how it came.
"""

import asyncio
import zlib
from collections.abc import Callable

from clew.range import fake, hostile, mse
from clew.range.line import Line
from clew.range.scenario import Manner
from clew.range.script import Call, Script
from clew.range.session import Session

PATIENCE = 25.0  # seconds that any connection lasts at most
# Which ways of MSE a party takes, the best first: all three kinds are met in the field.
WAYS = ((mse.RC4,), (mse.RC4, mse.PLAIN), (mse.PLAIN, mse.RC4))
WAY_NAMES = {mse.PLAIN: "mse-plain", mse.RC4: "mse-rc4"}


class Doorway:
    """One connection to a fake, from its first byte to its end."""

    __slots__ = ("_call", "_held", "_line", "_mse", "_over", "_padding", "_script", "_session", "_timer")

    def __init__(self, script: Script, call: Call, line: Line) -> None:
        self._script, self._call, self._line = script, call, line
        self._held = bytearray()
        self._mse: mse.Responder | None = None
        self._session: Session | None = None
        self._over = self._padding = False
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._late)
        if call.party.manner is Manner.CLOSES:
            self._leave()
            line.abort()

    def receive(self, data: bytes) -> None:
        """Some bytes of the caller's."""
        if self._over or self._padding:
            return
        if self._mse is not None:
            self._decrypt(data)
        elif self._session is not None:
            self._session.receive(data)
        else:
            self._held += data
            self._look()

    def ended(self) -> None:
        """The caller says nothing more."""
        if self._over:
            return
        if self._session is None and self._held and not fake.may_be_handshake(self._held):
            # More than that would have been taken for the public key of MSE.
            self._script.audit.forbid("something that is no handshake", self._call.sender, self._call.to)
        self._leave()
        self._line.close()

    def _late(self) -> None:
        self.ended()
        self._line.abort()

    def _leave(self) -> None:
        self._over = True
        self._timer.cancel()
        if self._session is not None:
            self._session.leave()

    def _hang_up(self) -> None:
        """Ends it from our side."""
        self._leave()
        self._line.close()

    def _look(self) -> None:
        """Tells what the connection begins with, once there is enough of it."""
        if self._call.party.manner is Manner.SILENT and not fake.may_be_handshake(self._held):
            self._held.clear()
        elif fake.may_be_handshake(self._held):
            if len(self._held) >= len(fake.PROTOCOL):
                self._plaintext()
        elif len(self._held) >= mse.KEY_BYTES:
            self._encrypted()

    def _plaintext(self) -> None:
        carrier = self._call.carrier(mse=False)
        if carrier not in self._call.party.accepts:
            self._script.audit.refused[carrier.value] += 1
            self._hang_up()
            return
        self._begin(carrier.value, self._line.write)
        self._pass(bytes(self._held))
        self._held.clear()

    def _encrypted(self) -> None:
        carrier, party = self._call.carrier(mse=True), self._call.party
        if carrier not in party.accepts:
            self._script.audit.refused[carrier.value] += 1
            self._hang_up()
            return
        ways = WAYS[zlib.crc32(party.id.encode()) % len(WAYS)]
        self._mse = mse.Responder(self._script.keys(party), ways, self._script.rng)
        self._decrypt(bytes(self._held))
        self._held.clear()

    def _decrypt(self, data: bytes) -> None:
        assert self._mse is not None
        try:
            self._mse.receive(data)
        except mse.Failed as why:
            self._script.audit.forbid(f"no MSE handshake: {why}", self._call.sender, self._call.to)
            self._hang_up()
            return
        except mse.Refused:
            self._script.audit.refused[self._call.carrier(mse=True).value] += 1
            self._hang_up()
            return
        if self._mse.out:
            self._line.write(bytes(self._mse.out))
            self._mse.out.clear()
            if self._call.party.manner is Manner.ENDLESS_PAD:
                self._padding = True
                self._begin("mse", self._line.write).play(hostile.endless_padding(self._script.rng))
                return
        if self._mse.selected and self._session is None:
            self._begin(f"{WAY_NAMES[self._mse.selected]}/{'utp' if self._call.utp else 'tcp'}", self._seal)
        if self._mse.inner:
            said = bytes(self._mse.inner)
            self._mse.inner.clear()
            self._pass(said)

    def _seal(self, data: bytes) -> None:
        assert self._mse is not None
        self._line.write(self._mse.seal(data))

    def _begin(self, over: str, say: Callable[[bytes], None]) -> Session:
        self._session = Session(self._script, self._call, over, say, self._hang_up)
        return self._session

    def _pass(self, data: bytes) -> None:
        if self._session is not None and data:
            self._session.receive(data)
