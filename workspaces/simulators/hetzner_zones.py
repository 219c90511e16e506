"""DNS in the simulated Hetzner Cloud: zones and their record sets.

Source: docs.hetzner.cloud, zones and zone RRSets. A record set's id is "name/type"; names are relative and lower
case, the apex is "@". Records are stored as they come; only TXT is held to its quotes.
"""

import re
import time
from typing import Any

from aiohttp import web

from .hetzner_project import Project, action_document, project_of
from .hetzner_protocol import ApiError, Document, check_labels, field, invalid, listing, read_object, stamp, taken

DOMAIN = re.compile(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
NAME = re.compile(r"@|(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
TYPES = set("A,AAAA,CAA,CNAME,DS,HINFO,HTTPS,MX,NS,PTR,RP,SOA,SRV,SVCB,TLSA,TXT".split(","))  # noqa: SIM905
COMMANDS = ("set_records", "add_records", "remove_records", "update_records", "change_ttl", "change_protection")
TTL = (60, 2147483647)
NAMESERVERS = [f"{name}.ns.example." for name in ("hydrogen", "oxygen", "helium")]


def routes(prefix: str) -> list[web.RouteDef]:
    """The endpoints under /zones."""
    zone = prefix + "/zones/{zone}"
    rrset = zone + "/rrsets/{name}/{type}"
    return [
        web.get(f"{prefix}/zones", _list),
        web.post(f"{prefix}/zones", _create),
        web.get(zone, _get),
        web.put(zone, _update),
        web.delete(zone, _delete),
        web.get(zone + "/rrsets", _list_rrsets),
        web.post(zone + "/rrsets", _create_rrset),
        web.get(rrset, _get_rrset),
        web.put(rrset, _update_rrset),
        web.delete(rrset, _delete_rrset),
        web.post(rrset + "/actions/{command}", _change_rrset),
    ]


def zone_record(described: Document) -> Document:
    """A zone's record, with the SOA and NS records every zone gets, from a valid description."""
    record: Document = {
        "name": described["name"],
        "created": stamp(time.time()),
        "mode": described.get("mode", "primary"),
        "ttl": described.get("ttl", 3600),
        "labels": described.get("labels", {}),
        "protection": {"delete": False},
        "rrsets": {},
    }
    soa = f"{NAMESERVERS[0]} dns.example. 2026112400 86400 10800 3600000 3600"
    _put(record, {"name": "@", "type": "SOA", "records": [{"value": soa}]})
    _put(record, {"name": "@", "type": "NS", "records": [{"value": name} for name in NAMESERVERS]})
    for rrset in described.get("rrsets", []):
        _put(record, rrset)
    return record


def _put(zone: Document, described: Document) -> Document:
    """Keep a record set, checked. Raises ApiError 422."""
    name, kind = field(described, "name", str), field(described, "type", str)
    if not NAME.fullmatch(name):
        raise invalid("name", "must be lower case and relative to the zone, or @")
    if kind not in TYPES:
        raise invalid("type", "is not one of the allowed values")
    rrset = {
        "id": f"{name}/{kind}",
        "name": name,
        "type": kind,
        "ttl": _ttl(described.get("ttl")),
        "labels": check_labels(described.get("labels") or {}),
        "protection": {"change": False},
        "records": _records(described, kind),
    }
    zone["rrsets"][rrset["id"]] = rrset
    return rrset


def _records(described: Document, kind: str) -> list[Document]:
    records = field(described, "records", list)
    values = [field(record, "value", str) for record in records if isinstance(record, dict)]
    if not values or len(values) != len(records):
        raise invalid("records", "must be a list of records")
    if len(set(values)) != len(values):
        raise invalid("records", "records must be unique")
    if kind == "TXT" and not all(value.startswith('"') and value.endswith('"') for value in values):
        raise invalid("records", "TXT values must be quoted")
    return [{"value": record["value"], "comment": record.get("comment") or ""} for record in records]


def _ttl(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not TTL[0] <= value <= TTL[1]:
        raise invalid("ttl", f"must be between {TTL[0]} and {TTL[1]}")
    return value


def _document(zone: Document) -> Document:
    count = sum(len(rrset["records"]) for rrset in zone["rrsets"].values())
    shown = {name: zone[name] for name in ("id", "name", "created", "mode", "ttl", "labels", "protection")}
    return shown | {
        "primary_nameservers": [],
        "status": "ok",
        "record_count": count,
        "authoritative_nameservers": {
            "assigned": NAMESERVERS,
            "delegated": NAMESERVERS,
            "delegation_last_check": zone["created"],
            "delegation_status": "valid",
        },
        "registrar": "other",
    }


def find_zone(request: web.Request) -> Document:
    """The record of the zone the path names, by its id or name. Raises ApiError 404."""
    wanted = request.match_info["zone"]
    for zone in project_of(request).records("zones"):
        if wanted in (zone["name"], str(zone["id"])):
            return zone
    raise ApiError(404, "not_found", f"zone '{wanted}' not found")


def _find_primary(request: web.Request) -> Document:
    zone = find_zone(request)
    if zone["mode"] != "primary":
        raise ApiError(422, "incorrect_zone_mode", "this operation is not supported for this zone's mode")
    return zone


def _find_rrset(request: web.Request, zone: Document) -> Document:
    id = f"{request.match_info['name']}/{request.match_info['type']}"
    if id not in zone["rrsets"]:
        raise ApiError(404, "not_found", f"RRSet '{id}' not found")
    found: Document = zone["rrsets"][id]
    return found


def _act(project: Project, zone: Document, command: str) -> Document:
    # Record changes are in force at once; only the action is still running for a moment.
    return action_document(project.begin(command, [("zone", zone["id"])], 1))


async def _list(request: web.Request) -> web.Response:
    return listing(request, "zones", map(_document, project_of(request).records("zones")), "name", "mode")


async def _get(request: web.Request) -> web.Response:
    return web.json_response({"zone": _document(find_zone(request))})


async def _create(request: web.Request) -> web.Response:
    project, body = project_of(request), await read_object(request)
    name, mode = field(body, "name", str), field(body, "mode", str)
    if not DOMAIN.fullmatch(name):
        raise invalid("name", "must be a valid domain name in lower case")
    if mode not in ("primary", "secondary"):
        raise invalid("mode", "is not one of the allowed values")
    if body.get("zonefile"):
        raise ApiError(422, "unsupported_error", "zone files are not supported by the simulation")
    for other in project.records("zones"):
        if other["name"] == name:
            raise taken("name", "zone with the same name already exists")
        if name.endswith(f".{other['name']}"):
            raise invalid("name", "must not be a subdomain of another zone")
    checked = {"ttl": _ttl(body.get("ttl")) or 3600, "labels": check_labels(body.get("labels") or {})}
    record = zone_record({"name": name, "mode": mode, "rrsets": field(body, "rrsets", list, []), **checked})
    zone = project.add("zones", record)
    document = {"zone": _document(zone), "action": _act(project, zone, "create_zone")}
    return web.json_response(document, status=201)


async def _update(request: web.Request) -> web.Response:
    zone, body = find_zone(request), await read_object(request)
    zone["labels"] = check_labels(body.get("labels", zone["labels"]))
    return web.json_response({"zone": _document(zone)})


async def _delete(request: web.Request) -> web.Response:
    project, zone = project_of(request), find_zone(request)
    if zone["protection"]["delete"]:
        raise ApiError(423, "protected", "zone deletion is protected")
    del project.tables["zones"][zone["id"]]
    return web.json_response({"action": _act(project, zone, "delete_zone")}, status=201)


def _shown(zone: Document, rrset: Document) -> Document:
    return rrset | {"zone": zone["id"]}


async def _list_rrsets(request: web.Request) -> web.Response:
    zone = find_zone(request)
    return listing(request, "rrsets", (_shown(zone, rrset) for rrset in zone["rrsets"].values()), "name", "type")


async def _get_rrset(request: web.Request) -> web.Response:
    zone = find_zone(request)
    return web.json_response({"rrset": _shown(zone, _find_rrset(request, zone))})


async def _create_rrset(request: web.Request) -> web.Response:
    project, zone, body = project_of(request), _find_primary(request), await read_object(request)
    if f"{body.get('name')}/{body.get('type')}" in zone["rrsets"]:
        raise taken("name", "RRSet with the same name and type already exists")
    rrset = _put(zone, body)
    document = {"rrset": _shown(zone, rrset), "action": _act(project, zone, "create_rrset")}
    return web.json_response(document, status=201)


async def _update_rrset(request: web.Request) -> web.Response:
    zone, body = find_zone(request), await read_object(request)
    rrset = _find_rrset(request, zone)
    rrset["labels"] = check_labels(body.get("labels", rrset["labels"]))
    return web.json_response({"rrset": _shown(zone, rrset)})


async def _delete_rrset(request: web.Request) -> web.Response:
    project, zone = project_of(request), _find_primary(request)
    rrset = _changeable(_find_rrset(request, zone))
    del zone["rrsets"][rrset["id"]]
    return web.json_response({"action": _act(project, zone, "delete_rrset")}, status=201)


def _changeable(rrset: Document) -> Document:
    if rrset["protection"]["change"]:
        raise ApiError(423, "protected", "RRSet is protected")
    return rrset


async def _change_rrset(request: web.Request) -> web.Response:
    """set_records, add_records (creates), remove_records (may delete), update_records (comments), change_ttl, …"""
    project, zone, body = project_of(request), _find_primary(request), await read_object(request)
    command, name, kind = (request.match_info[key] for key in ("command", "name", "type"))
    if command not in COMMANDS:
        raise ApiError(404)
    if command == "add_records" and f"{name}/{kind}" not in zone["rrsets"]:
        _put(zone, {"name": name, "type": kind, **body})
        return web.json_response({"action": _act(project, zone, "add_rrset_records")}, status=201)
    rrset = _find_rrset(request, zone)
    if command == "change_protection":
        rrset["protection"] = {"change": field(body, "change", bool)}
    elif command == "change_ttl":
        _changeable(rrset)["ttl"] = _ttl(body.get("ttl"))
    else:
        _change_records(zone, _changeable(rrset), command, body)
    verb, _, noun = command.partition("_")
    status = 200 if command == "update_records" else 201  # as documented
    return web.json_response({"action": _act(project, zone, f"{verb}_rrset_{noun}")}, status=status)


def _change_records(zone: Document, rrset: Document, command: str, body: Document) -> None:
    given = _records(body, rrset["type"])
    values = {record["value"] for record in given}
    here = {record["value"] for record in rrset["records"]}
    if command == "set_records":
        rrset["records"] = given
    elif command == "add_records":
        if values & here:
            raise taken("records", "record already exists")
        rrset["records"] = rrset["records"] + given
        rrset["ttl"] = _ttl(body.get("ttl")) or rrset["ttl"]
    elif not values <= here:
        raise invalid("records", "record not found")
    elif command == "update_records":
        comments = {record["value"]: record["comment"] for record in given}
        for record in rrset["records"]:
            record["comment"] = comments.get(record["value"], record["comment"])
    else:
        rrset["records"] = [record for record in rrset["records"] if record["value"] not in values]
        if not rrset["records"]:
            del zone["rrsets"][rrset["id"]]
