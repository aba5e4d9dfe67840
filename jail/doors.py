# SPDX-License-Identifier: MIT
"""A policy → door 1's filter and what the shim needs to put on door 2.

Door 1 goes on right before execve: the policy and what the loader, libc and the shim itself call before main.
Door 2, put on by the shim right before main, is the policy alone. A program that does not load the shim has
door 1 only. A jail without a policy has the default filter, at exec alone: it allows what programs start with.
"""

import posix
from _stat import S_ISREG
from _struct import pack

from jail import paths, steps
from jail._native import ffi, lib
from jail.elf import closure
from jail.errors import ConfigError
from jail.policy import Filter, compile_filter, native_arch
from jail.privilege import PACKAGE
from jail.spec import COMPLAIN, TRACE
from jail.tree import Closure, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jail.plan import Plan
    from jail.spec import JailSpec

    Asked = tuple[bytes, bytes, str, int, int]

SHIM = f"{PACKAGE}/libpreload-seccomp.so"
SHIM_32 = f"{PACKAGE}/libpreload-seccomp-32.so"  # where it was built: for 32-bit programs of a 64-bit kernel
FILTERS = f"{PACKAGE}/json-filters"
DEFAULT = f"{FILTERS}/default.json"
TCP_PORTS = f"{FILTERS}/tcp-ports.json"
EXEC_PIN = (lib.EXEC_PIN_PATH, lib.EXEC_PIN_ARGV, lib.EXEC_PIN_ENVP)
# one byte more than the compiler takes, so that it sees that a file is too long
READ_MAX = lib.POLICY_MAX_BYTES + 1
TRACE_BYTES = 1024  # more than the tracer's filter has
KEPT = 16  # compiled policies


def link(path: str, root: str = "/") -> tuple[Closure, str]:
    """A program's closure with the shim that it loads, and that shim: "" if there is none for it.

    Ours is made for this system's libc: another root has to have its own, at the same place.
    """
    if root != "/" and not paths.exists(Tree(root).host(SHIM)):
        return closure(path, root=root), ""
    program = closure(path, preload=(SHIM,), root=root)
    if program.preloaded:
        return program, SHIM
    if program.abi != native_arch() and root == "/" and paths.exists(SHIM_32):
        program = closure(path, preload=(SHIM_32,))
    return program, SHIM_32 if program.preloaded else ""


def default_door(program: Closure, capabilities: int) -> steps.Step:
    """Compile the filter of a jail that names no policy: it denies what few services need, by an errno.

    Raises ConfigError for a program of an architecture not known here.
    """
    if not program.abi:
        raise ConfigError(
            f"{program.files[0]}: the default filter is not made for this program's architecture"
        )
    text = read_policy(DEFAULT)
    asked = (text, b"", program.abi, capabilities, 0)
    step = _compiled.get(asked)
    if step is None:
        compiled = compile_filter(text, program.abi, path=DEFAULT, capabilities=capabilities)
        # no records of what it refuses: a libc tries clone3 for each thread, and means nothing by it
        step = _remember(asked, _gated(compiled, program.abi, compiled.flags, "the default filter"))
    return step


def ports_door(program: Closure) -> steps.Step:
    """Compile the filter beside Landlock's rules for ports, which know no way to a TCP connection but connect(2).

    The launcher's own calls pass it, whatever the program's architecture. Raises ConfigError for one not known here.
    """
    if not program.abi:
        raise ConfigError(f"{program.files[0]}: rules for ports are not made for this program's architecture")
    text, native = read_policy(TCP_PORTS), native_arch()
    code = compile_filter(text, native, path=TCP_PORTS).code
    if program.abi != native:
        code = _only_for(native, code) + compile_filter(text, program.abi, path=TCP_PORTS).code
    return steps.filter_(code, 0, "the filter beside rules for ports")


def hold(
    spec: "JailSpec", path: str, capabilities: int, env: dict[str, str], plan: "Plan"
) -> "tuple[Closure | None, list[steps.Step], dict[str, str]]":
    """What a program is held by in the mode of the spec: its closure, the filter, its environment with the shim.

    Raises ConfigError, for a policy or for a program that cannot be held by one.
    """
    root = spec.extroot or "/"
    if spec.mode == TRACE:
        program, shim = _link_for_trace(spec, path, root)
        env = {name: value for name, value in env.items() if not name.startswith("SECCOMP_")}
        return program, [_tracing()], {**env, **_preload(shim, env)}
    program, shim = link(path, root)
    if spec.extroot and not shim:
        plan.warnings.append(f"{spec.extroot} has no {SHIM}: the start-up calls stay allowed")
    # the door that a variable of the service's own opens would be no door
    env = {name: value for name, value in env.items() if name != "SECCOMP_MODE"}
    mode, word = mode_of(spec.mode, shim, spec.notify)
    if spec.notify:
        plan.notify_abi = program.abi
    elif spec.mode == COMPLAIN:
        plan.warnings += _unheard(path)
    step = door1(spec.seccomp, program, capabilities, plan.notes, mode)
    return program, [step], {**env, **shim_environment(shim, spec.seccomp, env, word)}


def mode_of(mode: str, shim: str, notify: bool) -> tuple[int, str]:
    """What the compiler is told, and what the shim reads: "" for a policy that is just enforced."""
    flags, word = (lib.POLICY_COMPLAIN, COMPLAIN) if mode == COMPLAIN else (0, "")
    if not notify:
        return flags, word
    if not lib.notify_works():
        raise ConfigError("notify: this kernel lets nobody answer denied calls (before Linux 5.6?)")
    # there is one listener for all filters of a process: door 2's, where a shim puts that on
    return flags | lib.POLICY_NOTIFY | (0 if shim else lib.POLICY_LISTENER), f"{mode},notify"


def _unheard(path: str) -> list[str]:
    """What is to be said of a program whose denied calls nobody answers: where there are no records, nobody hears."""
    from jail.silence import no_records

    reason = no_records()
    if not reason:
        return []
    return [
        f"{path}: nobody is told of denied calls: the kernel has no records ({reason}), and lets nobody answer"
        " them; mode trace records what it calls"
    ]


def _link_for_trace(spec: "JailSpec", path: str, root: str) -> tuple[Closure | None, str]:
    """Without a jail whatever the kernel executes can be traced."""
    try:
        return link(path, root)
    except ConfigError:
        if spec.isolate:
            raise
        return None, ""


def _tracing() -> steps.Step:
    """The filter that stops every call for the tracer."""
    from jail import raresteps

    code = ffi.new("unsigned char[]", TRACE_BYTES)
    n = lib.trace_filter(code, TRACE_BYTES)
    return raresteps.tracing(bytes(ffi.buffer(code, 8 * n)))


def door1(path: str, program: Closure, capabilities: int, notes: list[str], mode: int = 0) -> steps.Step:
    """Compile the filter that is in force from execve on; `mode` is of POLICY_COMPLAIN, _NOTIFY and _LISTENER.

    Raises ConfigError for a policy that is missing or wrong, or a program of an architecture not known here.
    """
    if not program.abi:
        raise ConfigError(f"{program.files[0]}: policies are not made for this program's architecture")
    libc = "static" if program.kind == "static" or not program.libc else program.libc
    startup = read_policy(f"{FILTERS}/startup-{'musl' if libc == 'uclibc' else libc}.json")
    text = read_policy(path)
    # all that the compiler is told, beside constants and the running kernel
    asked = (text, startup, program.abi, capabilities, mode)
    step = _compiled.get(asked)
    if step is None:
        step = _remember(asked, _compile(text, path, program.abi, startup, capabilities, mode))
    if not program.preloaded:
        notes.append(f"{program.files[0]} cannot load the shim: door 1 only, its start-up calls stay allowed")
    return step


_compiled: "dict[Asked, steps.Step]" = {}


def _remember(asked: "Asked", step: steps.Step) -> steps.Step:
    if len(_compiled) >= KEPT:
        _compiled.clear()
    _compiled[asked] = step
    return step


def _compile(text: bytes, path: str, abi: str, startup: bytes, capabilities: int, mode: int) -> steps.Step:
    compiled = compile_filter(
        text,
        abi,
        path=path,
        startup=startup,
        door1=True,
        exec_pin=EXEC_PIN,
        capabilities=capabilities,
        mode=mode,
    )
    if mode & lib.POLICY_LISTENER:
        # who listens needs no record; and there are no threads yet, whose ids TSYNC would return for a listener
        flags = compiled.flags & ~(lib.SECCOMP_FILTER_FLAG_LOG | lib.SECCOMP_FILTER_FLAG_TSYNC)
        flags |= lib.SECCOMP_FILTER_FLAG_NEW_LISTENER
        return _gated(compiled, abi, flags, "the filter of door 1, with a listener", mode)
    # a call that is refused with an errno has a record only where the filter asks for one
    flags = compiled.flags | lib.SECCOMP_FILTER_FLAG_LOG
    return _gated(compiled, abi, flags, "the filter of door 1", mode)


def _gated(compiled: Filter, abi: str, flags: int, name: str, mode: int = 0) -> steps.Step:
    native = native_arch()
    code = compiled.code if abi == native else _launcher_gate(native, mode) + compiled.code
    return steps.filter_(code, flags, name)


def _launcher_gate(native: str, mode: int) -> bytes:
    """Instructions that go before a filter for a foreign ABI.

    The launcher's own execve is a call of this machine's ABI, which that filter kills. The gate allows it,
    with its pinned arguments, and lets nothing else of this ABI pass.
    """
    own = compile_filter(
        read_policy(f"{FILTERS}/startup-foreign.json"),
        native,
        path="startup-foreign.json",
        door1=True,
        exec_pin=EXEC_PIN,
        mode=mode,
    ).code
    return _only_for(native, own)


def _only_for(arch: str, code: bytes) -> bytes:
    """Instructions that decide about calls of one architecture; all others go to what comes behind them."""
    # struct sock_filter: code, jt, jf, k. Behind the gate's end the accumulator is loaded anew
    load = pack("=HBBI", lib.BPF_LD | lib.BPF_W | lib.BPF_ABS, 0, 0, lib.SECCOMP_DATA_ARCH)
    test = pack(
        "=HBBI", lib.BPF_JMP | lib.BPF_JEQ | lib.BPF_K, 0, len(code) // 8, lib.arch_audit(arch.encode())
    )
    return load + test + code


def shim_environment(shim: str, path: str, env: dict[str, str], mode: str = "") -> dict[str, str]:
    """What the shim reads, and removes before main; nothing without a shim."""
    if not shim:
        return {}
    return {"SECCOMP_FILE": path, **({"SECCOMP_MODE": mode} if mode else {}), **_preload(shim, env)}


def _preload(shim: str, env: dict[str, str]) -> dict[str, str]:
    """Another LD_PRELOAD in `env` is kept, behind ours."""
    others = env.get("LD_PRELOAD", "")
    return {"LD_PRELOAD": shim + (f":{others}" if others else "")} if shim else {}


def read_policy(path: str) -> bytes:
    """What the file has, up to one byte more than the compiler takes. Raises ConfigError."""
    try:
        # initd must not wait at a FIFO, and the shim could not read one again
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        info = posix.fstat(fd)
        if not S_ISREG(info.st_mode):
            raise ConfigError(f"{path}: not a regular file")
        # a buffer of READ_MAX would be mapped and unmapped each time; files of /proc tell no size
        return posix.read(fd, min((info.st_size or READ_MAX) + 1, READ_MAX))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    finally:
        posix.close(fd)
