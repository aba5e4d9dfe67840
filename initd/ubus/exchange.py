# SPDX-License-Identifier: MIT
"""What the broker does with each message: the rules, without the sockets.

Only an object that was asked may answer, once, and only to the one who asked; only the owner of an object may
speak for it; what the ACL does not grant is answered as if it were not there, or refused.
"""

from initd.ubus import wire
from initd.ubus.acl import ACCESS, PUBLISH, SUBSCRIBE, Acl
from initd.ubus.blob import MAX_BYTES, BlobError, pack_attribute
from initd.ubus.registry import LOOKUPS_MAX, OBJECTS_MAX, Lookup, Peer, Registry, Served
from initd.ubus.wire import Frame, UbusError, pack_flag, pack_string, pack_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Attributes: TypeAlias = "dict[int, bytes]"
    # the status to answer with; None: the answer comes later, or none does
    Rule: TypeAlias = "Callable[[Peer, Frame, Attributes], int | None]"
    # (peer, frame, method, data) → status
    OwnObject: TypeAlias = "Callable[[Peer, Frame, bytes, bytes], int]"

CALLS_BYTES_MAX = 1 << 19  # of calls that wait for an object's owner to read
USERS_PART = 4  # users besides root have that part of it: root is served, and does not wait for long
NOTICES_BYTES_MAX = 1 << 18  # of events and notifications besides: who sends too many leaves room for calls


class Exchange:
    """The protocol between all peers of one broker."""

    def __init__(self, registry: Registry, acl: Acl) -> None:
        self.registry = registry
        self.acl = acl
        self.own: dict[int, OwnObject] = {}
        self.on_object: Callable[[Served, bool], None] = lambda served, is_added: None
        self._rules: dict[int, Rule] = {
            wire.PING: self._ping,
            wire.LOOKUP: self._lookup,
            wire.INVOKE: self._invoke,
            wire.STATUS: self._answer,
            wire.DATA: self._answer,
            wire.ADD_OBJECT: self._add_object,
            wire.REMOVE_OBJECT: self._remove_object,
            wire.SUBSCRIBE: self._subscribe,
            wire.UNSUBSCRIBE: self._unsubscribe,
            wire.NOTIFY: self._notify,
        }

    def serve(self, peer: Peer, frame: Frame) -> None:
        """Do what a message asks for, and answer it. Its descriptor stays the caller's."""
        rule = self._rules.get(frame.type)
        status: int | None = wire.INVALID_COMMAND
        if rule is not None:
            try:
                status = rule(peer, frame, frame.attributes())
            except UbusError as error:
                status = error.code
            except BlobError:
                status = wire.INVALID_ARGUMENT
        if status is not None and frame.type not in (wire.STATUS, wire.DATA):
            peer.answer(frame, status)

    def leave(self, peer: Peer) -> None:
        """Forget a peer and all that was its own; whoever waited for it is told."""
        del self.registry.peers[peer.id]
        for (seq, _), served in list(peer.calls.items()):
            self.registry.settle_answer(peer, seq, served)
        peer.lookups.clear()
        for served in list(peer.objects.values()):
            self._forget(served)

    def _ping(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        peer.send(wire.DATA, frame.seq, frame.peer, frame.body)
        return wire.OK

    def _add_object(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        path, signature = found.get(wire.A_OBJPATH), found.get(wire.A_SIGNATURE)
        if path is not None:
            if not path:
                return wire.INVALID_ARGUMENT
            if not self.acl.allows(peer.who, PUBLISH, path):
                return wire.PERMISSION_DENIED
        type_id = wire.word(found[wire.A_OBJTYPE]) if wire.A_OBJTYPE in found else None
        served = self.registry.add(peer, path or b"", type_id, signature)
        self.on_object(served, True)
        body = pack_word(wire.A_OBJID, served.id)
        if signature is not None and served.type is not None:
            body += pack_word(wire.A_OBJTYPE, served.type.id)
        peer.send(wire.DATA, frame.seq, frame.peer, body)
        return wire.OK

    def own_object(self, peer: Peer, id: int | None) -> Served:
        """The object with that id. Raises UbusError unless it is the peer's own."""
        if id is None:
            raise UbusError(wire.INVALID_ARGUMENT)
        served = self.registry.objects.get(id)
        if served is None:
            raise UbusError(wire.NOT_FOUND)
        if served.peer is not peer:
            raise UbusError(wire.PERMISSION_DENIED)
        return served

    def _remove_object(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        served = self.own_object(peer, _word(found, wire.A_OBJID))
        body = pack_word(wire.A_OBJID, served.id)
        if served.type is not None and served.type.users == 1:
            body += pack_word(wire.A_OBJTYPE, served.type.id)
        peer.send(wire.DATA, frame.seq, frame.peer, body)
        self._forget(served)
        return wire.OK

    def _forget(self, served: Served) -> None:
        for target in list(served.targets.values()):
            self._part(served, target)
        for subscriber in list(served.subscribers.values()):
            del subscriber.targets[served.id]
            subscriber.keep(0, -1)
            subscriber.notices += 1
            body = pack_word(wire.A_OBJID, subscriber.id) + pack_word(wire.A_TARGET, served.id)
            subscriber.peer.send(wire.UNSUBSCRIBE, subscriber.notices, 0, body)
        served.subscribers.clear()
        body = wire.status_body(wire.NOT_FOUND, served.id)
        for (_, seq), caller in list(served.calls.items()):
            self.registry.settle_answer(caller, seq, served)
            caller.send(wire.STATUS, seq, served.id, body)
        self.registry.drop(served)
        self.on_object(served, False)

    def _lookup(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        path = found.get(wire.A_OBJPATH)
        if path is not None and not path:
            return wire.INVALID_ARGUMENT
        if path is None or path.endswith(b"*"):
            if len(peer.lookups) >= LOOKUPS_MAX:
                return wire.NO_MEMORY
            peer.lookups.append(
                Lookup(frame, self.registry.sorted_paths(), None if path is None else path[:-1])
            )
            if len(peer.lookups) == 1:
                self.resume_lookups(peer)
            return None
        body = self._describe(peer, self.registry.paths.get(path))
        if body is None:
            return wire.NOT_FOUND
        peer.send(wire.DATA, frame.seq, frame.peer, body)
        return wire.OK

    def resume_lookups(self, peer: Peer) -> None:
        """Go on with long answers, until the peer has to read first."""
        while peer.lookups:
            lookup = peer.lookups[0]
            path = lookup.next_path()
            if path is None:
                peer.lookups.popleft()
                peer.answer(lookup.request, lookup.status)
                continue
            body = self._describe(peer, self.registry.paths.get(path))
            if body is not None:
                lookup.status = wire.OK
                if not peer.send(wire.DATA, lookup.request.seq, lookup.request.peer, body):
                    return

    def _describe(self, peer: Peer, served: Served | None) -> bytes | None:
        """What a lookup shows of an object: the methods that the peer may call; None without any."""
        if served is None or served.type is None:
            return None
        methods = served.type.methods
        if peer.who.uid:
            allows = self.acl.allows
            methods = [pair for pair in methods if allows(peer.who, ACCESS, served.path, method=pair[0])]
            if not methods and (
                served.type.methods or not allows(peer.who, ACCESS, served.path, method=b"*")
            ):
                return None
        head = pack_string(wire.A_OBJPATH, served.path) + pack_word(wire.A_OBJID, served.id)
        signature = pack_attribute(wire.A_SIGNATURE, b"".join([raw for _, raw in methods]))
        return head + pack_word(wire.A_OBJTYPE, served.type.id) + signature

    def _invoke(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        method, id = found.get(wire.A_METHOD), _word(found, wire.A_OBJID)
        if method is None or id is None:
            return wire.INVALID_ARGUMENT
        if id in self.own:
            return self.own[id](peer, frame, method, found.get(wire.A_DATA, b""))
        served = self.registry.objects.get(id)
        if served is None:
            return wire.NOT_FOUND
        if not self._may(peer, ACCESS, served, method):
            return wire.PERMISSION_DENIED
        waiting_bytes = served.peer.waiting_bytes
        limit = CALLS_BYTES_MAX // USERS_PART if peer.who.uid else CALLS_BYTES_MAX
        if waiting_bytes and waiting_bytes + len(frame.body) > limit:
            return wire.NO_MEMORY  # it is slow, or too many ask: not a reason to drop it
        self._forward(peer, frame, served, method, found)
        return None

    def _may(self, peer: Peer, kind: str, served: Served, method: bytes = b"") -> bool:
        if served.path:
            return self.acl.allows(peer.who, kind, served.path, method=method)
        # no ACL can name it: for its own user and root only
        return peer.who.uid in (0, served.peer.who.uid)

    def _forward(self, caller: Peer, frame: Frame, to: Served, method: bytes, found: "Attributes") -> None:
        is_silent = _flag(found, wire.A_NO_REPLY)
        body = pack_flag(wire.A_NO_REPLY, True) if is_silent else b""
        body += pack_word(wire.A_OBJID, to.id) + pack_string(wire.A_METHOD, method)
        body += pack_string(wire.A_USER, caller.who.user) + pack_string(wire.A_GROUP, caller.who.group)
        if wire.A_DATA in found:
            body += pack_attribute(wire.A_DATA, found[wire.A_DATA])
        if len(body) > MAX_BYTES - 4:  # fitted into a message until the caller's name was added
            raise UbusError(wire.INVALID_ARGUMENT)
        if not is_silent:
            self.registry.expect_answer(caller, frame.seq, to)
        to.peer.send(wire.INVOKE, frame.seq, caller.id, body, frame.fd)

    def _answer(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        served = self.own_object(peer, _word(found, wire.A_OBJID))
        caller = served.calls.get((frame.peer, frame.seq))
        is_last = frame.type == wire.STATUS
        if caller is None or (wire.A_STATUS if is_last else wire.A_DATA) not in found:
            return None
        if is_last:
            self.registry.settle_answer(caller, frame.seq, served)
        caller.send(frame.type, frame.seq, served.id, frame.body, frame.fd)
        return None

    def _subscribe(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        subscriber = self.own_object(peer, _word(found, wire.A_OBJID))
        id = _word(found, wire.A_TARGET)
        if id is None:
            return wire.INVALID_ARGUMENT
        target = self.registry.objects.get(id)
        if target is None or not self._may(peer, SUBSCRIBE, target):
            return wire.NOT_FOUND
        if target.peer is peer:
            return wire.INVALID_ARGUMENT
        if target.id in subscriber.targets:
            return wire.OK
        if len(subscriber.targets) >= OBJECTS_MAX:
            return wire.NO_MEMORY
        subscriber.keep(0, 1)
        subscriber.targets[target.id] = target
        target.subscribers[subscriber.id] = subscriber
        if len(target.subscribers) == 1:
            self._tell_active(target)
        return wire.OK

    def _unsubscribe(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        subscriber = self.own_object(peer, _word(found, wire.A_OBJID))
        target = subscriber.targets.get(_word(found, wire.A_TARGET) or 0)
        if target is None:
            return wire.NOT_FOUND
        self._part(subscriber, target)
        return wire.OK

    def _part(self, subscriber: Served, target: Served) -> None:
        del subscriber.targets[target.id], target.subscribers[subscriber.id]
        subscriber.keep(0, -1)
        if not target.subscribers:
            self._tell_active(target)

    def _tell_active(self, target: Served) -> None:
        target.notices += 1
        active = pack_flag(wire.A_ACTIVE, bool(target.subscribers))
        target.peer.send(wire.NOTIFY, target.notices, 0, pack_word(wire.A_OBJID, target.id) + active)

    def _notify(self, peer: Peer, frame: Frame, found: "Attributes") -> int | None:
        method = found.get(wire.A_METHOD)
        if method is None:
            return wire.INVALID_ARGUMENT
        served = self.own_object(peer, _word(found, wire.A_OBJID))
        size = len(frame.body)
        heard = [each for each in served.subscribers.values() if has_room(each.peer, size)]
        if not _flag(found, wire.A_NO_REPLY):
            ids = b"".join([pack_word(0, subscriber.id) for subscriber in heard])
            body = pack_word(wire.A_OBJID, served.id) + pack_attribute(wire.A_SUBSCRIBERS, ids)
            peer.send(wire.STATUS, frame.seq, frame.peer, body + pack_word(wire.A_STATUS, wire.OK))
        for subscriber in heard:
            self._forward(peer, frame, subscriber, method, found)
        return None


def has_room(peer: Peer, size: int) -> bool:
    """Whether it takes what it has not asked for: else that is lost, and not the connection of who cannot help it."""
    return not peer.waiting_bytes or peer.waiting_bytes + size <= NOTICES_BYTES_MAX


def _word(found: "Attributes", id: int) -> int | None:
    return wire.word(found[id]) if id in found else None


def _flag(found: "Attributes", id: int) -> bool:
    return found.get(id, b"\0") != b"\0"
