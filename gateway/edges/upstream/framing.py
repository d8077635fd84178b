"""One HTTP/1.1 answer out of bytes cut anywhere: its head, then its body without framing.

Strict, since what two parsers could read differently might be another client's answer: two lengths, a length beside chunks, bare
line feeds, signs in a number, folded lines are `Malformed`. Interim answers (1xx) are passed over. A body ends by its length, by
its last chunk, or with the connection. Trailers and chunk extensions are read and dropped. Bytes behind the end make the answer
`has_surplus`: whoever sent them has lost the thread, and its connection is not used again.

Equal bytes give equal answers for every cut (tests/unit/gateway/edges/upstream/test_framing.py). Source: RFC 9112.
"""

import re

from gateway.ports import Headers

HEAD_MAX = 64 * 1024
"""Bytes of a head, or of one chunk's size line and the trailers."""
INTERIM_MAX = 16
"""Interim answers before the real one."""

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n\0]*)?\r\n")
_FIELD = re.compile(rf"^({_NAME}):[ \t]*([^\r\n\0]*)\r\n", re.MULTILINE)
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")
_NO_BODY = frozenset((204, 304))
_WATCHED = frozenset(("content-length", "transfer-encoding", "connection", "content-type"))
_START, _LENGTH, _CHUNKS, _EOF, _END = range(5)


class Malformed(Exception):
    """These bytes are no HTTP answer, or an ambiguous one."""


class Answer:
    """One answer as it comes in."""

    __slots__ = (
        "_body", "_interim", "_left", "_phase", "_tail", "body_bytes", "content_type", "fields", "has_surplus", "is_kept", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is here."""
        self.fields: Headers = ()
        self.content_type = ""
        self.is_kept = True
        """Whether the connection may be used after this answer."""
        self.has_surplus = False
        self.body_bytes = 0
        """Bytes that `take` would return."""
        self._body: list[bytes] = []
        self._tail = b""
        self._phase, self._left, self._interim = _START, 0, 0

    @property
    def is_complete(self) -> bool:
        """Whether the answer's last byte has come."""
        return self._phase == _END

    @property
    def is_begun(self) -> bool:
        """Whether any byte has come."""
        return self.status != 0 or self._interim != 0 or self._tail != b""

    def take(self) -> bytes:
        """Hand over the body bytes that have come since the last call."""
        body = self._body
        data = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        self.body_bytes = 0
        return data

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the connection.

        Raises: Malformed.
        """
        if self._phase == _START:
            data = self._head(data)
        phase = self._phase
        if phase == _LENGTH:
            left = self._left
            if len(data) > left:
                self.has_surplus = True
                data = data[:left]
            if data:
                self._left = left - len(data)
                self._body.append(data)
                self.body_bytes += len(data)
            if len(data) == left:
                self._phase = _END
        elif phase == _CHUNKS:
            self._chunks(data)
        elif phase == _EOF:
            if data:
                self._body.append(data)
                self.body_bytes += len(data)
        elif phase == _END and data:
            self.has_surplus = True

    def ended(self) -> bool:
        """Take the end of the connection; return whether the answer is whole."""
        if self._phase == _EOF:
            self._phase = _END
        return self._phase == _END

    def _head(self, data: bytes) -> bytes:
        """Read heads; return the bytes behind the last one."""
        if self._tail:
            data, self._tail = self._tail + data, b""
        while self._phase == _START:
            end = data.find(b"\r\n\r\n")
            if end < 0 or end > HEAD_MAX:
                if len(data) > HEAD_MAX:
                    raise Malformed(f"a head of more than {HEAD_MAX} bytes")
                if not (data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)) or data.count(b"\n") != data.count(b"\r\n"):
                    raise Malformed("not an HTTP/1 answer")
                self._tail = data
                return b""
            line = _STATUS.match(data)
            if line is None:
                raise Malformed("not an HTTP/1 answer")
            status = int(line[2])
            if status < 200:
                self._interim += 1
                if status == 101 or self._interim > INTERIM_MAX:
                    raise Malformed("a change of protocol that nobody asked for" if status == 101 else "interim answers without end")
            else:
                self._read(line[1] == b"1", status, data[line.end() : end + 2])
            data = data[end + 4 :]
        return data

    def _read(self, is_modern: bool, status: int, raw: bytes) -> None:
        # What is no UTF-8 goes on as it came: the server encodes in the same way.
        text = raw.decode("utf-8", "surrogateescape")
        fields = _FIELD.findall(text)
        # Each field ends at the one line end it has, so that nothing lies between two of them.
        if not len(fields) == text.count("\n") == text.count("\r"):
            raise Malformed("a broken header")
        if " \r" in text or "\t\r" in text:
            fields = [(name, value.rstrip(" \t")) for name, value in fields]
        length = coding = None
        connection = ""
        for name, value in fields:
            low = name.lower()
            if low not in _WATCHED:
                continue
            if low == "content-type":
                self.content_type = value
            elif low == "connection":
                connection += "," + value.lower()
            elif low == "content-length":
                if length is not None or not (value.isascii() and value.isdigit() and len(value) < 19):
                    raise Malformed("no usable length")
                length = int(value)
            elif coding is None:
                coding = value.lower()
            else:
                raise Malformed("two transfer encodings")
        self.status, self.fields = status, fields
        if connection or not is_modern:
            said = [part.strip() for part in connection.split(",")]
            self.is_kept = "close" not in said and (is_modern or "keep-alive" in said)
        if coding is not None and (coding != "chunked" or length is not None or not is_modern):
            raise Malformed("an ambiguous transfer encoding")
        if status in _NO_BODY or length == 0:
            self._phase = _END
        elif coding is not None:
            self._phase = _CHUNKS
        elif length is not None:
            self._phase, self._left = _LENGTH, length
        else:
            self._phase, self.is_kept = _EOF, False

    def _chunks(self, data: bytes) -> None:
        """Take bytes of a chunked body. `_left` is what a chunk still brings, its line end included; 0 before a size, -1 in trailers."""
        if self._tail:
            data, self._tail = self._tail + data, b""
        at, size, left, body = 0, len(data), self._left, self._body
        while at < size:
            if left > 2:
                last = min(at + left - 2, size)
                body.append(data[at:last])
                self.body_bytes += last - at
                left -= last - at
                at = last
                continue
            if left > 0:
                if data[at] != (13 if left == 2 else 10):
                    raise Malformed("a chunk that is longer than it said")
                at += 1
                left -= 1
                continue
            end = data.find(b"\r\n", at)
            if end < 0 or end - at > HEAD_MAX:
                if size - at > HEAD_MAX:
                    raise Malformed("a chunk's size without end")
                self._tail = data[at:]
                break
            line = data[at:end]
            at = end + 2
            if left == 0 and len(line) < 16 and line.isalnum():  # The usual chunk: a size without extensions, and all of it here.
                try:
                    left = int(line, 16)
                except ValueError:
                    raise Malformed("a chunk without a size") from None
                if left and data[at + left : at + left + 2] == b"\r\n":
                    body.append(data[at : at + left])
                    self.body_bytes += left
                    at += left + 2
                    left = 0
                else:
                    left = left + 2 if left else -1
                continue
            if left < 0:
                left -= len(line) + 2
                if not line:
                    self._phase = _END
                    self.has_surplus = at < size
                    break
                if b"\n" in line or left < -HEAD_MAX:
                    raise Malformed("broken trailers")
                continue
            found = _SIZE.fullmatch(line)
            if found is None:
                raise Malformed("a chunk without a size")
            left = int(found[1], 16)
            left = left + 2 if left else -1
        self._left = left
