"""Who gets what at every address, written by hand. A new address without a row here fails the walk.

People: anonymous, stranger (administers another organization), viewer (of the organization), operator (of the
project), administrator (of the organization), support staff (may look at workspaces and hosts in the admin), root.
Keys: viewer and administrator of the organization, operator of the project, a stranger's, an expired, a revoked one.
What is asked is the simplest that is right: 422 and 409 are answers to somebody who may.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What everybody gets for one method of one address."""

    method: str
    route: str
    people: tuple[int, ...]
    keys: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """Names the row."""
        return f"{self.method} {self.route}"

    @property
    def is_api(self) -> bool:
        """Whether it belongs to the JSON API."""
        return self.route.startswith("api/")

    @property
    def ours(self) -> bool:
        """Whether it is a page of the console, neither the library's nor the admin's."""
        return not self.route.startswith(("api/", "admin/", "accounts/"))


# fmt: off
CONSOLE = """
#                                                                anon stra view oper admi staf root
GET  healthz                                                      200  200  200  200  200  200  200
GET  metrics                                                      404  404  404  404  404  404  404
GET  readyz                                                       200  200  200  200  200  200  200
GET  /                                                            302  302  302  302  302  302  302
GET  workspaces                                                   302  200  200  200  200  200  200
GET  strip                                                        302  200  200  200  200  200  200
GET  find                                                         302  200  200  200  200  200  200
GET  workspaces/<uuid:pk>                                         302  404  200  200  200  404  200
POST workspaces/<uuid:pk>/reconcile                               302  404  403  302  302  404  302
GET  workspaces/<uuid:pk>/maintenance                             302  404  200  200  200  404  200
POST workspaces/<uuid:pk>/maintenance                             302  404  403  422  422  404  422
POST workspaces/<uuid:pk>/maintenance/preview                     302  404  403  422  422  404  422
GET  workspaces/<uuid:pk>/version                                 302  404  200  200  200  404  200
POST workspaces/<uuid:pk>/version                                 302  404  403  409  409  404  409
GET  workspaces/<uuid:pk>/version/preflight                       302  404  302  302  302  404  302
POST workspaces/<uuid:pk>/version/preflight                       302  404  403  409  409  404  409
GET  workspaces/<uuid:pk>/access                                  302  404  200  200  200  404  200
POST workspaces/<uuid:pk>/access                                  302  404  403  403  422  404  422
GET  workspaces/<uuid:pk>/ca-rotation                             302  404  403  403  200  404  200
POST workspaces/<uuid:pk>/ca-rotation                             302  404  403  403  422  404  422
GET  workspaces/<uuid:pk>/kubeconfigs/<uuid:kubeconfig>           302  404  403  403  200  404  200
POST workspaces/<uuid:pk>/kubeconfigs/<uuid:kubeconfig>/document  302  404  403  403  409  404  403
POST workspaces/<uuid:pk>/kubeconfigs/<uuid:kubeconfig>/revoke    302  404  403  403  409  404  409
GET  workspaces/<uuid:pk>/delete                                  302  404  200  200  200  404  200
POST workspaces/<uuid:pk>/delete                                  302  404  403  403  422  404  422
GET  workspaces/<uuid:pk>/delete/look                             302  404  302  302  302  404  302
POST workspaces/<uuid:pk>/delete/look                             302  404  403  403  303  404  303
POST workspaces/<uuid:pk>/delete/undo                             302  404  403  403  409  404  409
POST workspaces/<uuid:pk>/delete/approve                          302  404  403  403  409  404  409
POST workspaces/<uuid:pk>/protection                              302  404  403  403  303  404  303
GET  workspaces/<uuid:pk>/forget                                  302  404  403  403  302  404  302
POST workspaces/<uuid:pk>/forget                                  302  404  403  403  303  404  303
GET  workspaces/<uuid:pk>/receipt                                 302  404  302  302  302  404  302
GET  workspaces/<uuid:pk>/receipt.json                            302  404  404  404  404  404  404
GET  workspaces/<uuid:pk>/receipt.txt                             302  404  404  404  404  404  404
GET  workspaces/<uuid:pk>/profiles                                302  404  200  200  200  404  200
POST workspaces/<uuid:pk>/profiles                                302  404  403  422  422  404  422
GET  workspaces/<uuid:pk>/profiles/compare                        302  404  200  200  200  404  200
GET  workspaces/<uuid:pk>/hosts/<uuid:host>                       302  404  200  200  200  404  200
GET  workspaces/<uuid:pk>/hosts/<uuid:host>/resize                302  404  403  200  200  404  200
POST workspaces/<uuid:pk>/hosts/<uuid:host>/resize                302  404  403  422  422  404  422
GET  workspaces/<uuid:pk>/hosts/<uuid:host>/remove                302  404  403  200  200  404  200
POST workspaces/<uuid:pk>/hosts/<uuid:host>/remove                302  404  403  422  422  404  422
GET  workspaces/<uuid:pk>/reconciliation                          302  404  200  200  200  404  200
POST workspaces/<uuid:pk>/drift/<uuid:drift>/decide               302  404  403  422  422  404  422
GET  workspaces/<uuid:pk>/transfer                                302  404  403  403  200  404  200
POST workspaces/<uuid:pk>/transfer                                302  404  403  403  303  404  303
GET  queue                                                        302  200  403  403  200  403  200
POST queue/jobs/<str:job>/retry                                   302  303  403  403  303  403  303
GET  operations                                                   302  200  200  200  200  200  200
GET  operations/<uuid:pk>                                         302  404  200  200  200  404  200
GET  operations/<uuid:pk>/progress                                302  404  200  200  200  404  200
GET  operations/<uuid:pk>/log                                     302  404  200  200  200  404  200
POST operations/<uuid:pk>/stop                                    302  404  403  303  303  404  303
POST operations/<uuid:pk>/retry                                   302  404  403  409  409  404  409
POST operations/<uuid:pk>/skip                                    302  404  403  422  422  404  422
GET  operations/<uuid:pk>/record                                  302  404  200  200  200  404  200
GET  rollouts                                                     302  200  200  200  200  200  200
GET  rollouts/new                                                 302  200  403  200  200  403  200
POST rollouts/new                                                 302  422  403  422  422  403  422
GET  rollouts/<uuid:pk>                                           302  404  200  200  200  404  200
GET  rollouts/<uuid:pk>/progress                                  302  404  200  200  200  404  200
# Who sees a rollout and may not change it is told so on its page, which has no buttons for them.
POST rollouts/<uuid:pk>/pause                                     302  404  409  303  303  404  303
POST rollouts/<uuid:pk>/continue                                  302  404  409  409  409  404  409
POST rollouts/<uuid:pk>/stop                                      302  404  409  303  303  404  303
GET  agreements                                                   302  200  200  200  200  200  200
GET  agreements/<uuid:pk>                                         302  404  200  200  200  404  200
GET  reconciliation                                               302  200  200  200  200  200  200
GET  left-servers                                                 302  200  200  200  200  200  200
# It belongs to the organization as a whole, so one of its projects is not enough to delete it.
GET  left-servers/<uuid:pk>/delete                                302  404  403  403  200  404  200
POST left-servers/<uuid:pk>/delete                                302  404  403  403  422  404  422
GET  audit                                                        302  200  403  200  200  403  200
POST audit/export                                                 302  200  403  200  200  403  200
GET  members                                                      302  302  403  302  302  403  200
GET  organizations/<uuid:pk>/members                              302  404  403  403  200  404  200
GET  organizations/<uuid:pk>/members/<uuid:member>                302  404  403  403  200  404  200
POST organizations/<uuid:pk>/members/<uuid:member>/role           302  404  403  403  422  404  422
POST organizations/<uuid:pk>/members/<uuid:member>/remove         302  404  403  403  303  404  303
POST organizations/<uuid:pk>/invitations                          302  404  403  403  422  404  422
POST organizations/<uuid:pk>/invitations/<uuid:invitation>/resend    302  404  403  403  303  404  303
POST organizations/<uuid:pk>/invitations/<uuid:invitation>/withdraw  302  404  403  403  303  404  303
GET  maintenance/decisions                                        302  200  200  200  200  200  200
GET  maintenance/decisions/export                                 302  200  200  200  200  200  200
GET  maintenance/decisions/<uuid:pk>                              302  404  200  200  200  404  200
GET  projects/<uuid:pk>/calendar                                  302  404  200  200  200  404  200
POST projects/<uuid:pk>/calendar/new                              302  404  403  201  201  404  201
POST projects/<uuid:pk>/calendar/end                              302  404  403  303  303  404  303
# Whoever has a feed's address reads it without signing in; without one nobody does.
GET  calendars/<str:secret>.ics                                   404  404  404  404  404  404  404
GET  projects/<uuid:pk>/members                                   302  404  403  200  200  404  200
GET  projects/<uuid:pk>/members/<uuid:member>                     302  404  403  403  200  404  200
POST projects/<uuid:pk>/members/<uuid:member>/role                302  404  403  403  422  404  422
POST projects/<uuid:pk>/members/<uuid:member>/remove              302  404  403  403  303  404  303
POST projects/<uuid:pk>/invitations                               302  404  403  403  422  404  422
POST projects/<uuid:pk>/invitations/<uuid:invitation>/resend      302  404  403  403  303  404  303
POST projects/<uuid:pk>/invitations/<uuid:invitation>/withdraw    302  404  403  403  303  404  303
# A link from a letter: whoever holds the token is led to the answer; without a token kept there is nothing to answer.
GET  invitations/<str:token>                                      302  302  302  302  302  302  302
GET  invitation                                                   404  404  404  404  404  404  404
POST invitation                                                   404  404  404  404  404  404  404
POST invitation/sign-out                                          404  404  404  404  404  404  404
GET  api-keys                                                     302  200  403  403  200  403  200
GET  api-keys/new                                                 302  200  403  403  200  403  200
POST api-keys/new                                                 302  422  403  403  422  403  422
POST api-keys/<uuid:pk>/revoke                                    302  404  403  403  303  403  303
GET  versions                                                     302  200  200  200  200  200  200
GET  maintenance                                                  302  200  200  200  200  200  200
GET  maintenance/proposal                                         302  200  200  200  200  200  200
POST maintenance/proposal                                         302  422  403  422  422  403  422
GET  maintenance/holds                                            302  200  200  200  200  200  200
GET  maintenance/holds/new                                        302  200  403  403  200  403  200
POST maintenance/holds/new                                        302  422  403  403  422  403  422
GET  maintenance/holds/<uuid:pk>                                  302  404  200  200  200  404  200
POST maintenance/holds/<uuid:pk>/lift                             302  404  403  403  303  404  303
"""

# Pages of the sign-in are one's own; nobody else's is addressed in them, but for a passkey's and a session's number.
ACCOUNTS = """
GET  accounts/login/                                              200  302  302  302  302  302  302
POST accounts/login/                                              200  302  302  302  302  302  302
GET  accounts/logout/                                             302  200  200  200  200  200  200
POST accounts/logout/                                             302  302  302  302  302  302  302
GET  accounts/inactive/                                           200  200  200  200  200  200  200
GET  accounts/signup/                                             200  302  302  302  302  302  302
POST accounts/signup/                                             200  302  302  302  302  302  302
GET  accounts/reauthenticate/                                     302  200  200  200  200  200  200
POST accounts/reauthenticate/                                     302  200  200  200  200  200  200
GET  accounts/password/change/                                    302  200  200  200  200  200  200
POST accounts/password/change/                                    302  200  200  200  200  200  200
GET  accounts/password/set/                                       302  302  302  302  302  302  302
POST accounts/password/set/                                       302  302  302  302  302  302  302
GET  accounts/password/reset/                                     200  200  200  200  200  200  200
POST accounts/password/reset/                                     200  200  200  200  200  200  200
GET  accounts/password/reset/done/                                200  200  200  200  200  200  200
GET  accounts/password/reset/key/done/                            200  200  200  200  200  200  200
GET  accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$   200  200  200  200  200  200  200
POST accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$   200  200  200  200  200  200  200
GET  accounts/2fa/                                                302  200  200  200  200  200  200
GET  accounts/2fa/authenticate/                                   302  302  302  302  302  302  302
POST accounts/2fa/authenticate/                                   302  302  302  302  302  302  302
GET  accounts/2fa/reauthenticate/                                 302  302  302  302  302  302  302
POST accounts/2fa/reauthenticate/                                 302  302  302  302  302  302  302
GET  accounts/2fa/totp/activate/                                  302  200  200  200  200  200  200
POST accounts/2fa/totp/activate/                                  302  200  200  200  200  200  200
GET  accounts/2fa/totp/deactivate/                                302  404  404  404  404  404  404
POST accounts/2fa/totp/deactivate/                                302  404  404  404  404  404  404
GET  accounts/2fa/recovery-codes/                                 302  404  404  404  404  404  404
GET  accounts/2fa/recovery-codes/generate/                        302  200  200  200  200  200  200
POST accounts/2fa/recovery-codes/generate/                        302  200  200  200  200  200  200
GET  accounts/2fa/recovery-codes/download/                        302  404  404  404  404  404  404
GET  accounts/2fa/passkeys/                                       302  200  200  200  200  200  200
GET  accounts/2fa/passkeys/add/                                   302  200  200  200  200  200  200
POST accounts/2fa/passkeys/add/                                   302  200  200  200  200  200  200
GET  accounts/2fa/passkeys/login/                                 302  302  302  302  302  302  302
POST accounts/2fa/passkeys/login/                                 302  302  302  302  302  302  302
GET  accounts/2fa/passkeys/reauthenticate/                        302  302  302  302  302  302  302
POST accounts/2fa/passkeys/reauthenticate/                        302  302  302  302  302  302  302
GET  accounts/2fa/passkeys/<int:pk>/edit/                         302  404  404  404  404  404  404
POST accounts/2fa/passkeys/<int:pk>/edit/                         302  404  404  404  404  404  404
GET  accounts/2fa/passkeys/<int:pk>/remove/                       302  404  404  404  404  404  404
POST accounts/2fa/passkeys/<int:pk>/remove/                       302  404  404  404  404  404  404
GET  accounts/sessions/                                           302  200  200  200  200  200  200
POST accounts/sessions/others/end/                                302  302  302  302  302  302  302
POST accounts/sessions/<int:pk>/end/                              302  404  404  404  404  404  404
# Without LOOPBACK_OIDC_SERVER_URL there is no single sign-on.
GET  accounts/sso/                                                404  404  404  404  404  404  404
GET  accounts/oidc/<slug:provider_id>/login/callback/             404  404  404  404  404  404  404
POST accounts/oidc/<slug:provider_id>/login/callback/             404  404  404  404  404  404  404
GET  accounts/sso/cancelled/                                      200  200  200  200  200  200  200
"""

API = """
#                                                 anon stra view oper admi staf root | view oper admi stra expi revo
GET   openapi.json                                 200  200  200  200  200  200  200 |  200  200  200  200  200  200
GET   docs                                         200  200  200  200  200  200  200 |  200  200  200  200  200  200
GET   me                                           401  200  200  200  200  200  200 |  200  200  200  200  401  401
GET   organizations                                401  200  200  200  200  200  200 |  200  200  200  200  401  401
GET   projects                                     401  200  200  200  200  200  200 |  200  200  200  200  401  401
GET   workspaces                                   401  200  200  200  200  200  200 |  200  200  200  200  401  401
GET   workspaces/<uuidstr:pk>                      401  404  200  200  200  404  200 |  200  200  200  404  401  401
POST  workspaces/<uuidstr:pk>/reconcile            401  404  403  202  202  404  202 |  403  202  202  404  401  401
GET   workspaces/<uuidstr:pk>/drift                401  404  200  200  200  404  200 |  200  200  200  404  401  401
POST  workspaces/<uuidstr:pk>/drift/<uuidstr:drift>  401  404  403  200  200  404  200 |  403  200  200  404  401  401
GET   workspaces/<uuidstr:pk>/maintenance          401  404  200  200  200  404  200 |  200  200  200  404  401  401
PATCH workspaces/<uuidstr:pk>/maintenance          401  404  403  200  200  404  200 |  403  200  200  404  401  401
GET   workspaces/<uuidstr:pk>/maintenance/forecast   401  404  200  200  200  404  200 |  200  200  200  404  401  401
GET   workspaces/<uuidstr:pk>/maintenance/decisions  401  404  200  200  200  404  200 |  200  200  200  404  401  401
GET   workspaces/<uuidstr:pk>/kubernetes           401  404  200  200  200  404  200 |  200  200  200  404  401  401
GET   workspaces/<uuidstr:pk>/kubernetes/plan      401  404  200  200  200  404  200 |  200  200  200  404  401  401
GET   workspaces/<uuidstr:pk>/kubernetes/preflight  401  404  200  200  200  404  200 |  200  200  200  404  401  401
POST  workspaces/<uuidstr:pk>/kubernetes/preflight  401  404  403  202  202  404  202 |  403  202  202  404  401  401
POST  workspaces/<uuidstr:pk>/upgrade              401  404  403  202  202  404  202 |  403  202  202  404  401  401
GET   workspaces/<uuidstr:pk>/ca-rotation          401  404  403  403  200  404  200 |  403  403  200  404  401  401
POST  workspaces/<uuidstr:pk>/ca-rotation          401  404  403  403  202  404  202 |  403  403  202  404  401  401
GET   workspaces/<uuidstr:pk>/compute-profiles     401  404  200  200  200  404  200 |  200  200  200  404  401  401
GET   workspaces/<uuidstr:pk>/hosts                401  404  200  200  200  404  200 |  200  200  200  404  401  401
POST  workspaces/<uuidstr:pk>/hosts                401  404  403  409  409  404  409 |  403  409  409  404  401  401
GET   workspaces/<uuidstr:pk>/hosts/<uuidstr:host>  401  404  200  200  200  404  200 |  200  200  200  404  401  401
DELETE workspaces/<uuidstr:pk>/hosts/<uuidstr:host>  401  404  403  409  409  404  409 |  403  409  409  404  401  401
POST  workspaces/<uuidstr:pk>/hosts/<uuidstr:host>/resize 401 404 403 409 409 404 409 | 403 409 409 404 401 401
GET   workspaces/<uuidstr:pk>/transfer             401  404  403  403  200  404  200 |  403  403  200  404  401  401
POST  workspaces/<uuidstr:pk>/transfer             401  404  403  403  200  404  200 |  403  403  200  404  401  401
GET   workspaces/<uuidstr:pk>/deletion             401  404  200  200  200  404  200 |  200  200  200  404  401  401
POST  workspaces/<uuidstr:pk>/deletion             401  404  403  403  202  404  202 |  403  403  202  404  401  401
DELETE workspaces/<uuidstr:pk>/deletion            401  404  403  403  409  404  409 |  403  403  409  404  401  401
POST  workspaces/<uuidstr:pk>/deletion/approve     401  404  403  403  409  404  409 |  403  403  409  404  401  401
POST  workspaces/<uuidstr:pk>/deletion/inventory   401  404  403  403  202  404  202 |  403  403  202  404  401  401
GET   workspaces/<uuidstr:pk>/deletion/forget      401  404  403  403  409  404  409 |  403  403  409  404  401  401
POST  workspaces/<uuidstr:pk>/deletion/forget      401  404  403  403  409  404  409 |  403  403  409  404  401  401
# It is not deleted: there is none.
GET   workspaces/<uuidstr:pk>/deletion/receipt     401  404  404  404  404  404  404 |  404  404  404  404  401  401
PUT   workspaces/<uuidstr:pk>/protection           401  404  403  403  200  404  200 |  403  403  200  404  401  401
GET   queue                                        401  200  403  403  200  403  200 |  403  403  200  200  401  401
GET   operations                                   401  200  200  200  200  200  200 |  200  200  200  200  401  401
GET   operations/<uuidstr:pk>                      401  404  200  200  200  404  200 |  200  200  200  404  401  401
POST  operations/<uuidstr:pk>/stop                 401  404  403  202  202  404  202 |  403  202  202  404  401  401
POST  operations/<uuidstr:pk>/retry                401  404  403  409  409  404  409 |  403  409  409  404  401  401
POST  operations/<uuidstr:pk>/skip                 401  404  403  409  409  404  409 |  403  409  409  404  401  401
GET   rollouts                                     401  200  200  200  200  200  200 |  200  200  200  200  401  401
POST  rollouts                                     401  404  403  201  201  404  201 |  403  201  201  404  401  401
GET   rollouts/<uuidstr:pk>                        401  404  200  200  200  404  200 |  200  200  200  404  401  401
POST  rollouts/<uuidstr:pk>/pause                  401  404  403  200  200  404  200 |  403  200  200  404  401  401
POST  rollouts/<uuidstr:pk>/continue               401  404  403  409  409  404  409 |  403  409  409  404  401  401
POST  rollouts/<uuidstr:pk>/stop                   401  404  403  200  200  404  200 |  403  200  200  404  401  401
GET   holds                                        401  200  200  200  200  200  200 |  200  200  200  200  401  401
POST  holds                                        401  404  403  403  201  404  201 |  403  403  201  404  401  401
GET   holds/<uuidstr:pk>                           401  404  200  200  200  404  200 |  200  200  200  404  401  401
DELETE holds/<uuidstr:pk>                          401  404  403  403  204  404  204 |  403  403  204  404  401  401
GET   agreements                                   401  200  200  200  200  200  200 |  200  200  200  200  401  401
GET   agreements/<uuidstr:pk>                      401  404  200  200  200  404  200 |  200  200  200  404  401  401
GET   agreements/<uuidstr:pk>/simulation           401  404  200  200  200  404  200 |  200  200  200  404  401  401
GET   left-servers                                 401  200  200  200  200  200  200 |  200  200  200  200  401  401
GET   events                                       401  200  200  200  200  200  200 |  200  200  200  200  401  401
GET   /                                            404  404  404  404  404  404  404 |  404  404  404  404  404  404
"""

# The support admin: whoever is no staff is sent to sign in.
ADMIN_PAGES = """
#                                                                anon stra view oper admi staf root
GET  admin/                                                       302  302  302  302  302  200  200
GET  admin/login/                                                 302  403  403  403  403  302  302
GET  admin/logout/                                                302  302  302  302  302  405  405
GET  admin/password_change/                                       302  302  302  302  302  302  302
GET  admin/password_change/done/                                  302  302  302  302  302  200  200
GET  admin/autocomplete/                                          302  302  302  302  302  403  403
GET  admin/jsi18n/                                                302  302  302  302  302  200  200
GET  admin/r/<path:rest>                                          404  404  404  404  404  404  404
GET  admin/r/<path:content_type_id>/<path:object_id>/             404  404  404  404  404  404  404
GET  admin/(?P<url>.*)$                                           302  302  302  302  302  404  404
GET  admin/^(?P<app_label>workspaces|auth)/$                      302  302  302  302  302  200  200
GET  admin/workspaces/workspace/<uuid:pk>/dossier/                302  302  302  302  302  200  200
GET  admin/workspaces/account/<id>/password/                      302  302  302  302  302  403  200
"""
# 403 to root: it is never done there. A row's history is the audit trail, for those who may read it.
ADMIN_NOUNS = """
#                              staf: list change add delete history   root: list change add delete history
workspaces/account                    403  403   403  403   403              200  200   200  200   302
workspaces/organization               403  403   403  403   403              200  200   200  403   302
workspaces/project                    403  403   403  403   403              200  200   200  403   302
workspaces/membership                 403  403   403  403   403              200  200   200  200   302
workspaces/invitation                 403  403   403  403   403              200  200   403  403   302
workspaces/apikey                     403  403   403  403   403              200  200   403  403   302
workspaces/kubeconfig                 403  403   403  403   403              200  200   403  403   302
workspaces/transfer                   403  403   403  403   403              200  200   403  403   302
workspaces/event                      403  403   403  403   403              200  200   403  403   302
workspaces/workspace                  200  200   403  403   200              200  200   403  403   302
workspaces/host                       200  200   403  403   200              200  200   200  403   302
workspaces/managementcluster          403  403   403  403   403              200  200   200  403   302
workspaces/provideraccount            403  403   403  403   403              200  200   200  403   302
workspaces/leftserver                 403  403   403  403   403              200  200   403  403   302
workspaces/sshkey                     403  403   403  403   403              200  200   200  200   302
workspaces/dnsrecord                  403  403   403  403   403              200  200   200  200   302
workspaces/integration                403  403   403  403   403              200  200   200  200   302
workspaces/kubernetesversion          403  403   403  403   403              200  200   200  200   302
workspaces/maintenanceplan            403  403   403  403   403              200  200   403  403   302
workspaces/decision                   403  403   403  403   403              200  200   403  403   302
workspaces/advisory                   403  403   403  403   403              200  200   200  200   302
workspaces/hold                       403  403   403  403   403              200  200   200  200   302
workspaces/calendarfeed               403  403   403  403   403              200  200   403  403   302
workspaces/packageupdate              403  403   403  403   403              200  200   403  403   302
workspaces/tick                       403  403   403  403   403              200  200   403  403   302
workspaces/operation                  403  403   403  403   403              200  200   403  403   302
workspaces/step                       403  403   403  403   403              200  200   403  403   302
workspaces/logline                    403  403   403  403   403              200  200   403  403   302
workspaces/rollout                    403  403   403  403   403              200  200   403  403   302
workspaces/rolloutmember              403  403   403  403   403              200  200   403  403   302
workspaces/preflight                  403  403   403  403   403              200  200   403  403   302
workspaces/computeprofile             403  403   403  403   403              200  200   403  403   302
workspaces/billingagreement           403  403   403  403   403              200  200   200  200   302
workspaces/deletionpolicy             403  403   403  403   403              200  200   200  200   302
workspaces/deletion                   403  403   403  403   403              200  200   403  403   302
workspaces/inventory                  403  403   403  403   403              200  200   403  403   302
workspaces/look                       403  403   403  403   403              200  200   403  403   302
workspaces/drift                      403  403   403  403   403              200  200   403  403   302
workspaces/queuesample                403  403   403  403   403              200  200   403  403   302
workspaces/seedmanifest               403  403   403  403   403              200  200   200  200   302
workspaces/seed                       403  403   403  403   403              200  200   403  403   302
auth/group                            403  403   403  403   403              200  200   200  200   302
"""
# fmt: on

# What the last id of a route is an id of: the first pattern found in the route up to there wins.
KINDS = [
    (r"^admin/\w+/(?P<kind>\w+)/", ""),
    (r"<uuid:kubeconfig>$", "kubeconfig"),
    (r"<uuid\w*:host>$", "host"),
    (r"<uuid\w*:drift>$", "drift"),
    (r"<uuid:member>$", "member"),
    (r"^projects/.*<uuid:invitation>$", "project_invitation"),
    (r"<uuid:invitation>$", "invitation"),
    (r"<str:token>$", "token"),
    (r"<str:job>", "token"),
    (r"<str:secret>$", "token"),
    (r"decisions/<uuid:pk>$", "decision"),
    (r"<int:pk>$", "number"),
    (r"<slug:provider_id>$", "provider"),
    (r"<path:rest>$", "number"),
    (r"(?P<kind>organization|project|operation|workspace)s/<uuid\w*:pk>$", ""),
    (r"^api-keys/<uuid:pk>$", "apikey"),
    (r"agreements/<uuid\w*:pk>$", "billingagreement"),
    (r"^left-servers/<uuid:pk>$", "leftserver"),
    (r"holds/<uuid\w*:pk>$", "project_hold"),
    (r"rollouts/<uuid\w*:pk>$", "rollout"),
]
# Written as regular expressions in the address book.
PATHS = {
    "accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "accounts/password/reset/key/1-abc/",
    "admin/(?P<url>.*)$": "admin/nowhere",
    "admin/r/<path:content_type_id>/<path:object_id>/": "admin/r/1/1/",
    "admin/^(?P<app_label>workspaces|auth)/$": "admin/workspaces/",
}
# What has to be said for the answer to be about rights; {words} are ids.
BODIES = {
    "PATCH api/v1/workspaces/<uuidstr:pk>/maintenance": "{{}}",
    "POST api/v1/workspaces/<uuidstr:pk>/drift/<uuidstr:drift>": '{{"decision": "accept"}}',
    "POST api/v1/workspaces/<uuidstr:pk>/kubernetes/preflight": '{{"to": "1.35.7"}}',
    "POST api/v1/workspaces/<uuidstr:pk>/upgrade": '{{"version": "1.35.7"}}',
    "POST api/v1/workspaces/<uuidstr:pk>/hosts": (
        '{{"hostname": "w9", "compute_profile": "{computeprofile}", "location": "fsn1", "confirmed_price": "1.00"}}'
    ),
    "POST api/v1/workspaces/<uuidstr:pk>/hosts/<uuidstr:host>/resize": (
        '{{"compute_profile": "{computeprofile}", "confirmed_price": "1.00"}}'
    ),
    "POST api/v1/workspaces/<uuidstr:pk>/transfer": '{{"project": "{elsewhere}"}}',
    "POST workspaces/<uuid:pk>/transfer": "project={elsewhere}",
    "POST api/v1/workspaces/<uuidstr:pk>/deletion": '{{"confirm_name": "{named}", "acknowledge_backups": true}}',
    "POST api/v1/workspaces/<uuidstr:pk>/ca-rotation": '{{"confirm_name": "{named}", "reason": "A leak"}}',
    "POST api/v1/workspaces/<uuidstr:pk>/deletion/forget": '{{"confirm_name": "{named}", "reason": "Closed"}}',
    "PUT api/v1/workspaces/<uuidstr:pk>/protection": '{{"protected": true}}',
    "POST api/v1/operations/<uuidstr:pk>/skip": '{{"host": "nobody", "reason": "Its disk is failing"}}',
    "POST api/v1/rollouts": '{{"version": "1.35.7", "workspaces": ["{workspace}"]}}',
    "POST api/v1/holds": '{{"project": "{project}", "reason": "Freeze", "expires_at": "{tomorrow}"}}',
}
QUERIES = {
    "GET api/v1/agreements/<uuidstr:pk>/simulation": "?workspace={workspace}",
    "GET api/v1/workspaces/<uuidstr:pk>/kubernetes/plan": "?to=1.35.7",
    "GET api/v1/workspaces/<uuidstr:pk>/kubernetes/preflight": "?to=1.35.7",
    "GET api/v1/workspaces/<uuidstr:pk>/transfer": "?project={elsewhere}",
    "DELETE api/v1/workspaces/<uuidstr:pk>/hosts/<uuidstr:host>": "?confirm_name=nobody",
}
# Filters and fields that name an object: route, parameter, what it names.
FILTERS = [
    ("workspaces", "project", "project"),
    ("workspaces", "organization", "organization"),
    ("operations", "workspace", "workspace"),
    ("audit", "organization", "organization"),
    ("audit", "project", "project"),
    ("audit", "workspace", "workspace"),
    ("audit", "operation", "operation"),
    ("api/v1/projects", "organization", "organization"),
    ("api/v1/workspaces", "project", "project"),
    ("api/v1/operations", "workspace", "workspace"),
    ("rollouts/new", "project", "project"),
    ("rollouts/new", "organization", "organization"),
    ("maintenance/decisions", "organization", "organization"),
    ("maintenance/decisions", "project", "project"),
    ("maintenance/decisions", "workspace", "workspace"),
    ("maintenance/holds/new", "workspace", "workspace"),
    ("maintenance/holds/new", "project", "project"),
    ("maintenance/holds/new", "organization", "organization"),
    ("api/v1/holds", "workspace", "workspace"),
    ("api/v1/holds", "project", "project"),
    ("api/v1/holds", "organization", "organization"),
    ("api/v1/agreements", "organization", "organization"),
    ("api/v1/left-servers", "organization", "organization"),
    ("reconciliation", "project", "project"),
    ("reconciliation", "organization", "organization"),
    ("api/v1/events", "workspace", "workspace"),
    ("api/v1/events", "project", "project"),
    ("api/v1/events", "organization", "organization"),
    ("api/v1/events", "operation", "operation"),
]


def _lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _numbers(words: list[str]) -> tuple[int, ...]:
    return tuple(int(word) for word in words)


def _plain(text: str) -> list[Row]:
    return [Row(method, "" if route == "/" else route, _numbers(statuses)) for method, route, *statuses in _lines(text)]


def _api() -> list[Row]:
    rows = []
    for method, route, *statuses in _lines(API):
        bar = statuses.index("|")
        address = f"api/v1/{'' if route == '/' else route}"
        rows.append(Row(method, address, _numbers(statuses[:bar]), _numbers(statuses[bar + 1 :])))
    return rows


def _admin() -> list[Row]:
    pages, nobody = [], (302,) * 5
    row, paths = "<path:object_id>/", ("", "{row}change/", "add/", "{row}delete/", "{row}history/")
    for noun, *statuses in _lines(ADMIN_NOUNS):
        for path, staff, root in zip(paths, statuses[:5], statuses[5:], strict=True):
            pages.append(Row("GET", f"admin/{noun}/{path.format(row=row)}", (*nobody, int(staff), int(root))))
        pages.append(Row("GET", f"admin/{noun}/{row}", (*nobody, 302, 302)))
    return pages


ROWS = [*_plain(CONSOLE), *_plain(ACCOUNTS), *_api(), *_plain(ADMIN_PAGES), *_admin()]
