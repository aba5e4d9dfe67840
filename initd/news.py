# SPDX-License-Identifier: MIT
"""What the world hears of an instance: lines about its definition, and procd's notifications."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initd.definition import Definition
    from initd.host import Host
    from initd.instance import Instance


def tell_problems(host: "Host", definition: "Definition", told: list[str]) -> None:
    """One line for each fault and warning of a definition that is not `told` yet."""
    for text in definition.faults:
        if text not in told:
            host.log.error(f"{definition.full_name}: not started: {text}")
    for text in definition.warnings:
        if text not in told:
            host.log.warning(f"{definition.full_name}: {text}")


def notify(host: "Host", name: str, definition: "Definition") -> None:
    """instance.start, instance.stop."""
    host.notify(name, {"service": definition.service, "instance": definition.instance})


def notify_end(host: "Host", name: str, instance: "Instance", pid: int) -> None:
    """instance.respawn, instance.fail; pid 0 for a process that there never was."""
    definition = instance.definition
    host.notify(
        name,
        {
            "service": definition.service,
            "instance": definition.instance,
            "pid": pid,
            "exit_code": instance.exit_code or 0,
            "respawn_count": instance.crashes,
            "command": list(definition.command),
        },
    )


def error_text(error: Exception) -> str:
    """What an error says, in a line of the log."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
