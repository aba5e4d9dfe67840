/* SPDX-License-Identifier: MIT */
/* All that the launcher can be asked to do: a number of a plan, and the function for it. */
#include "steps.h"

typedef int (*step_function)(struct launch_state *, struct step *);

static const step_function functions[] = {
	[STEP_PRIVATE] = step_private,
	[STEP_ROOT] = step_root,
	[STEP_DIR] = step_dir,
	[STEP_FILE] = step_file,
	[STEP_SYMLINK] = step_symlink,
	[STEP_NODE] = step_node,
	[STEP_MOUNT] = step_mount,
	[STEP_BIND] = step_bind,
	[STEP_REBIND] = step_rebind,
	[STEP_UNLINK] = step_unlink,
	[STEP_HOSTNAME] = step_hostname,
	[STEP_PIVOT] = step_pivot,
	[STEP_READ_ONLY] = step_read_only,
	[STEP_BOUNDING] = step_bounding,
	[STEP_FORK] = NULL, /* the walk's own */
	[STEP_SESSION] = step_session,
	[STEP_UMASK] = step_umask,
	[STEP_STDIO_NULL] = step_stdio_null,
	[STEP_CLOSE] = step_close,
	[STEP_CHDIR] = step_chdir,
	[STEP_SECUREBITS] = step_securebits,
	[STEP_GROUPS] = step_groups,
	[STEP_GID] = step_gid,
	[STEP_UID] = step_uid,
	[STEP_CAPABILITIES] = step_capabilities,
	[STEP_AMBIENT] = step_ambient,
	[STEP_DIE_WITH_PARENT] = step_die_with_parent,
	[STEP_NO_NEW_PRIVS] = step_no_new_privs,
	[STEP_FILTER] = step_filter,
	[STEP_SIGNALS] = step_signals,
	[STEP_EXEC] = step_exec,
	[STEP_EXEC_STUB] = step_exec_stub,
	[STEP_OPEN] = step_open,
	[STEP_STDIO] = step_stdio,
	[STEP_NICE] = step_nice,
	[STEP_RLIMIT] = step_rlimit,
	[STEP_CGROUP] = step_cgroup,
	[STEP_SETNS] = step_setns,
	[STEP_LOWER] = step_lower,
	[STEP_UPPER] = step_upper,
	[STEP_UPPER_MEMORY] = step_upper_memory,
	[STEP_OVERLAY] = step_overlay,
	[STEP_LOOPBACK] = step_loopback,
	[STEP_NETWORK] = step_network,
	[STEP_PORTS] = step_ports,
	[STEP_USER] = NULL, /* the walk's own too */
	[STEP_WRITE_PROC] = step_write_proc,
	[STEP_OWN] = step_own,
	[STEP_CGROUP_NAMESPACE] = step_cgroup_namespace,
	[STEP_KEYRING] = step_keyring,
	[STEP_FILE_RULES] = step_file_rules,
	[STEP_FILE_RULES_HOLD] = step_file_rules_hold,
	[STEP_IOPRIO] = step_ioprio,
	[STEP_CONSOLE] = step_console,
	[STEP_CONSOLE_STDIO] = step_console_stdio,
};

_Static_assert(sizeof(functions) / sizeof(functions[0]) == STEP_LAST + 1, "a step without a row");

int run_step(struct launch_state *state, struct step *step)
{
	return functions[step->op](state, step);
}
