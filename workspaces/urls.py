"""The console's addresses: nouns, with HTTP verbs for what is done to them."""

from django.urls import path
from django.views.generic import RedirectView

from workspaces.views import find, fleet, maintenance, operations, strip, upgrades, workspaces

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="fleet"), name="start"),
    path("workspaces", fleet.fleet, name="fleet"),
    path("workspaces/<uuid:pk>", workspaces.overview, name="workspace"),
    path("workspaces/<uuid:pk>/reconcile", workspaces.reconcile, name="reconcile"),
    path("workspaces/<uuid:pk>/maintenance", maintenance.maintenance, name="maintenance"),
    path("workspaces/<uuid:pk>/maintenance/preview", maintenance.preview, name="maintenance_preview"),
    path("workspaces/<uuid:pk>/version", upgrades.version, name="version"),
    path("operations", operations.operations, name="operations"),
    path("operations/<uuid:pk>", operations.operation, name="operation"),
    path("operations/<uuid:pk>/progress", operations.progress, name="operation_progress"),
    path("operations/<uuid:pk>/log", operations.log, name="operation_log"),
    path("operations/<uuid:pk>/stop", operations.stop, name="operation_stop"),
    path("operations/<uuid:pk>/retry", operations.retry, name="operation_retry"),
    path("strip", strip.strip, name="strip"),
    path("find", find.find, name="find"),
]
