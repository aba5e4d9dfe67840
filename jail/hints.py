# SPDX-License-Identifier: MIT
"""What an errno of a step most likely means, where its own words send a person to the wrong place.

Imported when a launch has failed.
"""

import posix
from errno import EINVAL, ENOENT, ENOSPC, EPERM

LIMIT = "a limit in /proc/sys/user is reached, or 0"
# the beginning of the step's words → errno → hint
HINTS = {
    "clone the jail": {
        EPERM: "namespaces may not be made here, as in many containers",
        EINVAL: "this kernel may lack a kind of namespace: /proc/self/ns has those that there are",
        ENOSPC: LIMIT,
    },
    "go into a user namespace": {
        EPERM: "user namespaces are off (kernel.unprivileged_userns_clone, AppArmor), or this is a chroot",
        ENOSPC: LIMIT,
    },
}
EXECUTE = "execute "


def hint(step: str, number: int) -> str:
    """More words for the error of a step, "" where those of the errno will do."""
    if step.startswith(EXECUTE) and number == ENOENT and posix.access(step[len(EXECUTE) :], posix.F_OK):
        return "it is there: what is not is the interpreter or loader that it names"
    for start, words in HINTS.items():
        if step.startswith(start):
            return words.get(number, "")
    return ""
