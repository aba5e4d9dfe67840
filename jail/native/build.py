# SPDX-License-Identifier: MIT
"""Describe `jail._native` to cffi, in API mode: the headers that the C includes are the cdef.

The only file that imports cffi. Imported by setup.py, never at run time.
"""

import re
from pathlib import Path

import cffi

ROOT = Path(__file__).resolve().parents[2]
HEADERS = (
    "preload/policy.h",
    "preload/mark.h",
    *(f"jail/native/{name}.h" for name in ("plan", "launch", "kernel", "names", "notify", "tracer")),
)
# these are programs and a library of their own, see setup.py
SOURCES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("preload", "jail/native")
    for path in (ROOT / folder).glob("*.c")
    if path.name not in ("init.c", "confine.c", "keep.c", "start.c", "_native.c")
    and not path.name.startswith("shim")
)


def declarations(header: str) -> str:
    """Return the text of a header without what cffi's parser does not know: conditionals and includes.

    A constant keeps its name and gets its value from the C compiler.
    """
    text = (ROOT / header).read_text()
    text = re.sub(r"/\*.*?\*/|\\\n", "", text, flags=re.DOTALL)
    lines = []
    for line in text.splitlines():
        constant = re.match(r"#define\s+([A-Z]\w+)\s+\S", line)
        if constant:
            lines.append(f"#define {constant[1]} ...")
        elif not line.startswith("#"):
            lines.append(line)
    return "\n".join(lines)


# What Python needs of the target's own headers: no kernel number is written in Python
SYSTEM_HEADERS = (
    *("sched.h", "sys/mount.h", "sys/resource.h", "linux/securebits.h", "signal.h", "sys/reboot.h"),
    *("sys/socket.h", "net/if.h", "linux/sockios.h", "linux/watchdog.h", "sys/ioctl.h", "sys/prctl.h"),
    *("linux/netlink.h", "linux/rtnetlink.h", "linux/audit.h", "linux/filter.h", "linux/nsfs.h"),
    "linux/seccomp.h",
    # netinet before linux: both have struct in_addr, and only the kernel's header knows of the other
    *("netinet/in.h", "netinet/icmp6.h", "linux/netfilter.h", "linux/netfilter/nf_tables.h"),
    *("linux/netfilter/nf_conntrack_common.h", "linux/netfilter/nfnetlink.h"),
)
SYSTEM_CONSTANTS = [
    *("CLONE_NEWNS", "CLONE_NEWPID", "CLONE_NEWIPC", "CLONE_NEWUTS", "CLONE_NEWNET", "CLONE_NEWCGROUP"),
    *("MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC", "MS_NOATIME"),
    *("MS_NODIRATIME", "MS_STRICTATIME"),
    *("SECBIT_KEEP_CAPS", "SECBIT_NO_SETUID_FIXUP", "SECBIT_NOROOT"),
    *("SECBIT_KEEP_CAPS_LOCKED", "SECBIT_NO_SETUID_FIXUP_LOCKED", "SECBIT_NOROOT_LOCKED"),
    # asm-generic/resource.h has the numbers, which differ on mips; RLIMIT_RTTIME is the last of them
    *(
        "RLIMIT_CPU",
        "RLIMIT_FSIZE",
        "RLIMIT_DATA",
        "RLIMIT_STACK",
        "RLIMIT_CORE",
        "RLIMIT_RSS",
        "RLIMIT_NPROC",
    ),
    *("RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE"),
    *("RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME"),
    *("MS_REMOUNT", "SO_PEERGROUPS", "IFF_UP", "SIOCGIFFLAGS", "SIOCSIFFLAGS", "TIOCSCTTY"),
    *("RB_AUTOBOOT", "RB_POWER_OFF", "RB_HALT_SYSTEM", "RB_DISABLE_CAD"),
    *("WDIOC_SETTIMEOUT", "NS_GET_OWNER_UID"),
    # the kernel's records of denied calls
    *("NETLINK_AUDIT", "AUDIT_NLGRP_READLOG", "AUDIT_SECCOMP", "SECCOMP_FILTER_FLAG_LOG"),
    *("SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_NEW_LISTENER"),
    *("SECCOMP_SET_MODE_FILTER", "SECCOMP_SET_MODE_STRICT"),
    # words for the arguments of denied calls
    *("CLONE_VM", "CLONE_FS", "CLONE_FILES", "CLONE_SIGHAND", "CLONE_THREAD", "CLONE_VFORK", "CLONE_SETTLS"),
    *("CLONE_NEWUSER", "CLONE_SYSVSEM", "CLONE_PARENT_SETTID", "CLONE_CHILD_SETTID", "CLONE_CHILD_CLEARTID"),
    *("PR_SET_PDEATHSIG", "PR_SET_DUMPABLE", "PR_SET_KEEPCAPS", "PR_SET_NAME", "PR_GET_NAME"),
    *("PR_SET_SECCOMP", "PR_CAPBSET_READ", "PR_CAPBSET_DROP", "PR_SET_SECUREBITS", "PR_SET_TIMERSLACK"),
    *("PR_SET_MM", "PR_SET_CHILD_SUBREAPER", "PR_SET_NO_NEW_PRIVS", "PR_CAP_AMBIENT", "PR_SET_PTRACER"),
    *("TCGETS", "TCSETS", "TIOCGWINSZ", "TIOCSTI", "TIOCGPGRP", "TIOCSPGRP", "FIONREAD", "FIONBIO"),
    *("SIOCGIFCONF", "SIOCGIFADDR", "SIOCSIFADDR", "SIOCGIFINDEX", "SIOCGIFHWADDR", "SIOCETHTOOL"),
    *("SIOCGIFMTU", "SIOCSIFMTU", "SIOCADDRT", "SIOCDELRT"),
    *("BPF_LD", "BPF_W", "BPF_ABS", "BPF_JMP", "BPF_JEQ", "BPF_K"),
    # the rest of what a seccomp filter may hold, for jailctl
    *("BPF_LDX", "BPF_ST", "BPF_STX", "BPF_ALU", "BPF_RET", "BPF_MISC", "BPF_IMM", "BPF_MEM", "BPF_LEN"),
    *("BPF_ADD", "BPF_SUB", "BPF_MUL", "BPF_DIV", "BPF_OR", "BPF_AND", "BPF_LSH", "BPF_RSH", "BPF_NEG"),
    *("BPF_XOR", "BPF_JA", "BPF_JGT", "BPF_JGE", "BPF_JSET", "BPF_X", "BPF_A", "BPF_TAX", "BPF_TXA"),
    *("BPF_MEMWORDS", "BPF_MAXINSNS", "SECCOMP_RET_ACTION_FULL", "SECCOMP_RET_DATA"),
    *("SECCOMP_RET_KILL_PROCESS", "SECCOMP_RET_KILL_THREAD", "SECCOMP_RET_TRAP", "SECCOMP_RET_ERRNO"),
    # devices, and rules for packets
    *("IFNAMSIZ", "IFA_F_NODAD", "RTM_NEWADDR", "RTM_NEWROUTE"),
    *("RTM_NEWLINK", "RTM_GETLINK", "RTM_DELLINK"),
    *("RT_TABLE_MAIN", "RT_SCOPE_UNIVERSE", "RT_SCOPE_LINK", "RTN_UNICAST", "RTPROT_STATIC"),
    *("NETLINK_ROUTE", "NETLINK_NETFILTER", "NLMSG_ERROR"),
    *("NLM_F_REQUEST", "NLM_F_ACK", "NLM_F_CREATE", "NLM_F_EXCL", "NLM_F_APPEND"),
    *("NFNL_MSG_BATCH_BEGIN", "NFNL_MSG_BATCH_END", "NFNL_SUBSYS_NFTABLES"),
    *("NFT_MSG_NEWTABLE", "NFT_MSG_NEWCHAIN", "NFT_MSG_NEWRULE"),
    *("NF_ACCEPT", "NF_DROP", "NF_INET_LOCAL_IN", "NF_INET_FORWARD", "NF_INET_LOCAL_OUT"),
    *("NFPROTO_INET", "NFPROTO_IPV4", "NFPROTO_IPV6", "IP_CT_ESTABLISHED", "IP_CT_RELATED"),
    *("NFT_REG_VERDICT", "NFT_REG_1", "NFT_CMP_EQ", "NFT_CMP_NEQ", "NFT_CMP_GTE", "NFT_CMP_LTE"),
    *("NFT_META_IIF", "NFT_META_OIF", "NFT_META_NFPROTO", "NFT_META_L4PROTO", "NFT_CT_STATE"),
    *("NFT_PAYLOAD_NETWORK_HEADER", "NFT_PAYLOAD_TRANSPORT_HEADER"),
    *("NFT_REJECT_TCP_RST", "NFT_REJECT_ICMPX_UNREACH", "NFT_REJECT_ICMPX_ADMIN_PROHIBITED"),
    *("MLD_LISTENER_QUERY", "ND_NEIGHBOR_ADVERT"),
    *("SECCOMP_RET_USER_NOTIF", "SECCOMP_RET_TRACE", "SECCOMP_RET_LOG", "SECCOMP_RET_ALLOW"),
]

ffi = cffi.FFI()
for name in HEADERS:
    ffi.cdef(declarations(name))
for name in SYSTEM_CONSTANTS:
    ffi.cdef(f"#define {name} ...")
ffi.set_source(
    "jail._native",
    "#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n"
    + "".join(f"#include <{name}>\n" for name in SYSTEM_HEADERS)
    + "".join(f'#include "{Path(name).name}"\n' for name in HEADERS),
    sources=SOURCES,
    include_dirs=["preload", "jail/native"],
    extra_compile_args=[
        "-std=gnu11",
        "-Wall",
        "-Wextra",
        "-Wvla",
        "-Wshadow",
        "-Wno-unused-parameter",
        "-g0",
    ],
)
