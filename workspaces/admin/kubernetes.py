"""The catalogue of Kubernetes versions."""

from django.contrib import admin

from workspaces.admin.base import Curated
from workspaces.models import KubernetesVersion


@admin.register(KubernetesVersion)
class KubernetesVersionAdmin(Curated):
    """What is offered, and from where it may be reached. The model refuses what the rules could not read."""

    list_display = (
        "version",
        "active",
        "upgrade_from",
        "security",
        "released_on",
        "end_of_life_on",
        "withdrawn_reason",
    )
    list_filter = ("active", "security")
    search_fields = ("version", "notes", "withdrawn_reason")
    date_hierarchy = "released_on"
