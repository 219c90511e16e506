"""What is known about one workspace, read as values."""

from datetime import timedelta

from tests import cast
from workspaces.models import Actor, Advisory, Hold, Host, Operation, StepPlan, Workspace
from workspaces.models.outlook import look
from workspaces.rules.planner import Advisory as Flagged
from workspaces.rules.planner import Hold as Held


def seen(workspace: Workspace):
    return look(Workspace.objects.select_related("project", "management_cluster").get(pk=workspace.pk), cast.NOW)


def test_hosts_come_by_name_with_what_was_seen(workspace):
    Host.objects.filter(name="ledger-prod-w2").update(ansible={}, kubelet_version="", ready=None)
    outlook = seen(workspace)
    assert [host.name for host in outlook.hosts] == ["ledger-prod-w1", "ledger-prod-w2", "ledger-prod-w3"]
    assert outlook.hosts[0].observed_at == cast.NOW
    assert [host.name for host in outlook.unmanageable] == ["ledger-prod-w2"]
    assert outlook.facts.hosts_manageable == 2


def test_a_kubelet_that_was_never_seen_stays_in_the_situation(workspace):
    Host.objects.filter(name="ledger-prod-w2").update(kubelet_version="")
    situation = seen(workspace).situation
    assert situation.kubelet_versions == ("1.34.8", "", "1.34.8")
    assert (situation.running_version, situation.control_plane_wanted) == ("1.34.8", "1.34.8")
    assert situation.kamaji_max == "1.36"


def test_the_open_operation_is_named_and_a_finished_one_is_not(workspace):
    operation = Operation.start(
        workspace, "test", "Test something", [StepPlan("one", "Do one")], actor=Actor("account", "Bob")
    )
    assert seen(workspace).situation.open_operation == (str(operation.pk), "Test something")
    Operation.objects.update(state="failed")
    outlook = seen(workspace)
    assert outlook.situation.open_operation is None
    assert str(outlook.operation.pk) == str(operation.pk)


def test_holds_and_advisories_that_apply_are_known(alice, workspace, metal, catalogue_rows):
    advisory = Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl"], enforced=True)
    advisory.versions.set([version for version in catalogue_rows if version.version == "1.34.11"])
    Advisory.objects.create(name="DSA-6000", severity="low", closed_at=cast.NOW)
    until = cast.NOW + timedelta(days=2)
    for reason, scope in (
        ("Quarter end", {"organization": workspace.project.organization}),
        ("Only the archive", {"workspace": metal}),
    ):
        Hold.objects.create(reason=reason, set_by=alice, set_at=cast.NOW, expires_at=until, **scope)
    facts = seen(workspace).facts
    assert list(facts.holds) == [Held("Quarter end", until, cast.NOW, "Kestrel Freight")]
    assert list(facts.advisories) == [Flagged("DSA-6001", ("openssl",), ("1.34.11",), True)]
