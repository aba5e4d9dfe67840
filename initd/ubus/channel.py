# SPDX-License-Identifier: MIT
"""One connection: frames and their descriptors through a non-blocking AF_UNIX stream, both ways, bounded.

Used by the broker for each peer and by the client for its one. Knows nothing of what a frame means.
"""

import posix
from _struct import Struct

from initd.slim import deque, socket
from initd.ubus.blob import BlobError
from initd.ubus.strangers import close_fd, close_socket
from initd.ubus.wire import DATA, FRAME_MAX, HEAD_BYTES, INVOKE, STATUS, Frame, frame_length, unpack_frame

CHUNK_BYTES = 16384  # per readiness: one busy peer does not keep the others waiting
OUTPUT_MAX = FRAME_MAX  # what may wait for a peer that does not read
FDS_MAX = 8  # descriptors that may wait with it
FRAME_BYTES = 200  # of memory for a message that waits, beside what it says
FD_BYTES = 1 << 17  # what each that waits counts for: there are fewer of them than bytes
FDS_SENT_MAX = 253  # of one message; the kernel's own bound, which no header tells
_FD = Struct("i")
# of more than fit in here the kernel closes the rest while we read
_ANCILLARY_BYTES = socket.CMSG_SPACE(FDS_SENT_MAX * _FD.size)
_RECEIVE = socket.MSG_CMSG_CLOEXEC  # or every child would inherit what strangers pass
_WITH_FD = frozenset((INVOKE, STATUS, DATA))


class PeerGone(OSError):
    """The other side closed the connection, does not read, or sent what no frame is."""


class Channel:
    """Frames over a connected socket, which it owns."""

    __slots__ = ("_fd_count", "_input", "_output", "_output_max", "_passed", "output_bytes", "socket")

    def __init__(self, connected: socket.socket, output_max: int = OUTPUT_MAX) -> None:
        connected.setblocking(False)
        self.socket = connected
        self.output_bytes = 0
        self._output_max = output_max
        self._input = bytearray()
        self._output: deque[tuple[memoryview, int]] = deque()
        self._fd_count = 0
        self._passed = -1  # came with the frame whose rest is still on its way

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self.socket.fileno()

    @property
    def held_bytes(self) -> int:
        """What this peer keeps busy: what waits for it, what it began to send, descriptors with either."""
        frames, fds = len(self._output), self._fd_count + (self._passed >= 0)
        return self.output_bytes + len(self._input) + FRAME_BYTES * frames + FD_BYTES * fds

    def receive(self) -> list[Frame]:
        """The frames that are complete after one read. A frame's `fd` belongs to the caller from then on.

        Raises PeerGone: then nothing of this connection is to be believed any more.
        """
        try:
            chunk, ancillary, _, _ = self.socket.recvmsg(CHUNK_BYTES, _ANCILLARY_BYTES, _RECEIVE)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            raise PeerGone(error.errno, error.strerror) from error
        fd = _take_fd(ancillary)
        if not chunk:
            close_fd(fd)
            raise PeerGone(0, "closed")
        self._input += chunk
        try:
            return self._split(fd)
        except BlobError as error:
            close_fd(fd)
            raise PeerGone(0, str(error)) from error

    def _split(self, fd: int) -> list[Frame]:
        """A descriptor comes with the last frame that began in this read: the kernel ends the read after the
        piece that carries one, and a sender sends such a frame by itself.
        """
        data, start = self._input, 0
        frames: list[Frame] = []
        while len(data) - start >= HEAD_BYTES:
            try:
                length = frame_length(data, start)
            except BlobError:
                for frame in frames:
                    close_fd(frame.fd)
                raise
            if len(data) - start < length:
                break
            frame = unpack_frame(data, start, start + length)
            frame.fd, self._passed = self._passed, -1
            frames.append(frame)
            start += length
        del data[:start]
        if fd >= 0:
            self._give(fd, frames)
        for frame in frames:
            if frame.fd >= 0 and frame.type not in _WITH_FD:
                close_fd(frame.fd)
                frame.fd = -1
        return frames

    def _give(self, fd: int, frames: list[Frame]) -> None:
        if self._input or not frames:
            close_fd(self._passed)
            self._passed = fd
        else:
            close_fd(frames[-1].fd)
            frames[-1].fd = fd

    def send(self, raw: bytes, fd: int = -1) -> None:
        """Send a frame, or keep what the socket does not take. `fd` stays the caller's.

        Raises PeerGone when the connection is broken or more than its bound would wait.
        """
        rest = memoryview(raw)
        if not self._output:
            sent = self._write(rest, fd)
            if sent:
                fd = -1
            if sent == len(raw):
                return
            rest = rest[sent:]
        if self.output_bytes + len(rest) > self._output_max:
            raise PeerGone(0, "does not read")
        if fd >= 0:
            if self._fd_count >= FDS_MAX:
                raise PeerGone(0, "does not take its descriptors")
            fd = posix.dup(fd)
            self._fd_count += 1
        self._output.append((rest, fd))
        self.output_bytes += len(rest)

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it. Raises PeerGone."""
        while self._output:
            rest, fd = self._output[0]
            sent = self._write(rest, fd)
            if not sent:
                return
            self.output_bytes -= sent
            if fd >= 0:
                close_fd(fd)
                self._fd_count -= 1
            if sent < len(rest):
                self._output[0] = (rest[sent:], -1)
                return
            self._output.popleft()

    def _write(self, rest: memoryview, fd: int) -> int:
        try:
            if fd < 0:
                return self.socket.send(rest, socket.MSG_NOSIGNAL)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(fd))]
            return self.socket.sendmsg([rest], rights, socket.MSG_NOSIGNAL)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise PeerGone(error.errno, error.strerror) from error

    def close(self) -> None:
        """Close the connection and every descriptor that waited in it."""
        close_socket(self.socket)
        for _, fd in self._output:
            close_fd(fd)
        close_fd(self._passed)
        self._passed = -1
        self._output.clear()
        self._input = bytearray()
        self.output_bytes = self._fd_count = 0


def _take_fd(ancillary: "list[tuple[int, int, bytes]]") -> int:
    """The first descriptor that came; a message has one, others are closed."""
    fds: list[int] = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = payload[: len(payload) // _FD.size * _FD.size]
            fds += [fd for (fd,) in _FD.iter_unpack(whole)]
    for fd in fds[1:]:
        close_fd(fd)
    return fds[0] if fds else -1
