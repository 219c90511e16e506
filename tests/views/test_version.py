"""The Kubernetes version page: what runs, targets, every other version with its reason, routes, the graph, starting.

The preflight panel and the risks are `test_version_preflight.py`.
"""

import re
import uuid
from datetime import timedelta

import pytest

from tests import cast
from tests.api.test_kubernetes import measure
from tests.views import an_upgrade, preflights
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Actor, Host, KubernetesVersion, Operation, Workspace
from workspaces.operations import upgrade

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def bobs(client, bob):
    return cast.sign_in(client, bob)


def without_tokens(answer) -> str:
    return re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())


def url(workspace) -> str:
    return f"/workspaces/{workspace.pk}/version"


def chosen(answer) -> str:
    return re.search(r'name="target" value="([^"]+)" checked', answer.content.decode())[1]


def half_upgraded(workspace) -> None:
    """The control plane and one host run 1.35.7, two hosts still 1.34.8."""
    workspace.observe_version("1.35.7")
    workspace.control_plane_wanted = "1.35.7"
    workspace.save()
    Host.objects.filter(name="ledger-prod-w1").update(kubelet_version="1.35.7")


# --- Who sees it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["alice", "bob", "victor", "root"])
def test_members_see_the_page(client, request, who, workspace, catalogue_rows):
    cast.sign_in(client, request.getfixturevalue(who))
    assert client.get(url(workspace)).status_code == 200


def test_for_a_stranger_it_looks_as_if_it_did_not_exist(client, charlie, workspace, catalogue_rows):
    cast.sign_in(client, charlie)
    random = f"/workspaces/{uuid.uuid4()}/version"
    for ask in (lambda address: client.get(address), lambda address: client.post(address, {"target": "1.35.7"})):
        theirs, other = ask(url(workspace)), ask(random)
        assert theirs.status_code == other.status_code == 404
        assert without_tokens(theirs) == without_tokens(other)
    assert not Operation.objects.exists()


def test_a_viewer_reads_who_can_start_it_and_is_refused(client, victor, workspace, catalogue_rows):
    cast.sign_in(client, victor)
    answer = client.get(url(workspace))
    assert "An operator or an administrator of Freight Core can start it." in text(answer)
    assert "Upgrade to" not in text(answer)
    assert "<dialog id=" not in answer.content.decode().partition("<main")[2].partition("</main>")[0]
    assert client.post(url(workspace), {"target": "1.35.7"}).status_code == 403
    assert not Operation.objects.exists()


def test_bare_metal_says_that_there_is_nothing_to_upgrade(alices, metal, catalogue_rows):
    answer = alices.get(url(metal))
    assert answer.status_code == 200
    assert "Nothing to upgrade here This workspace has no Kubernetes." in text(answer)
    answer = alices.post(url(metal), {"target": "1.35.7"})
    assert answer.status_code == 409
    assert "This workspace has no Kubernetes. Its hosts are updated in maintenance windows." in text(answer)


# --- What it shows ----------------------------------------------------------------------------------------------------
def test_the_running_version_record_is_shown(alices, workspace, catalogue_rows):
    KubernetesVersion.objects.filter(version="1.34.8").update(notes="Fixes the scheduler.", released_on="2026-09-08")
    shown = text(alices.get(url(workspace)))
    assert "Runs Kubernetes 1.34.8. Upgrades are forward only" in shown
    assert "Control plane 1.34.8 Released 8 Sep 2026 Supported to 28 Feb 2027 Catalogue active" in shown
    assert "Notes Fixes the scheduler." in shown
    assert "Management cluster mgmt-fsn1, up to 1.36" in shown


def test_a_running_version_outside_the_catalogue_is_said_to_be_so(alices, workspace, catalogue_rows):
    workspace.observe_version("1.34.5")
    workspace.save()
    assert "This version is not in the catalogue." in text(alices.get(url(workspace)))


def test_one_replica_announces_the_outage(alices, workspace, catalogue_rows):
    Workspace.objects.update(control_plane_replicas=1)
    assert "Replicas 1: the API server does not answer while it moves" in text(alices.get(url(workspace)))


def test_targets_are_listed_newest_first_with_what_moves_and_the_recommended_one_chosen(
    alices, workspace, catalogue_rows
):
    answer = alices.get(url(workspace))
    shown = text(answer)
    assert re.findall(r'name="target" value="([^"]+)"', answer.content.decode())[:3] == ["1.35.7", "1.35.4", "1.34.11"]
    assert chosen(answer) == "1.35.7"
    assert (
        "1.35.7 recommended not known yet Minor upgrade. The control plane moves first. "
        "3 hosts drain once each, one at a time." in shown
    )
    assert "1.34.11 security not known yet Patch. The control plane moves first." in shown
    assert "1.34.8 to 1.35.7 on 3 hosts. There is no way back." in shown


def test_every_other_version_has_its_reason(alices, workspace, catalogue_rows):
    body = text(alices.get(url(workspace))).partition("Not offered")[2].partition("Running version")[0]
    assert "3 versions and the reason for each" in body
    assert "1.37.1 1.37.1 is known, but not active in the catalogue." in body
    assert "1.35.6 Withdrawn by the operator: Volume detach can hang." in body
    assert "1.33.9 1.33.9 is lower than 1.34.8, which runs now. Kamaji does not go back." in body


def test_a_version_further_on_can_be_chosen_with_the_reason_and_the_hops(alices, workspace, catalogue_rows):
    shown = text(alices.get(url(workspace)))
    assert (
        "Through several versions 1 further away Target version, in several hops 1.36.2 not known yet "
        "Not reachable in one hop from 1.34.8. Kamaji goes one minor at a time: 1.35 is next. "
        "2 hops, through 1.35.7. The hosts move at the last hop only." in shown
    )


def test_a_chosen_version_further_on_shows_every_hop_and_what_can_be_undone(alices, workspace, catalogue_rows):
    answer = alices.get(url(workspace), {"target": "1.36.2"})
    shown = text(answer)
    assert chosen(answer) == "1.36.2"
    assert (
        "Route to 1.36.2 2 hops 1.34.8 to 1.35.7 The workers stay: kubelet 1.34.8 is within 3 minors of 1.36.2. "
        "Stopped before Kamaji has taken 1.35.7: everything is as it was. "
        "After it: no way back. Kamaji refuses 1.34.8. 1.35.7 to 1.36.2 Last hop: the workers move to 1.36.2. "
        "Stopped before Kamaji has taken 1.36.2: the workspace stays on 1.35.7. "
        "After it: no way back. Kamaji refuses 1.35.7. A host that has moved keeps its new kubelet. "
        "It stops at the first hop that does not verify, and can be continued from there." in shown
    )
    assert "1.34.8 to 1.36.2 through 1.35.7, 2 hops, on 3 hosts. There is no way back." in shown
    assert "Upgrade ledger-prod to 1.36.2 now? 1.34.8 to 1.35.7 The workers stay" in shown
    assert "The control plane moves 2 times. 3 hosts move, one at a time." in shown
    assert re.findall(r'name="through" value="([^"]+)"', answer.content.decode()) == ["1.35.7"]
    graph = answer.content.decode().partition('id="graph"')[2].partition("</svg>")[0]
    assert graph.count("data-plan") == 2
    assert "data-later" not in graph


@pytest.mark.parametrize(
    ("target", "sentences"),
    [
        ("1.35.7", ["Stopped before Kamaji has taken 1.35.7: everything is as it was.", "Kamaji refuses 1.34.8."]),
        ("1.34.11", ["Kamaji would take 1.34.8 without a look, so Loopback refuses it."]),
    ],
)
def test_what_can_be_undone_is_said_for_a_single_hop_too(alices, workspace, catalogue_rows, target, sentences):
    shown = text(alices.get(url(workspace), {"target": target})).partition("What can be undone")[2]
    for sentence in sentences:
        assert sentence in shown.partition("Preflight for")[0]


def test_how_many_of_the_readers_workspaces_run_a_version_is_said(alices, workspace, catalogue_rows):
    cast.kubernetes("atlas", version="1.35.7")
    cast.kubernetes("borealis", version="1.35.7")
    cast.kubernetes("theirs", version="1.35.7", project=cast.project("Fish", of="Fjordline"))
    shown = text(alices.get(url(workspace)))
    assert "3 hosts drain once each, one at a time. 2 of 3 workspaces run it." in shown
    assert "None of 3 workspaces runs it." in shown


def test_how_long_it_takes_is_said_once_enough_was_measured(alices, workspace, catalogue_rows):
    measure(workspace, 9)
    shown = text(alices.get(url(workspace), {"target": "1.36.2"}))
    assert "How long an upgrade takes is not known yet: 9 of 10 upgrades measured." in shown
    measure(workspace, 1)
    shown = text(alices.get(url(workspace), {"target": "1.36.2"}))
    assert "not known yet" not in shown
    # Ten minutes the control plane, five minutes a host.
    assert "1.35.7 recommended about 25 min Minor upgrade." in shown
    assert "Route to 1.36.2 2 hops, about 35 min 1.34.8 to 1.35.7 about 10 min" in shown
    assert "1.35.7 to 1.36.2 about 25 min" in shown
    assert "Nine of ten take less than 35 min. Automatic maintenance would need 1 window." in shown
    assert "2 hops, on 3 hosts, about 35 min." in shown
    assert "Expect about 35 min." in shown


def test_a_version_whose_support_has_ended_says_so_and_is_not_recommended(alices, workspace, catalogue_rows):
    KubernetesVersion.objects.filter(version="1.35.7").update(end_of_life_on="2026-11-23")
    answer = alices.get(url(workspace))
    assert chosen(answer) == "1.35.4"
    assert "1.35.7 ended not known yet Minor upgrade." in text(answer)
    assert "Support ended 23 Nov 2026." in text(answer)


def test_the_graph_says_in_a_sentence_what_it_draws(alices, workspace, catalogue_rows):
    body = alices.get(url(workspace)).content.decode()
    assert (
        'aria-label="Version graph. ledger-prod runs 1.34.8. One hop reaches 1.34.11, 1.35.4, 1.35.7. '
        '1.36.2 needs 2 hops, through 1.35.7."'
    ) in body
    graph = body.partition('id="graph"')[2].partition("</svg>")[0]
    assert re.findall(r'class="stop" data-state="(\w+)"', graph) == [
        "now",
        "open",
        "open",
        "shut",
        "target",
        "later",
        "shut",
    ]
    assert graph.count('class="hop"') == 4
    assert "1.33" not in graph


def test_a_long_catalogue_keeps_the_graph_readable_and_the_list_complete(alices, workspace, catalogue_rows):
    for patch in range(20):
        KubernetesVersion.objects.create(version=f"1.36.{patch + 10}", active=False)
    answer = alices.get(url(workspace))
    assert answer.content.decode().count('class="stop"') == 9
    assert "28 versions in the catalogue, 9 drawn" in text(answer)
    assert "23 versions and the reason for each" in text(answer)


def test_another_target_can_be_chosen_by_its_address(alices, workspace, catalogue_rows):
    answer = alices.get(url(workspace), {"target": "1.34.11"})
    assert chosen(answer) == "1.34.11"
    assert "Upgrade ledger-prod to 1.34.11 now?" in text(answer)
    for nowhere in ("1.37.1", "1.34.8", "latest", "<script>"):
        assert chosen(alices.get(url(workspace), {"target": nowhere})) == "1.35.7"


def test_the_dialog_names_the_workspace_the_hosts_the_stages_and_that_there_is_no_way_back(
    bobs, workspace, catalogue_rows
):
    shown = text(bobs.get(url(workspace)))
    assert "Upgrade ledger-prod to 1.35.7 now?" in shown
    assert "The control plane moves first, then 3 hosts, one at a time." in shown
    assert "Each goes through 6 stages: kubeadm, Cordon, Drain, kubelet, Verify, Uncordon." in shown
    assert "Forward only. Once the control plane has taken 1.35.7, it does not go back to 1.34.8." in shown
    assert "Keep 1.34.8 Start upgrade" in shown


def test_a_half_upgraded_workspace_can_be_finished(bobs, workspace, catalogue_rows):
    half_upgraded(workspace)
    answer = bobs.get(url(workspace))
    shown = text(answer)
    assert "Half upgraded: the control plane runs 1.35.7, 2 of 3 hosts are behind." in shown
    assert chosen(answer) == "1.35.7"
    assert "Finishes a half upgrade. Only hosts that are behind move: ledger-prod-w2, ledger-prod-w3." in shown
    assert "Bring the hosts of ledger-prod to 1.35.7 now?" in shown
    assert "2 of 3 hosts are behind. Finish the hosts" in shown
    assert "Hosts to 1.35.7 A host that has not begun keeps its kubelet when it is stopped." in shown
    other = bobs.get(url(workspace), {"target": "1.36.2"}).content.decode()
    assert f'href="{url(workspace)}?target=1.35.7#start">Finish the hosts' in other
    assert bobs.post(url(workspace), {"target": "1.35.7"}).status_code == 303
    hosts = set(Operation.objects.get().steps.exclude(host="").values_list("host", flat=True))
    assert hosts == {"ledger-prod-w2", "ledger-prod-w3"}


def test_an_unknown_running_version_offers_nothing(alices, workspace, catalogue_rows):
    workspace.observe_version("")
    workspace.save()
    answer = alices.get(url(workspace))
    assert "The running version is not known yet." in text(answer)
    assert "No version can be reached from an unknown version." in text(answer)
    assert 'id="graph"' not in answer.content.decode()


def test_old_knowledge_is_said_to_be_old(alices, workspace, catalogue_rows):
    Workspace.objects.update(observed_at=cast.NOW - timedelta(minutes=12))
    assert "Last seen 12 min ago. What runs may have changed since." in text(alices.get(url(workspace)))


@pytest.mark.parametrize(("state", "word"), [("failed", "failed"), ("stopped", "was stopped")])
def test_an_upgrade_that_ended_on_its_way_is_said_with_where_it_stands(
    alices, alice, workspace, catalogue_rows, state, word
):
    begun = upgrade.start(workspace, "1.36.2", actor=Actor.of(alice), through=["1.35.7"])
    Operation.objects.update(state=state)
    told = f"“{begun.title}” {word} on the way."
    assert f"{told} None of its 2 hops has been made. Continue it from its page" in text(alices.get(url(workspace)))
    half_upgraded(workspace)
    answer = alices.get(url(workspace))
    assert f"{told} The control plane runs 1.35.7, where hop 1 of 2 leads." in text(answer)
    assert f'<a href="/operations/{begun.pk}">Continue it from its page</a>' in answer.content.decode()
    workspace.observe_version("1.36.2")
    workspace.save()
    assert told not in text(alices.get(url(workspace)))


def test_an_upgrade_of_one_hop_that_failed_is_no_halt_on_a_way(alices, alice, workspace, catalogue_rows):
    an_upgrade.started(workspace, alice)
    Operation.objects.update(state="failed")
    assert "on the way" not in text(alices.get(url(workspace)))


# --- Starting ---------------------------------------------------------------------------------------------------------
def test_several_hops_are_started_in_one_operation(bobs, workspace, catalogue_rows):
    answer = bobs.post(url(workspace), {"target": "1.36.2", "through": "1.35.7"})
    operation = Operation.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/operations/{operation.pk}")
    assert [hop["to"] for hop in operation.parameters["hops"]] == ["1.35.7", "1.36.2"]


def test_a_route_that_has_changed_since_it_was_shown_is_refused_and_shown_as_it_is(bobs, workspace, catalogue_rows):
    answer = bobs.post(url(workspace), {"target": "1.36.2", "through": "1.35.4"})
    assert answer.status_code == 409
    assert "The upgrade was not started The way to 1.36.2 leads through 1.35.7 now." in text(answer)
    assert chosen(answer) == "1.36.2"
    assert re.findall(r'name="through" value="([^"]+)"', answer.content.decode()) == ["1.35.7"]
    assert not Operation.objects.exists()


def test_starting_stores_the_operation_and_goes_to_its_page(bobs, workspace, catalogue_rows):
    answer = bobs.post(url(workspace), {"target": "1.35.7"})
    operation = Operation.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/operations/{operation.pk}")
    assert operation.title == "Upgrade ledger-prod from 1.34.8 to 1.35.7"
    assert (operation.requested_by, operation.state) == ("Bob Berger", "pending")


def test_a_second_start_is_refused_with_a_link_to_the_first(bobs, bob, workspace, catalogue_rows):
    running = an_upgrade.started(workspace, bob)
    answer = bobs.post(url(workspace), {"target": "1.35.4"})
    assert answer.status_code == 409
    assert "Upgrade ledger-prod from 1.34.8 to 1.35.7 is running. Wait for it to end, or stop it." in text(answer)
    assert f'<a href="/operations/{running.pk}">Open the running operation</a>' in answer.content.decode()
    assert Operation.objects.count() == 1


def test_while_an_operation_is_open_nothing_can_be_started_and_the_page_says_so(bobs, bob, workspace, catalogue_rows):
    running = an_upgrade.started(workspace, bob)
    answer = bobs.get(url(workspace))
    assert "Upgrade to 1.35.7" not in text(answer)
    assert "is running. A second one starts only when it has ended." in text(answer)
    assert f'<a href="/operations/{running.pk}">Open the operation</a>' in answer.content.decode()


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("1.99.0", "“1.99.0” is not in the version catalogue."),
        ("", "“” is not in the version catalogue."),
        ("latest", "“latest” is not in the version catalogue."),
        ("1.37.1", "1.37.1 is known, but not active in the catalogue."),
        ("1.35.6", "Withdrawn by the operator: Volume detach can hang."),
        ("1.34.8", "The workspace already runs 1.34.8."),
        ("1.36.2", "Not reachable in one hop from 1.34.8."),
        ("1.33.9", "1.33.9 is lower than 1.34.8, which runs now. Kamaji does not go back."),
    ],
)
def test_what_is_not_offered_is_refused_with_the_sentence(bobs, workspace, catalogue_rows, target, sentence):
    answer = bobs.post(url(workspace), {"target": target})
    assert answer.status_code == 409
    assert f"The upgrade was not started {sentence}" in text(answer)
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("gated", "Reconciliation holds changes back until the workspace has converged."),
        ("error", "The workspace is not active. Its state: Error."),
        ("deleting", "The workspace is not active. Its state: Deleting."),
    ],
)
def test_a_workspace_that_is_not_active_is_refused_and_the_page_says_why(
    bobs, workspace, catalogue_rows, state, sentence
):
    Workspace.objects.update(state=state)
    assert sentence in text(bobs.get(url(workspace)))
    answer = bobs.post(url(workspace), {"target": "1.35.7"})
    assert answer.status_code == 409
    assert f"The upgrade was not started {sentence}" in text(answer)
    assert not Operation.objects.exists()


def test_workers_that_are_too_old_are_refused(bobs, workspace, catalogue_rows):
    Host.objects.filter(name="ledger-prod-w1").update(kubelet_version="1.31.9")
    answer = bobs.post(url(workspace), {"target": "1.35.7"})
    assert answer.status_code == 409
    assert "1.31.9" in text(answer).partition("The upgrade was not started")[2].partition("Where this")[0]
    assert not Operation.objects.exists()


def test_a_host_whose_kubelet_was_never_seen_counts_as_too_old(bobs, workspace, catalogue_rows):
    Host.objects.filter(name="ledger-prod-w1").update(kubelet_version="")
    assert bobs.get(url(workspace)).status_code == 200
    assert bobs.post(url(workspace), {"target": "1.35.7"}).status_code == 409
    assert not Operation.objects.exists()


def test_markup_in_the_target_is_shown_as_text(bobs, workspace, catalogue_rows):
    body = bobs.post(url(workspace), {"target": "<script>alert(1)</script>"}).content.decode()
    assert "<script>alert" not in body


# --- Cost -------------------------------------------------------------------------------------------------------------
def test_the_page_of_thirty_hosts_costs_twelve_queries_and_less_than_40_kb(
    alices, catalogue_rows, django_assert_max_num_queries
):
    large = cast.kubernetes("large", hosts=30)
    with django_assert_max_num_queries(12):
        answer = alices.get(url(large))
    assert len(answer.content) < 40_000


def test_forty_versions_a_preflight_and_thirty_hosts_stay_below_60_kb(alices, django_assert_max_num_queries):
    for minor in range(33, 38):
        for patch in range(1, 9):
            KubernetesVersion.objects.create(
                version=f"1.{minor}.{patch}", active=True, upgrade_from=f"1.{minor - 1}.x || 1.{minor}.x"
            )
    cast.management_cluster(max_version="1.37")
    large = cast.kubernetes("large", hosts=30, version="1.34.4")
    names = [f"namespace-{number}/some-deployment-7d9f8c6b5-{number:05}" for number in range(20)]
    moved = [{"host": f"large-w{n}", "pods": 40, "names": names, "more": 20} for n in range(30)]
    seen = preflights.finished(large, "1.35.8", nodes_ready="fail", capacity="fail", hosts_reachable="cannot_tell")
    seen.blast = preflights.BLAST | {"hosts": moved}
    seen.save()
    with django_assert_max_num_queries(12):
        answer = alices.get(url(large), {"target": "1.37.8"})
    assert chosen(answer) == "1.37.8"
    assert "Preflight for 1.35.8" in text(answer)
    assert len(re.findall(r'name="target" value="[^"]+"', answer.content.decode().partition("savebar")[0])) == 29
    assert len(answer.content) < 60_000
