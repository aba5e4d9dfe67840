# SPDX-License-Identifier: MIT
"""Whatever comes over ubus as an instance: it is read, listed and ended, and nothing is raised."""

from hypothesis import given, settings
from hypothesis import strategies as st
from initd_world import World

from initd.definition import FLAGS, JAIL_KEYS, KEYS
from initd.ubus import wire
from initd.ubus.blob import pack_table

# root runs this too: no pidfile at all, and no path that there is
words = st.sampled_from(["", "0", "1", "-1", "/no/such/place", "root", "unlimited", "é", "a\nb", "9" * 30])
leaves = st.one_of(st.booleans(), st.integers(-(2**31), 2**31 - 1), words, st.none(), st.floats(0, 1))
values = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3))
)
jails = st.one_of(
    values,
    st.dictionaries(st.sampled_from([key for key in JAIL_KEYS if key != "pidfile"]), values, max_size=5),
)
tables = st.dictionaries(
    st.sampled_from(["unknown", *(key for key in KEYS if key not in ("pidfile", "jail"))]), values, max_size=6
)
instances = st.one_of(values, tables, st.tuples(tables, jails).map(lambda both: {**both[0], "jail": both[1]}))


def test_the_keys_are_those_that_are_read() -> None:
    assert len(set(KEYS)) == len(KEYS) and set(FLAGS) < set(JAIL_KEYS)


@settings(max_examples=60, deadline=None)
@given(st.lists(instances, min_size=1, max_size=3))
def test_nonsense_is_listed_and_nothing_is_raised(given_tables: list[object]) -> None:
    world = World()
    for table in given_tables:
        good = {"command": ["/bin/d"], **(table if isinstance(table, dict) else {})}
        assert world.call("set", {"name": "s", "instances": {"bad": table, "good": good}})[0] == wire.OK
        status, listed = world.call("list", {"verbose": True})
        assert status == wire.OK and pack_table(listed)  # type: ignore[arg-type]
        for one in world.services.table["s"].instances.values():
            assert not one.definition.pidfile
            assert one.process is None or one.is_startable or one.state in ("stopping", "restarting")
    world.call("delete", {"name": "s"})
    for pid in list(world.children.watched):
        world.end(pid)
    assert world.services.table == {}
    world.close()
