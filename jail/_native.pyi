# SPDX-License-Identifier: MIT
# What jail/native/build.py makes of native.h and policy.h, for the type checker.
from typing import Any

class FFI:
    class CData:
        # members of the structures that Python fills or reads
        arch: Any
        policy: Any
        policy_size: int
        startup: Any
        startup_size: int
        exec_pin: Any
        capabilities: int
        kernel: int
        flags: int
        n_insns: int
        filter_flags: int
        line: int
        column: int
        in_startup: int
        message: FFI.CData
        pid: int
        service_pid: int
        step: int
        error: int
        def __getitem__(self, at: slice) -> list[FFI.CData]: ...
        def __bool__(self) -> bool: ...

    def new(self, cdecl: str, init: object = ...) -> CData: ...
    def from_buffer(self, cdecl: str, buffer: bytes) -> CData: ...
    def buffer(self, cdata: CData, size: int = ...) -> bytes: ...
    def string(self, cdata: CData) -> bytes: ...

ffi: FFI

class Lib:
    def launch(self, plan: bytes, size: int, request: FFI.CData, result: FFI.CData) -> int: ...
    def permitted_capabilities(self) -> int: ...
    def mount_host(self, source: bytes, target: bytes, type: bytes, flags: int, options: bytes) -> int: ...
    def unmount_host(self, target: bytes, flags: int) -> int: ...
    def end_machine(self, how: int) -> int: ...
    def audit_arch_name(self, audit: int) -> FFI.CData: ...
    def call_name(self, arch: bytes, number: int) -> FFI.CData: ...
    def native_arch(self) -> FFI.CData: ...
    def arch_audit(self, arch: bytes) -> int: ...
    def policy_compile(
        self,
        request: FFI.CData,
        code: FFI.CData,
        code_size: int,
        scratch: FFI.CData,
        scratch_size: int,
        result: FFI.CData,
    ) -> int: ...
    def policy_lint(
        self,
        request: FFI.CData,
        scratch: FFI.CData,
        scratch_size: int,
        warnings: FFI.CData,
        most: int,
        result: FFI.CData,
    ) -> int: ...
    def policy_scratch_size(self, policy_size: int, startup_size: int) -> int: ...

    # constants of the headers and of the system
    def __getattr__(self, name: str) -> int: ...

lib: Lib
