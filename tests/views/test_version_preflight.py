"""The version page's preflight: what was seen and how old it is, asking for a look, following it, the risks taken."""

import re
from datetime import timedelta

import django_rq
import pytest

from tests import cast
from tests.views import preflights
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from tests.views.test_version import alices, bobs, text, url  # noqa: F401
from workspaces.models import Event, KubernetesVersion, Operation, Preflight
from workspaces.rules.preflight import CODES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues", "catalogue_rows")]
HTMX = {"HX-Request": "true"}


def panel(answer) -> str:
    """What the panel says, from its heading on."""
    return text(answer).partition("Preflight for ")[2].partition("Running version")[0]


def ask(client, workspace, **data):
    return client.post(f"{url(workspace)}/preflight", {"target": "1.35.7"} | data)


def poll(client, workspace, preflight, state="running"):
    query = {"of": preflight.target, "seen": f"{preflight.pk}.{state}", "target": preflight.target}
    return client.get(f"{url(workspace)}/preflight", query, headers=HTMX)


def tones(answer) -> dict[str, tuple[str, str, str]]:
    """Of each check its tone, its icon and its word."""
    rows = re.findall(
        r'<li data-tone="(\w+)"><svg[^>]*><use href="#i-(\w+)"/></svg><strong>[^<]*</strong>'
        r'<span class="soft">([^<]+)</span><span class="sub">Evidence of (\w+)\.',
        answer.content.decode(),
    )
    return {code: (tone, icon, word) for tone, icon, word, code in rows}


# --- What was seen ----------------------------------------------------------------------------------------------------
def test_without_a_preflight_the_page_says_that_the_upgrade_looks(bobs, workspace):  # noqa: F811
    assert panel(bobs.get(url(workspace))).startswith(
        "1.35.7 Check now Not checked yet. The upgrade looks before it moves anything."
    )


def test_each_check_has_a_tone_an_icon_and_a_word_and_only_what_passed_is_green(bobs, workspace):  # noqa: F811
    preflights.finished(
        workspace,
        nodes_ready="fail",
        deprecated_apis="cannot_tell",
        capacity="fail",
        pinned_addons="cannot_tell",
        version_skew="cannot_tell",
    )
    answer = bobs.get(url(workspace))
    seen = tones(answer)
    assert set(seen) == set(CODES)
    assert seen["nodes_ready"] == ("bad", "x", "failed")
    assert seen["capacity"] == ("warn", "warn", "warning")
    for code in ("deprecated_apis", "pinned_addons", "version_skew"):
        assert seen[code] == ("warn", "warn", "cannot tell")
    green = {code for code, (tone, _, _) in seen.items() if tone == "ok"}
    assert len(green) == 8
    assert {seen[code] for code in green} == {("ok", "check", "passed")}
    assert list(seen)[:5] == ["nodes_ready", "version_skew", "deprecated_apis", "capacity", "pinned_addons"]
    assert "8 passed, 2 failed, 3 cannot tell." in panel(answer)


def test_the_evidence_the_names_and_who_can_fix_it_are_said(bobs, workspace):  # noqa: F811
    seen = preflights.check(
        "nodes_ready", "fail", evidence="2 of 3 hosts are Ready.", details=("w2",), who_can_fix="The operator."
    )
    preflights.finished(workspace, nodes_ready=seen)
    assert "Every host is Ready failed 2 of 3 hosts are Ready. w2 Who can fix it: The operator." in panel(
        bobs.get(url(workspace))
    )


def test_markup_in_what_was_seen_is_shown_as_text(bobs, workspace):  # noqa: F811
    preflights.finished(workspace, nodes_ready=preflights.check("nodes_ready", "fail", evidence="<script>alert(1)"))
    assert "<script>alert" not in bobs.get(url(workspace)).content.decode()


def test_its_age_is_said_and_when_it_is_too_old_to_stop_a_start(bobs, workspace, settings):  # noqa: F811
    settings.LOOPBACK_PREFLIGHT_SECONDS = 900
    seen = preflights.finished(workspace)
    shown = panel(bobs.get(url(workspace)))
    assert shown.startswith("1.35.7 checked today 14:29, 3 min ago Check again 13 passed.")
    Preflight.objects.filter(pk=seen.pk).update(finished_at=cast.NOW - timedelta(seconds=901))
    assert "checked today 14:16, 15 min ago" in panel(bobs.get(url(workspace)))
    assert "Older than 15 min: it stops no start any more. The upgrade looks again" in panel(bobs.get(url(workspace)))


def test_whom_it_touches_is_said_with_what_nobody_brings_back(bobs, workspace):  # noqa: F811
    preflights.finished(workspace)
    shown = panel(bobs.get(url(workspace)))
    assert "Whom it touches 14 pods leave 3 hosts ledger-prod-w1: 2 pods shop/web-7d9f shop/cart-0" in shown
    assert "ledger-prod-w2: 12 pods pay/api-1 and 11 more ledger-prod-w3: no pod" in shown
    assert "Nobody brings back tools/debug: deleted with the drain" in shown
    assert "Out of service shop/web (Deployment, 1 replica)" in shown
    assert "Budgets that allow none pay/api: 2 of 2 needed are healthy, 1 pod" in shown


@pytest.mark.parametrize(
    ("blast", "sentence"),
    [
        ({}, "Whom it touches not known The pods could not be asked for."),
        (preflights.BLAST | {"pods": 0, "hosts": []}, "No host moves at this hop, so no pod leaves."),
        (preflights.BLAST | {"budgets": None}, "Budgets that allow none could not be asked for"),
        (preflights.BLAST | {"single_replica": None}, "Out of service could not be asked for"),
        (preflights.BLAST | {"budgets": [], "bare": []}, "Nobody brings back nothing: every pod has an owner"),
    ],
)
def test_what_is_not_known_of_whom_it_touches_is_said(bobs, workspace, blast, sentence):  # noqa: F811
    preflights.finished(workspace)
    Preflight.objects.update(blast=blast)
    assert sentence in panel(bobs.get(url(workspace)))


def test_a_look_that_was_lost_is_said_and_can_be_repeated(bobs, workspace):  # noqa: F811
    preflights.running(workspace, ago=timedelta(seconds=121))
    answer = bobs.get(url(workspace))
    assert "The look that Alice Ahrens asked for 2 min ago was lost: no worker ended it." in panel(answer)
    assert "Check now" in panel(answer)
    assert "every 2s" not in answer.content.decode()


def test_a_look_that_broke_off_says_why(bobs, workspace):  # noqa: F811
    preflights.finished(workspace)
    Preflight.objects.update(checks=[], blast={}, error="The look broke off (KeyError).")
    shown = panel(bobs.get(url(workspace)))
    assert "The look broke off (KeyError)." in shown
    assert "Whom it touches" not in shown


def test_a_preflight_of_several_hops_is_that_of_the_first(bobs, workspace):  # noqa: F811
    preflights.finished(workspace, "1.36.2", nodes_ready="fail")
    assert panel(bobs.get(url(workspace), {"target": "1.36.2"})).startswith("1.35.7 Check now Not checked yet.")
    preflights.finished(workspace, "1.35.7")
    assert "13 passed." in panel(bobs.get(url(workspace), {"target": "1.36.2"}))


def test_a_viewer_reads_it_and_cannot_ask(client, victor, workspace):
    cast.sign_in(client, victor)
    preflights.finished(workspace, nodes_ready="fail")
    answer = client.get(url(workspace))
    assert "Every host is Ready failed" in panel(answer)
    assert "Check again" not in text(answer)
    assert 'name="accept"' not in answer.content.decode()
    assert ask(client, workspace).status_code == 403
    assert not Preflight.objects.filter(finished_at=None).exists()


# --- Asking for one ---------------------------------------------------------------------------------------------------
def test_asking_hands_a_look_to_a_worker_and_comes_back_to_the_page(
    bobs,  # noqa: F811
    workspace,
    django_capture_on_commit_callbacks,
):
    with django_capture_on_commit_callbacks(execute=True):
        answer = ask(bobs, workspace)
    asked = Preflight.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"{url(workspace)}?target=1.35.7")
    assert (asked.target, asked.asked_by, asked.operation) == ("1.35.7", "Bob Berger", None)
    assert [job.args for job in django_rq.get_queue("ticks").jobs] == [(str(asked.pk),)]
    assert panel(bobs.get(url(workspace))).startswith("1.35.7 A worker looks, asked by Bob Berger 0 s ago. Look again")


def test_with_htmx_the_panel_comes_back_and_asks_every_two_seconds(bobs, workspace):  # noqa: F811
    answer = bobs.post(f"{url(workspace)}/preflight", {"target": "1.36.2"}, headers=HTMX)
    asked = Preflight.objects.get()
    body = answer.content.decode()
    assert (answer.status_code, asked.target) == (200, "1.35.7")
    assert body.strip().startswith('<div class="stack" data-gap="lg" id="preflight" hx-get=')
    assert f"?of=1.35.7&amp;seen={asked.pk}.running" in body
    assert 'hx-trigger="every 2s"' in body
    assert 'id="start"' not in body


@pytest.mark.parametrize(
    ("target", "sentence"),
    [("1.99.0", "“1.99.0” is not in the version catalogue."), ("1.33.9", "1.33.9 is lower than 1.34.8")],
)
def test_no_look_is_made_for_what_cannot_be_reached(bobs, workspace, target, sentence):  # noqa: F811
    answer = ask(bobs, workspace, target=target)
    assert answer.status_code == 409
    assert f"Nothing was checked {sentence}" in text(answer)
    assert not Preflight.objects.exists()


def test_a_stranger_meets_no_preflight(client, charlie, workspace):
    cast.sign_in(client, charlie)
    seen = preflights.running(workspace)
    assert ask(client, workspace).status_code == poll(client, workspace, seen).status_code == 404


def test_choosing_a_target_starts_no_look(bobs, workspace):  # noqa: F811
    bobs.get(url(workspace), {"target": "1.34.11"}, headers=HTMX)
    assert not Preflight.objects.exists()


# --- Following it -----------------------------------------------------------------------------------------------------
def test_while_nothing_has_changed_the_answer_is_empty_and_cheap(
    bobs,  # noqa: F811
    workspace,
    django_assert_max_num_queries,
):
    seen = preflights.running(workspace)
    with django_assert_max_num_queries(4):
        answer = poll(bobs, workspace, seen)
    assert (answer.status_code, answer.content) == (204, b"")


def test_when_it_has_ended_the_panel_and_the_save_bar_come_and_nobody_asks_again(bobs, workspace):  # noqa: F811
    seen = preflights.running(workspace)
    checks = [preflights.check("nodes_ready", "fail").document()]
    Preflight.objects.update(finished_at=cast.NOW, checks=checks)
    answer = poll(bobs, workspace, seen)
    body = answer.content.decode()
    assert answer.status_code == 286
    assert "every 2s" not in body
    assert "Evidence of nodes_ready." in body
    assert 'id="start" hx-swap-oob="true"' in body
    assert 'id="confirm" aria-labelledby="confirm-title" hx-swap-oob="true"' in body
    assert '<div hx-swap-oob="innerHTML:#said">Preflight for 1.35.7: 1 failed.</div>' in body


def test_what_was_ticked_meanwhile_stays_ticked(bobs, workspace):  # noqa: F811
    preflights.finished(workspace, nodes_ready="fail")
    query = {"of": "1.35.7", "seen": "x", "target": "1.35.7", "for": "1.35.7", "accept": "nodes_ready"}
    body = bobs.get(f"{url(workspace)}/preflight", query, headers=HTMX).content.decode()
    assert '<input type="hidden" name="accept" value="nodes_ready">' in body


def test_a_look_that_gets_lost_is_shown_and_nobody_asks_again(bobs, workspace):  # noqa: F811
    seen = preflights.running(workspace, ago=timedelta(seconds=121))
    answer = poll(bobs, workspace, seen)
    assert answer.status_code == 286
    assert "was lost: no worker ended it." in answer.content.decode()


def test_without_htmx_its_address_leads_to_the_page(bobs, workspace):  # noqa: F811
    answer = bobs.get(f"{url(workspace)}/preflight", {"target": "1.34.11"})
    assert (answer.status_code, answer["Location"]) == (302, f"{url(workspace)}?target=1.34.11")


# --- Risks ------------------------------------------------------------------------------------------------------------
def test_what_stops_the_upgrade_and_may_be_accepted_has_a_box_and_the_dialog_says_what_was_taken(
    bobs,  # noqa: F811
    workspace,
):
    preflights.finished(workspace, nodes_ready="fail", deprecated_apis="cannot_tell", capacity="fail")
    body = bobs.get(url(workspace)).content.decode()
    assert re.findall(r'name="accept" value="(\w+)" form="choose"', body) == ["nodes_ready", "deprecated_apis"]
    shown = text(bobs.get(url(workspace)))
    assert "1.34.8 to 1.35.7 on 3 hosts, 1 warning." in shown
    assert "Warning: Pods find room on the other hosts. Evidence of capacity." in shown
    assert "Take the risk: Every host is Ready, failed. Evidence of nodes_ready." in shown
    assert "What has not passed stops it, unless its risk is taken: Every host is Ready, failed." in shown
    assert "You take these risks" not in shown
    answer = bobs.get(url(workspace), {"target": "1.35.7", "for": "1.35.7", "accept": "nodes_ready"})
    shown, body = text(answer), answer.content.decode()
    assert "your name stays with them: Every host is Ready, failed. Evidence of nodes_ready." in shown
    assert "unless its risk is taken: The new version has every API in use, cannot tell." in shown
    assert re.findall(r'type="hidden" name="accept" value="(\w+)"', body) == ["nodes_ready"]
    assert "1 warning: Pods find room on the other hosts. Evidence of capacity." in shown


def test_a_risk_taken_for_one_target_is_not_taken_for_the_next(bobs, workspace):  # noqa: F811
    preflights.finished(workspace, "1.34.11", nodes_ready="fail")
    query = {"target": "1.34.11", "for": "1.35.7", "accept": "nodes_ready"}
    assert "You take these risks" not in text(bobs.get(url(workspace), query))
    assert "You take these risks" in text(bobs.get(url(workspace), query | {"for": "1.34.11"}))


def test_a_code_that_no_check_has_is_not_taken_over(bobs, workspace):  # noqa: F811
    preflights.finished(workspace, nodes_ready="fail")
    body = bobs.get(url(workspace), {"target": "1.35.7", "accept": "version_skew"}).content.decode()
    assert "version_skew" not in body.replace("Evidence of version_skew.", "")


def test_what_nobody_may_accept_leaves_no_button(bobs, workspace):  # noqa: F811
    preflights.finished(workspace, version_skew="fail")
    shown = text(bobs.get(url(workspace)))
    assert "The new version serves every kubelet: failed." in shown
    assert "This stops it, and nobody can take the risk." in shown
    assert "Upgrade to 1.35.7" not in shown
    assert bobs.post(url(workspace), {"target": "1.35.7"}).status_code == 409
    Preflight.objects.update(finished_at=cast.NOW - timedelta(hours=1))
    assert "Upgrade to 1.35.7" in text(bobs.get(url(workspace)))


def test_a_start_that_a_fresh_preflight_stops_is_refused_with_the_boxes(bobs, workspace):  # noqa: F811
    preflights.finished(workspace, nodes_ready="fail", deprecated_apis="fail")
    answer = bobs.post(url(workspace), {"target": "1.35.7", "accept": "nodes_ready"})
    assert answer.status_code == 409
    assert "The upgrade was not started The new version has every API in use: Evidence of deprecated_apis." in text(
        answer
    )
    boxes = re.findall(r'value="(\w+)" form="choose" id="[^"]+" autocomplete="off"( checked)?', answer.content.decode())
    assert boxes == [("nodes_ready", " checked"), ("deprecated_apis", "")]
    assert not Operation.objects.exists()


def test_risks_that_are_taken_start_it_and_are_kept_with_the_name(bobs, workspace):  # noqa: F811
    preflights.finished(workspace, nodes_ready="fail", deprecated_apis="fail")
    answer = bobs.post(url(workspace), {"target": "1.35.7", "accept": ["nodes_ready", "deprecated_apis"]})
    operation = Operation.objects.get()
    assert answer.status_code == 303
    assert [(risk["code"], risk["by"]) for risk in operation.parameters["accepted_risks"]] == [
        ("nodes_ready", "Bob Berger"),
        ("deprecated_apis", "Bob Berger"),
    ]
    assert Event.objects.filter(action="upgrade.risk_accepted", actor_name="Bob Berger").count() == 1


def test_a_risk_that_nobody_can_take_is_refused(bobs, workspace):  # noqa: F811
    answer = bobs.post(url(workspace), {"target": "1.35.7", "accept": "version_skew"})
    assert answer.status_code == 409
    assert "The upgrade was not started No risk that can be taken: version_skew." in text(answer)


def test_hosts_left_behind_have_a_preflight_too(bobs, workspace):  # noqa: F811
    workspace.observe_version("1.35.7")
    workspace.control_plane_wanted = "1.35.7"
    workspace.save()
    KubernetesVersion.objects.filter(version="1.36.2").update(active=False)
    assert panel(bobs.get(url(workspace))).startswith("1.35.7 Check now")
    assert ask(bobs, workspace).status_code == 303
    assert Preflight.objects.get().target == "1.35.7"
