"""The API as a whole: its routers, its authentication, its error shape, and the document that tells them."""

from __future__ import annotations

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from workspaces.api import (
    agreements,
    ca_rotation,
    compute,
    deletion,
    deletion_end,
    drift,
    events,
    holds,
    kubernetes,
    left_servers,
    maintenance,
    operations,
    problems,
    queue,
    rollouts,
    tenancy,
    transfer,
    workspaces,
)
from workspaces.api.callers import AUTHENTICATION
from workspaces.api.throttle import KeyThrottle


class ConsoleAPI(NinjaAPI):
    """Ninja's, whose document also tells what every address may answer when it does not do what was asked."""

    def get_openapi_schema(self, *args: Any, **kwargs: Any) -> OpenAPISchema:
        """The OpenAPI document with problems as `application/problem+json` on every operation."""
        document: OpenAPISchema = problems.documented(super().get_openapi_schema(*args, **kwargs))
        return document


api = ConsoleAPI(
    title="Loopback",
    version="1",
    description="Day-two operations of workspaces. Send an API key as “Authorization: Bearer …”.",
    auth=AUTHENTICATION,
    throttle=KeyThrottle(),
    urls_namespace="api",
)
problems.install(api)
for module in (
    tenancy,
    workspaces,
    maintenance,
    holds,
    kubernetes,
    ca_rotation,
    compute,
    drift,
    operations,
    rollouts,
    transfer,
    deletion,
    deletion_end,
    queue,
    agreements,
    left_servers,
    events,
):
    api.add_router("", module.router)
