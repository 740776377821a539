"""Message Stream Encryption (MSE) around a conversation over a stream, as its first side, A; the other side is B.

The inner conversation begins when B has proven that it knows the infohash and has chosen a method: who cannot is told
no peer id. From then on bytes are decrypted inwards and encrypted outwards, as B chose. The tape gets what was on the
wire. Padding is arbitrary bytes of a stranger: it is left out, only its length is kept. A proof of B shows that it knew
the infohash beforehand, since its RC4 key is made of it. Sections as in `_mse_keys`.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from clew.model import Missing, Reason
from clew.observe.api import Contact, Conversation, Event, Limits, Send, Sendable, Sighted, Tape, Target
from clew.observe.networks import _mse_keys as keys
from clew.observe.networks._messages import AfterHandshake, Handshake
from clew.observe.networks._mse_messages import PLAINTEXT, RC4, Encrypted, MseKey, MseProof
from clew.observe.networks._peer import Over

CHOICE_BYTES = 4 + 2  # step 4: crypto_select, len(PadD)
METHODS = {PLAINTEXT: "mse-plain", RC4: "mse-rc4"}
SLOW = Missing(Reason.LIMIT_REACHED, "more time than one contact has")


class CipherTape:
    """The inner conversation's Tape: for what it notes of the plaintext, as much of the ciphertext is noted.

    Bytes it left out are left out, those too that are still to come; bytes it never noted are never kept.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._came = bytearray()
        self._unwanted = 0  # bytes that were left out and have not come yet
        self._stream: keys.Keystream | None = None
        self._at = 0

    @property
    def pending(self) -> int:
        """Bytes of ciphertext that came and that the inner conversation has not noted yet."""
        return len(self._came)

    def seal(self, stream: keys.Keystream, at: int) -> None:
        """From now on our plaintext is encrypted on the wire, from this place of this stream on."""
        self._stream, self._at = stream, at

    def came(self, data: bytes) -> None:
        """Ciphertext whose plaintext is about to go inwards."""
        self._came += data[self._unwanted :]
        self._unwanted = max(0, self._unwanted - len(data))

    def forget(self) -> None:
        """What was not noted will not be."""
        self._came.clear()

    def sent(self, data: bytes, at_ns: int) -> None:
        """Plaintext that the inner conversation sent."""
        if self._stream is not None:
            data, self._at = self._stream.cover(data, self._at), self._at + len(data)
        self._tape.sent(data, at_ns)

    def received(self, data: bytes, at_ns: int) -> None:
        """Plaintext that the inner conversation read."""
        self._tape.received(bytes(self._came[: len(data)]), at_ns)
        del self._came[: len(data)]

    def left_out(self, label: str, length: int, at_ns: int, *, sent: bool = False) -> None:
        """Bytes that the inner conversation does not keep."""
        self._tape.left_out(label, length, at_ns, sent=sent)
        if not sent:
            self._unwanted += max(0, length - len(self._came))
            del self._came[:length]

    def header(self, data: bytes, at_ns: int, *, sent: bool = False) -> None:
        """Passed on."""
        self._tape.header(data, at_ns, sent=sent)

    def end(self, how: str, at_ns: int) -> None:
        """Passed on."""
        self._tape.end(how, at_ns)

    def encode(self) -> bytes:
        """The transcript of the whole connection."""
        return self._tape.encode()


class MseConversation:
    """The handshake of MSE, then a pipe. `_take` looks at `_held`, at most `_most` bytes, and says what it gives back.

    `provide` is what we offer: PLAINTEXT, RC4 or both.
    """

    def __init__(
        self,
        target: Target,
        limits: Limits,
        inner: Callable[[Tape], Conversation],
        tape: Tape,
        entropy: bytes,
        carrier: str,
        provide: int = PLAINTEXT | RC4,
    ) -> None:
        self._target, self._limits, self._tape = target, limits, tape
        self._entropy, self._carrier, self._provide = entropy, carrier, provide
        self._inner_tape = CipherTape(tape)
        self._inner = inner(self._inner_tape)
        self._private = self._pad_c = 0  # once our key is drawn
        self._traffic: defaultdict[str, int] = defaultdict(int)
        self._held = bytearray()
        self._take: Callable[[], int] = self._key
        self._most, self._awaited = keys.KEY_BYTES, "its key"
        self._vc = b""
        self._stream: keys.Keystream | None = None  # of what we send, once it gave a key
        self._at = 0  # bytes of it that are used up
        self._chosen = 0  # once the stream has begun
        self._open: Callable[[bytes], bytes] = bytes
        self._over = False
        self._now = self._end_ns = self._wake_ns = 0
        self._out: list[Event] = []

    @property
    def wake_ns(self) -> int:
        """When time alone ends this."""
        return min(self._inner.wake_ns if self._chosen else self._wake_ns, self._end_ns)

    @property
    def held(self) -> int:
        """Bytes of the step that is not complete yet; later, of a message both as it came and decrypted."""
        return len(self._held) + self._inner_tape.pending + self._inner.held

    def opened(self, now_ns: int) -> list[Event]:
        """Sends our key."""
        self._now = now_ns
        self._end_ns, self._wake_ns = now_ns + self._limits.hold_ns, now_ns + self._limits.answer_ns
        key = MseKey(self._entropy)
        self._private, self._pad_c = key.drawn.private, key.drawn.pad_c
        self._send(key)
        return self._flush()

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Reads the steps of the handshake; what comes after them goes inwards."""
        if self._over:
            return []
        self._now, at = now_ns, 0
        try:
            while at < len(data) and not self._chosen:
                part = data[at : at + self._most - len(self._held)]
                self._held += part
                at += len(part) - self._take()
        except Over as over:
            self._finish(over.missing)
        if self._chosen and at < len(data):
            rest = data[at:]
            self._inner_tape.came(rest)
            self._outwards(self._inner.receive(self._open(rest), now_ns))
        return self._flush()

    def tick(self, now_ns: int) -> list[Event]:
        """Ends the conversation where its time is over."""
        if self._over or now_ns < self.wake_ns:
            return []
        self._now = now_ns
        if not self._chosen:
            self._finish(Missing(Reason.LIMIT_REACHED, f"no MSE: {self._awaited} did not come in time"))
        else:
            self._outwards(self._inner.tick(now_ns))
            if not self._over and now_ns >= self._end_ns:
                self._outwards(self._inner.closed(now_ns, SLOW))
        return self._flush()

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        """Ends the conversation on what was said before."""
        if self._over:
            return []
        self._now = now_ns
        if self._chosen:
            self._outwards(self._inner.closed(now_ns, why))
        else:
            self._finish(why or Missing(Reason.UNREADABLE, f"no MSE: the peer closed before {self._awaited}"))
        return self._flush()

    # the steps; each says how many bytes of `_held` belong to the next one ------------------------------------------

    def _key(self) -> int:
        """Step 2: Yb. Then step 3 follows at once."""
        if len(self._held) < keys.KEY_BYTES:
            return 0
        theirs = self._step("mse key")
        try:
            secret = keys.agreed(self._private, theirs)
        except ValueError:
            raise Over(Missing(Reason.UNPARSABLE, "no MSE: its key is none")) from None
        self._prove(secret)
        self._wake_ns = self._now + self._limits.answer_ns
        # "Optional early termination conditions", step 5: the VC is within 616 bytes of the start, the key among them.
        self._next(self._proof, keys.MAX_PAD + len(keys.VC), "its proof that it knows the infohash")
        return 0

    def _proof(self) -> int:
        """Step 4: PadB, of unknown length, ends where the encrypted VC begins."""
        start = self._held.find(self._vc)
        if start < 0:
            if len(self._held) == self._most:
                raise Over(Missing(Reason.LIMIT_REACHED, f"no MSE: no proof within {self._most} bytes of its key"))
            return 0
        beyond = len(self._held) - start - len(self._vc)
        self._padding(start)
        del self._held[:start], self._held[len(self._vc) :]
        self._step("mse proof")
        self._next(self._choice, CHOICE_BYTES, "its choice of a method")
        return beyond

    def _choice(self) -> int:
        """Step 4: crypto_select, of which unknown bits are ignored ("Constants/Variables"), and len(PadD)."""
        if len(self._held) < CHOICE_BYTES:
            return 0
        plain = self._open(self._step("mse choice"))
        chosen, pad = int.from_bytes(plain[:4], "big") & (PLAINTEXT | RC4), int.from_bytes(plain[4:], "big")
        if chosen not in METHODS or not chosen & self._provide:
            raise Over(Missing(Reason.UNPARSABLE, "no MSE: it chose what was not offered"))
        if pad > keys.MAX_PAD:
            self._tape.left_out("mse padding", pad, self._now)
            raise Over(Missing(Reason.TOO_LARGE, f"no MSE: padding longer than {keys.MAX_PAD} bytes"))
        self._next(lambda: self._pad_d(chosen), pad, "the end of its padding")
        return self._pad_d(chosen)

    def _pad_d(self, chosen: int) -> int:
        """Step 4: PadD, which may be empty; then the stream begins, with the inner conversation's handshake."""
        if len(self._held) < self._most:
            return 0
        self._open(bytes(self._held))
        self._padding(len(self._held))
        self._held.clear()
        self._chosen = chosen
        if chosen == PLAINTEXT:
            self._open = bytes
        else:
            assert self._stream is not None
            self._inner_tape.seal(self._stream, self._at)
        self._outwards(self._inner.opened(self._now))
        return 0

    # what is common -------------------------------------------------------------------------------------------------

    def _prove(self, secret: bytes) -> None:
        """Step 3."""
        proof = MseProof(secret, self._target.infohash, self._provide, self._pad_c)
        self._stream, self._at = proof.stream, proof.encrypted
        self._open = keys.rc4(keys.key_b(secret, self._target.infohash))
        self._vc = self._open(keys.VC)
        self._send(proof)

    def _next(self, take: Callable[[], int], most: int, awaited: str) -> None:
        self._take, self._most, self._awaited = take, most, awaited

    def _step(self, name: str) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        self._tape.received(data, self._now)
        self._traffic[f"received {name}"] += len(data)
        return data

    def _padding(self, length: int) -> None:
        if length:
            self._tape.left_out("mse padding", length, self._now)
            self._traffic["received mse padding"] += length

    def _send(self, message: Sendable) -> None:
        data = message.encode()
        self._tape.sent(data, self._now)
        self._traffic[f"sent {message.name}"] += len(data)
        self._out.append(Send(message))

    def _finish(self, missing: Missing | None) -> None:
        """Ends within the handshake; the inner conversation makes the finding."""
        if self._held:
            self._tape.left_out("unfinished MSE step", len(self._held), self._now)
            self._traffic["received unfinished mse step"] += len(self._held)
            self._held.clear()
        self._outwards(self._inner.closed(self._now, missing))

    def _outwards(self, events: list[Event]) -> None:
        """Wraps what the inner conversation sends, and completes what it found."""
        for event in events:
            if isinstance(event, Send):
                self._out.append(Send(self._wrapped(event.message)))
                continue
            self._over, self._take = True, _nothing  # refers to itself no more, so that it is given back at once
            self._inner_tape.forget()
            assert isinstance(event.finding, Contact)
            transport = f"{METHODS.get(self._chosen, 'mse')}/{self._carrier}"
            # Who gave a key speaks MSE: it does not hold the infohash, and will not over another transport.
            finding = replace(event.finding, transport=transport, shut=self._stream is None)
            for name, count in event.traffic.items():
                self._traffic[name] += count
            self._out.append(Sighted(finding, event.transcript, dict(self._traffic)))

    def _wrapped(self, message: Sendable) -> Sendable:
        if self._chosen == PLAINTEXT:
            return message
        assert self._stream is not None
        assert isinstance(message, Handshake | AfterHandshake)
        sealed = Encrypted(message, self._stream, self._at)
        self._at += len(message.encode())
        return sealed

    def _flush(self) -> list[Event]:
        out, self._out = self._out, []
        return out


def _nothing() -> int:
    """The step once all is over."""
    return 0
