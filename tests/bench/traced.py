# SPDX-License-Identifier: MIT
"""One start by library call with a mark before and after the launch, for strace. Run by calls.py.

Arguments: the policy or "", then the program and its arguments.
"""

import os
import sys

from jail.launch import launch
from jail.plan import make_plan
from jail.spec import JailSpec, Share


def main() -> None:
    spec = JailSpec("bench", sys.argv[2:])
    if sys.argv[1]:
        spec.seccomp = sys.argv[1]
        spec.shares.append(Share(spec.seccomp, required=True))
    plan = make_plan(spec)
    os.umask(0o4321)  # the mark: nobody else sets this one
    jail = launch(plan)
    os.umask(0o4321)
    os.waitpid(jail.pid, 0)


if __name__ == "__main__":
    main()
