"""States, their words and their tones."""

from workspaces.rules import lifecycle


def test_a_workspace_has_these_states_in_this_order():
    assert lifecycle.WORKSPACE_STATES == [
        ("provisioning", "Provisioning"),
        ("active", "Active"),
        ("gated", "Gated"),
        ("error", "Error"),
        ("deletion_scheduled", "Deletion scheduled"),
        ("deleting", "Deleting"),
        ("deleted", "Deleted"),
    ]


def test_the_first_four_operation_states_hold_the_workspace():
    assert [value for value, _ in lifecycle.OPERATION_STATES] == [
        "pending",
        "running",
        "waiting",
        "paused",
        "succeeded",
        "failed",
        "stopped",
    ]
    assert lifecycle.OPEN == ("pending", "running", "waiting", "paused")


def test_a_step_has_these_states():
    assert [value for value, _ in lifecycle.STEP_STATES] == [
        "pending",
        "running",
        "waiting",
        "done",
        "failed",
        "skipped",
    ]


def test_only_what_is_as_wanted_is_green():
    looks = [lifecycle.WORKSPACE, lifecycle.OPERATION, lifecycle.STEP]
    assert {state for table in looks for state, look in table.items() if look.tone == "ok"} == {
        "active",
        "succeeded",
        "done",
    }
    assert {look.tone for table in looks for look in table.values()} == {"ok", "busy", "warn", "bad", "idle"}
