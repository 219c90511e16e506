"""The API as a whole: its routers, its authentication, its error shape."""

from __future__ import annotations

from ninja import NinjaAPI

from workspaces.api import events, kubernetes, maintenance, operations, problems, tenancy, workspaces
from workspaces.api.callers import AUTHENTICATION

api = NinjaAPI(
    title="Loopback",
    version="1",
    description="Day-two operations of workspaces. Send an API key as “Authorization: Bearer …”.",
    auth=AUTHENTICATION,
    urls_namespace="api",
)
problems.install(api)
for module in (tenancy, workspaces, maintenance, kubernetes, operations, events):
    api.add_router("", module.router)
