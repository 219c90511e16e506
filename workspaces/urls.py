"""The console's addresses: nouns, with HTTP verbs for what is done to them."""

from django.urls import path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from workspaces.views import (
    api_keys,
    audit,
    calendar,
    calendar_feed,
    calendar_proposal,
    decisions,
    find,
    fleet,
    holds,
    invitations,
    invited,
    kubeconfigs,
    maintenance,
    members,
    operations,
    strip,
    transfer,
    upgrades,
    workspace_access,
    workspaces,
)

urlpatterns = [
    path("", require_safe(RedirectView.as_view(pattern_name="fleet")), name="start"),
    path("workspaces", fleet.fleet, name="fleet"),
    path("workspaces/<uuid:pk>", workspaces.overview, name="workspace"),
    path("workspaces/<uuid:pk>/reconcile", workspaces.reconcile, name="reconcile"),
    path("workspaces/<uuid:pk>/maintenance", maintenance.maintenance, name="maintenance"),
    path("workspaces/<uuid:pk>/maintenance/preview", maintenance.preview, name="maintenance_preview"),
    path("workspaces/<uuid:pk>/version", upgrades.version, name="version"),
    path("workspaces/<uuid:pk>/access", workspace_access.access, name="workspace_access"),
    path("workspaces/<uuid:pk>/kubeconfigs/<uuid:kubeconfig>", kubeconfigs.kubeconfig, name="kubeconfig"),
    path(
        "workspaces/<uuid:pk>/kubeconfigs/<uuid:kubeconfig>/document", kubeconfigs.document, name="kubeconfig_document"
    ),
    path("workspaces/<uuid:pk>/transfer", transfer.transfer, name="transfer"),
    path("operations", operations.operations, name="operations"),
    path("operations/<uuid:pk>", operations.operation, name="operation"),
    path("operations/<uuid:pk>/progress", operations.progress, name="operation_progress"),
    path("operations/<uuid:pk>/log", operations.log, name="operation_log"),
    path("operations/<uuid:pk>/stop", operations.stop, name="operation_stop"),
    path("operations/<uuid:pk>/retry", operations.retry, name="operation_retry"),
    path("audit", audit.audit, name="audit"),
    path("audit/export", audit.export, name="audit_export"),
    path("members", members.index, name="members"),
    path("invitations/<str:token>", invited.invitation, name="invitation"),
    path("invitation", invited.answer, name="invitation_answer"),
    path("invitation/sign-out", invited.sign_out, name="invitation_sign_out"),
    path("api-keys", api_keys.api_keys, name="api_keys"),
    path("api-keys/new", api_keys.new, name="api_key_new"),
    path("api-keys/<uuid:pk>/revoke", api_keys.revoke, name="api_key_revoke"),
    path("maintenance", calendar.calendar, name="calendar"),
    path("maintenance/proposal", calendar_proposal.proposal, name="proposal"),
    path("maintenance/holds", holds.holds, name="holds"),
    path("maintenance/holds/new", holds.new, name="hold_new"),
    path("maintenance/holds/<uuid:pk>", holds.hold, name="hold"),
    path("maintenance/holds/<uuid:pk>/lift", holds.lift, name="hold_lift"),
    path("maintenance/decisions", decisions.decisions, name="decisions"),
    path("maintenance/decisions/export", decisions.export, name="decisions_export"),
    path("maintenance/decisions/<uuid:pk>", decisions.decision, name="decision"),
    path("projects/<uuid:pk>/calendar", calendar_feed.calendar_feed, name="calendar_feed"),
    path("projects/<uuid:pk>/calendar/new", calendar_feed.new, name="calendar_feed_new"),
    path("projects/<uuid:pk>/calendar/end", calendar_feed.end, name="calendar_feed_end"),
    path("calendars/<str:secret>.ics", calendar_feed.feed, name="feed"),
    path("strip", strip.strip, name="strip"),
    path("find", find.find, name="find"),
]

# An organization and a project have the same pages about who has access.
for kind in ("organization", "project"):
    here, of = f"{kind}s/<uuid:pk>", {"kind": kind}
    urlpatterns += [
        path(f"{here}/members", members.members, of, name=f"{kind}_members"),
        path(f"{here}/members/<uuid:member>", members.member, of, name=f"{kind}_member"),
        path(f"{here}/members/<uuid:member>/role", members.change_role, of, name=f"{kind}_member_role"),
        path(f"{here}/members/<uuid:member>/remove", members.remove, of, name=f"{kind}_member_remove"),
        path(f"{here}/invitations", invitations.invite, of, name=f"{kind}_invite"),
        path(
            f"{here}/invitations/<uuid:invitation>/resend",
            invitations.resend,
            of,
            name=f"{kind}_invitation_resend",
        ),
        path(
            f"{here}/invitations/<uuid:invitation>/withdraw",
            invitations.withdraw,
            of,
            name=f"{kind}_invitation_withdraw",
        ),
    ]
