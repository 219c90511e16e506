"""What the access page calls a kubeconfig of a ServiceAccount: no word of it may promise what nobody does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.views.reading import text
from tests.views.test_workspace_access import recently, url
from workspaces.models import Kubeconfig
from workspaces.views.kubeconfigs import look_of

pytestmark = pytest.mark.django_db
FAILED = "tenant ledger-prod: it did not answer."


def standing(workspace, by, **fields) -> Kubeconfig:
    values = {"kind": "service_account", "service_account": "x", "requested_by": str(by), "state": "taken"}
    return Kubeconfig.objects.create(workspace=workspace, **(values | fields))


def test_one_that_has_ended_offers_no_revoking(client, alice, workspace):
    standing(workspace, alice, certificate_until=timezone.now() - timedelta(days=1))
    shown = text(recently(client, alice).get(url(workspace)))
    assert "Ended" in shown
    assert "Revoke the kubeconfig of" not in shown


def test_one_that_ended_before_it_could_be_revoked_is_not_said_to_be_tried_again(client, alice, workspace):
    now = timezone.now()
    one = standing(
        workspace,
        alice,
        certificate_until=now - timedelta(days=1),
        revocation_asked_at=now - timedelta(days=2),
        revocation_failure=FAILED,
    )
    assert look_of(one, now).label == "Ended"
    assert "It is tried again every minute." not in text(recently(client, alice).get(url(workspace)))


@pytest.mark.parametrize(("state", "label"), [("expired", "Not taken, erased"), ("failed", "Not fetched")])
def test_what_nobody_ever_held_is_not_called_revoked_when_its_account_is_gone(alice, workspace, state, label):
    now = timezone.now()
    assert look_of(standing(workspace, alice, state=state, revoked_at=now), now).label == label
