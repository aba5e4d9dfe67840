# SPDX-License-Identifier: MIT
"""The broker: takes ubusd's place on its socket where there is none. Accepts, reads, writes, drops peers.

Nothing here waits: what a peer does not read is kept up to a bound, then the peer is dropped. A peer is never
dropped in the middle of a message of another one: it is put aside, and settled when that is done.
"""

import errno
import os
import stat
from _struct import Struct

from initd.loop import READ, WRITE, Loop
from initd.slim import accept, socket
from initd.ubus import wire
from initd.ubus.acl import ACL_DIR, Acl, Credentials
from initd.ubus.channel import Channel, PeerGone
from initd.ubus.exchange import Exchange
from initd.ubus.own import AclObject, Events, Monitor
from initd.ubus.registry import Peer, Registry, draw_id
from initd.ubus.strangers import close_fd
from initd.ubus.turns import Turns
from initd.ubus.wire import Frame
from jail._native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

PEERS_MAX = 4096
SPARE_FDS = 128  # left to the rest of initd: jails, logs, pipes
HELD_MAX = 8 << 20  # bytes of messages under way, of objects and calls, of all peers but root's together
ACCEPT_MAX = 64  # connections taken per readiness
GROUPS_BYTES = 1024  # the most that Python takes from getsockopt: 256 groups
_CREDENTIALS = Struct("iII")  # struct ucred: pid, uid, gid
_GID = Struct("I")


class Broker:
    """A broker on a socket path. `warn` gets a line for each thing an administrator should know."""

    def __init__(
        self,
        loop: Loop,
        warn: "Callable[[str], None]",
        acl_dir: str = ACL_DIR,
        draw: "Callable[[Container[int]], int]" = draw_id,
    ) -> None:
        self._loop = loop
        self._warn = warn
        self._acl_dir = acl_dir
        self.registry = Registry(draw)
        self.exchange = Exchange(self.registry, Acl())
        self._events = Events(self.exchange)
        AclObject(self.exchange)
        self._monitor = Monitor(self.exchange)
        self._turns = Turns(loop, self._serve_one)
        self._channels: dict[int, Channel] = {}
        self._leaving: dict[int, Peer] = {}
        self._writing: set[int] = set()
        self._held: dict[int, int] = {}  # bytes by peer, root's left out
        self._held_bytes = 0
        self._listener: socket.socket | None = None
        self._path = ""
        self._inode = (0, 0)
        self.peers_max = _peers_max()
        self.load_acl()

    def load_acl(self) -> None:
        """Read the ACL files again; listeners to `ubus.acl.sequence` hear of it."""
        for warning in self.exchange.acl.load(self._acl_dir):
            self._warn(warning)
        self._events.send(b"ubus.acl.sequence", {"sequence": self.exchange.acl.sequence})
        self._settle()

    def listen(self, path: str) -> None:
        """Serve on a socket that everybody may connect to, in place of a dead one that lies there.

        It is bound beside its place and renamed: nobody finds it half made. What lies there and is no socket is
        somebody's file, named by mistake. Raises OSError.
        """
        _refuse_file(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        beside = f"{path}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            listener.setblocking(False)
            if os.path.lexists(beside):
                os.unlink(beside)
            listener.bind(beside)
            os.chmod(beside, 0o666)
            listener.listen(socket.SOMAXCONN)
            os.rename(beside, path)
            about = os.lstat(path)
        except OSError:
            listener.close()
            raise
        self._listener, self._path, self._inode = listener, path, (about.st_dev, about.st_ino)
        self._loop.watch(listener.fileno(), READ, self._accept)

    def _accept(self, events: int) -> None:
        assert self._listener is not None
        for _ in range(ACCEPT_MAX):
            try:
                connected = accept(self._listener)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    self._pause_accepting(error)
                return
            if len(self._channels) >= self.peers_max:
                connected.close()
            else:
                self.adopt(connected)

    def _pause_accepting(self, error: OSError) -> None:
        """The connection stays in the queue and would wake the loop for ever."""
        assert self._listener is not None
        listener = self._listener
        self._warn(f"{self._path}: {error.strerror}; no new connections for a second")
        self._loop.unwatch(listener.fileno())
        self._loop.after(1.0, lambda: self._resume_accepting(listener))

    def _resume_accepting(self, listener: socket.socket) -> None:
        if self._listener is listener:
            self._loop.watch(listener.fileno(), READ, self._accept)

    def adopt(self, connected: socket.socket) -> None:
        """Serve a connected socket, which belongs to the broker from now on."""
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, gid = _CREDENTIALS.unpack(raw)
        self.welcome(connected, Credentials(uid, gid, _peer_groups(connected)))

    def welcome(self, connected: socket.socket, who: Credentials) -> None:
        """Serve a connected socket on behalf of `who`."""
        # half of the places are root's: no other user can shut the system's own programs out
        if who.uid and len(self._held) >= self.peers_max // 2 and not self._make_place(who.uid):
            connected.close()
            return
        channel = Channel(connected)
        peer = self.registry.join(who, self._transmit)
        self._channels[peer.id] = channel
        if who.uid:
            self._held[peer.id] = 0
        self._loop.watch(channel.fileno(), READ, lambda events: self._ready(peer, events))
        peer.send(wire.HELLO, 0, peer.id, b"")
        self._settle()

    def _make_place(self, uid: int) -> bool:
        """Who has the most connections by far parts with its last one: no user can shut the others out."""
        counts = self._by_user(lambda id: 1)
        most = max(counts, key=lambda each: counts[each])
        if counts[most] <= counts.get(uid, 0) + 1:
            return False
        self._leaving |= [(id, peer) for id, peer in self._bounded_peers() if peer.who.uid == most][-1:]
        self._settle()
        return True

    def _bounded_peers(self) -> list[tuple[int, Peer]]:
        """All but root's that stay."""
        peers = self.registry.peers
        return [(id, peers[id]) for id in self._held if id in peers and id not in self._leaving]

    def _by_user(self, measure: "Callable[[int], int]") -> dict[int, int]:
        out: dict[int, int] = {}
        for id, peer in self._bounded_peers():
            out[peer.who.uid] = out.get(peer.who.uid, 0) + measure(id)
        return out

    def _ready(self, peer: Peer, events: int) -> None:
        channel = self._channels[peer.id]
        try:
            if events & WRITE:
                self._flush(peer, channel)
            if events & READ and not peer.who.uid:
                self._serve(peer, channel.receive())
            elif events & READ and not self._turns.has(peer):
                self._turns.add(peer, channel.receive())
        except PeerGone:
            self._leaving[peer.id] = peer
        except Exception as error:  # a fault of ours; who found it shall not find it again
            self._leaving[peer.id] = peer
            self._loop.fault(error)
        self._account(peer, channel)
        self._settle()

    def _serve(self, peer: Peer, frames: list[Frame]) -> None:
        try:
            for frame in frames:
                if peer.id in self._leaving:
                    return
                self._monitor.copy(peer, frame, is_sent=False)
                self.exchange.serve(peer, frame)
        finally:
            for frame in frames:
                close_fd(frame.fd)

    def _serve_one(self, peer: Peer, frame: Frame) -> None:
        try:
            self._serve(peer, [frame])
        except Exception as error:
            self._leaving[peer.id] = peer
            self._loop.fault(error)
        self._account(peer, self._channels[peer.id])
        self._settle()

    def _flush(self, peer: Peer, channel: Channel) -> None:
        channel.flush()
        if not channel.output_bytes:
            self.exchange.resume_lookups(peer)
        if not channel.output_bytes and peer.id in self._writing:
            self._writing.discard(peer.id)
            self._loop.watch(channel.fileno(), READ, lambda events: self._ready(peer, events))

    def _transmit(self, peer: Peer, frame: Frame) -> bool:
        if peer.id in self._leaving:
            return False
        self._monitor.copy(peer, frame, is_sent=True)
        channel = self._channels[peer.id]
        try:
            channel.send(frame.pack(), frame.fd)
        except PeerGone:
            self._leaving[peer.id] = peer
            return False
        self._account(peer, channel)
        if not channel.output_bytes:
            return True  # nothing was waiting before either
        if peer.id not in self._writing:
            self._writing.add(peer.id)
            self._loop.watch(channel.fileno(), READ | WRITE, lambda events: self._ready(peer, events))
        return False

    def _account(self, peer: Peer, channel: Channel) -> None:
        """All peers but root's share one budget; once it is used up, the largest of the user with the most goes."""
        peer.waiting_bytes = channel.output_bytes
        before = self._held.get(peer.id)
        if before is not None and peer.id not in self._leaving:
            now = channel.held_bytes + self._turns.held_bytes(peer) + peer.held_bytes
            self._held[peer.id] = now
            self._held_bytes += now - before
            if self._held_bytes > HELD_MAX and now > before:
                held = self._held
                sums = self._by_user(lambda id: held[id])
                most = max(sums, key=lambda each: sums[each])
                largest = [pair for pair in self._bounded_peers() if pair[1].who.uid == most]
                self._leaving |= [max(largest, key=lambda pair: held[pair[0]])]

    def _settle(self) -> None:
        """Part with the peers that were put aside; that may put further ones aside."""
        while self._leaving:
            peer = next(iter(self._leaving.values()))
            channel = self._channels[peer.id]
            self._monitor.forget(peer)
            self._turns.forget(peer)
            self.exchange.leave(peer)
            self._loop.unwatch(channel.fileno())
            channel.close()
            self._held_bytes -= self._held.pop(peer.id, 0)
            self._writing.discard(peer.id)
            del self._channels[peer.id], self._leaving[peer.id]

    def close(self) -> None:
        """Drop all peers and take the socket away, unless somebody else has put another in its place."""
        if self._listener is not None:
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
            try:
                about = os.lstat(self._path)
                if (about.st_dev, about.st_ino) == self._inode:
                    os.unlink(self._path)
            except FileNotFoundError:
                pass
        self._leaving.update(self.registry.peers)
        self._settle()


def _peer_groups(connected: socket.socket) -> "Iterable[int]":
    """The supplementary groups that a peer had when it connected; none where the kernel cannot tell (< 4.13)."""
    try:
        raw = connected.getsockopt(socket.SOL_SOCKET, lib.SO_PEERGROUPS, GROUPS_BYTES)
    except OSError:
        return ()  # none too where they are too many: they could only grant more
    return (gid for (gid,) in _GID.iter_unpack(raw))


def _refuse_file(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.ENOTSOCK, "is there, and no socket: left as it is", path)


def _peers_max() -> int:
    soft = os.sysconf("SC_OPEN_MAX")
    return PEERS_MAX if soft < 0 else max(16, min(PEERS_MAX, soft - SPARE_FDS))
