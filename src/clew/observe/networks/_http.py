"""The least of HTTP/1.1 (RFC 9112) that a tracker's reply needs: a status line, headers, a bounded body.

Redirects are not followed at all, so that a tracker cannot send us anywhere; compression is not offered and not read.
"""

MAX_HEAD = 4 * 1024


class Unusable(ValueError):
    """This reply cannot be used; the text says why."""


class Reply:
    """Takes a reply piece by piece. `body` is complete once `complete`; never more than `limit` bytes are held."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = bytearray()
        self._wire = bytearray()  # chunked coding not taken off yet: one size line or less than one chunk
        self.head: bytes | None = None
        self.body = bytearray()
        self.complete = False
        self._left: int | None = None
        self._chunked = False
        self._last_chunk = False

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._head) + len(self._wire) + len(self.body)

    def receive(self, data: bytes) -> None:
        """Takes the next bytes. Raises Unusable."""
        if self.head is None:
            data = self._take_head(data)
        if self.head is None or self.complete:
            return
        if self._chunked:
            self._take_chunks(data)
        else:
            self._grow(data if self._left is None else data[: self._left - len(self.body)])
            self.complete = self._left is not None and len(self.body) == self._left

    def closed(self) -> None:
        """The tracker closed: the end of a reply without a length. Raises Unusable where it is cut short."""
        if self.head is None or self._chunked or self._left is not None:
            raise Unusable("the reply is cut short")
        self.complete = True

    def _take_head(self, data: bytes) -> bytes:
        before = len(self._head)
        self._head += data[: MAX_HEAD - before]
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) >= MAX_HEAD:
                raise Unusable("the reply's head is too long")
            return b""
        self.head = bytes(self._head[: end + 4])
        self._head.clear()
        self._understand(self.head)
        return data[end + 4 - before :]

    def _understand(self, head: bytes) -> None:
        status, *lines = head[:-4].split(b"\r\n")
        parts = status.split(b" ", 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1."):
            raise Unusable("the reply is not HTTP")
        if parts[1] != b"200":
            code = parts[1].decode("ascii", "replace")[:3]
            raise Unusable(f"status {code}" + (", redirects are not followed" if code.startswith("3") else ""))
        fields = {name.strip().lower(): value.strip().lower() for name, _, value in (x.partition(b":") for x in lines)}
        if fields.get(b"content-encoding", b"identity") != b"identity":
            raise Unusable("the reply is compressed, which we did not offer")
        self._chunked = fields.get(b"transfer-encoding") == b"chunked"
        if not self._chunked and b"transfer-encoding" in fields:
            raise Unusable("an unknown transfer coding")
        length = fields.get(b"content-length")
        if length is not None and not self._chunked:
            if not length.isdigit() or len(length) > 12:
                raise Unusable("a length that is no number")
            self._left = int(length)
            if self._left > self._limit:
                raise Unusable(f"a reply longer than {self._limit} bytes")
            self.complete = self._left == 0

    def _take_chunks(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not self.complete:
            if self._left:
                part = data[at : at + self._left]
                self._grow(part)
                self._left -= len(part)
                at += len(part)
                continue
            end = data.find(b"\n", at)
            stop = len(data) if end < 0 else end + 1
            self._wire += data[at:stop]
            at = stop
            if len(self._wire) > MAX_HEAD:
                raise Unusable("a chunk without a size")
            if end >= 0:
                self._chunk_line(bytes(self._wire).strip())
                self._wire.clear()

    def _chunk_line(self, line: bytes) -> None:
        """A size line, the empty line that ends a chunk, or a trailer after the last chunk (RFC 9112 section 7.1)."""
        if self._last_chunk:
            self.complete = not line
        elif line:
            digits = line.partition(b";")[0].strip()
            if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
                raise Unusable("a chunk without a size")
            self._left = int(digits, 16)
            self._last_chunk = not self._left

    def _grow(self, data: bytes) -> None:
        if len(self.body) + len(data) > self._limit:
            raise Unusable(f"a reply longer than {self._limit} bytes")
        self.body += data
