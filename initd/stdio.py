# SPDX-License-Identifier: MIT
"""The standard descriptors of a service: made before its launch, ours or closed after it."""

import os


class Stdio:
    """0, 1 and 2 of a service: /dev/null, or a pipe to us."""

    __slots__ = ("_null_fd", "read_fds", "service_fds")

    def __init__(self, out_is_piped: bool, err_is_piped: bool) -> None:
        self._null_fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.read_fds = (-1, -1)
        self.service_fds = (self._null_fd, self._null_fd, self._null_fd)
        try:
            out = self._pipe() if out_is_piped else (-1, self._null_fd)
            self.read_fds, self.service_fds = (out[0], -1), (self._null_fd, out[1], self._null_fd)
            err = self._pipe() if err_is_piped else (-1, self._null_fd)
            self.read_fds, self.service_fds = (out[0], err[0]), (self._null_fd, out[1], err[1])
        except OSError:
            self.close_read_fds()
            self.close_service_fds()
            raise

    @staticmethod
    def _pipe() -> tuple[int, int]:
        # only our end does not block: the two are open files of their own
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read_fd, False)
        return read_fd, write_fd

    def close_service_fds(self) -> None:
        for fd in {self._null_fd, *self.service_fds}:
            os.close(fd)

    def close_read_fds(self) -> None:
        for fd in self.read_fds:
            if fd >= 0:
                os.close(fd)
