"""Discovery documents: /version, /api, /apis, the groups and their resources."""

from collections.abc import Iterable
from typing import Any

from workspaces.simulators.clusters.kinds import SUBRESOURCES, VERBS, Resource
from workspaces.simulators.clusters.store import Document

CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
REST = ("get", "patch", "update")
STATIC_GROUPS = ("authentication.k8s.io", "authorization.k8s.io")


def version_info(version: str) -> Document:
    """GET /version for "v1.36.2"."""
    major, minor, _ = version.removeprefix("v").split(".", 2)
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": version,
        "gitCommit": "6c1f0a5e3b1f9d2f8d6a7d0d4e3f1b2a5c4d6e7f",
        "gitTreeState": "clean",
        "buildDate": "2026-06-11T09:20:14Z",
        "goVersion": "go1.26.3",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def api_versions(address: str) -> Document:
    served = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": served}


def _group(name: str, version: str) -> Document:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def groups(resources: Iterable[Resource]) -> dict[str, Document]:
    named = {r.group: _group(r.group, r.version) for r in resources if r.group}
    return named | {name: _group(name, "v1") for name in STATIC_GROUPS}


def group_list(resources: Iterable[Resource]) -> Document:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(groups(resources).values())}


def group(resources: Iterable[Resource], name: str) -> Document | None:
    found = groups(resources).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **found} if found else None


def resource_list(resources: Iterable[Resource], group_name: str, version: str) -> Document | None:
    """The APIResourceList of a group version, None when nothing is served there."""
    served = [r for r in resources if (r.group, r.version) == (group_name, version)]
    if not served:
        return None
    entries = [entry for resource in sorted(served, key=lambda r: r.plural) for entry in _entries(resource)]
    name = f"{group_name}/{version}" if group_name else version
    head = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group_name else {})
    return {**head, "groupVersion": name, "resources": entries}


def _entries(resource: Resource) -> list[Document]:
    verbs = list(CUSTOM_VERBS if resource.custom else VERBS)
    if resource.plural == "namespaces":
        verbs.remove("deletecollection")
    base: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs,
    }
    if resource.short:
        base["shortNames"] = list(resource.short)
    if resource.categories:
        base["categories"] = list(resource.categories)
    entries = [base, *_sub_entries(resource)]
    return [entries[0], *sorted(entries[1:], key=lambda e: e["name"])]


def _sub_entries(resource: Resource) -> list[Document]:
    def entry(name: str, kind: str, verbs: tuple[str, ...], **more: str) -> Document:
        head = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
        return {**head, **more, "kind": kind, "verbs": list(verbs)}

    found = []
    if resource.status:
        found.append(entry("status", resource.kind, REST))
    if resource.scale:
        found.append(entry("scale", "Scale", REST, group="autoscaling", version="v1"))
    own = SUBRESOURCES.get(resource.plural, ())
    if "eviction" in own:
        found.append(entry("eviction", "Eviction", ("create",), group="policy", version="v1"))
    if "log" in own:
        found.append(entry("log", "Pod", ("get",)))
    if "token" in own:
        found.append(entry("token", "TokenRequest", ("create",), group="authentication.k8s.io", version="v1"))
    if resource.plural == "namespaces":
        found.append(entry("finalize", "Namespace", ("update",)))
    return found
