"""`manage.py reconcile`: ask for looks at the world before their turn, and tell which loops are late or fail.

Nothing is looked at here: workers do that, as soon as the scheduler has handed the looks out (in about two seconds).
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from workspaces.management import selection
from workspaces.management.told import Told
from workspaces.models import Actor, DnsRecord, Host, Look, ManagementCluster, Workspace, acting
from workspaces.models.conditions import LEFT_ALONE, look_seen
from workspaces.operations import looks as loops
from workspaces.rules import looks
from workspaces.rules.health_freshness import LookSeen

WHERE: Final = ("workspace", "project", "management-cluster")


class Command(BaseCommand):
    """Asks, or tells how looking goes."""

    help = "Ask for looks at the world now, or list the loops that are late or fail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to look at (one of these), or `status`."""
        parser.add_argument("action", nargs="?", choices=("status",), help="tell which loops are late or fail")
        where = parser.add_mutually_exclusive_group()
        for noun in WHERE:
            where.add_argument(f"--{noun}", metavar="ID|NAME", help=f"what concerns this {noun.replace('-', ' ')}")
        where.add_argument("--all", action="store_true", help="everything")
        parser.add_argument("--dry-run", action="store_true", help="tell what would be asked for, and ask for nothing")
        parser.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, as this command."""
        chosen = any(options[name.replace("-", "_")] for name in (*WHERE, "all"))
        if options["action"] == "status":
            if chosen or options["dry_run"]:
                raise CommandError("status tells of all loops: it takes --json only.")
            self._status(timezone.now(), as_json=options["as_json"])
        elif not chosen:
            raise CommandError(f"Say what to look at: {', '.join(f'--{noun}' for noun in WHERE)} or --all.")
        else:
            with acting(Actor.of_command("reconcile")):
                self._ask(options)

    def _ask(self, options: dict[str, Any]) -> None:
        workspaces = _chosen(options)
        rows = _concerning(workspaces) if not options["all"] else Look.objects.all()
        counted = dict(rows.order_by().values_list("kind").annotate(count=Count("pk")))
        if not options["dry_run"]:
            loops.due_now(pk__in=rows.values("pk"))
        document = {
            "workspaces": workspaces.count(),
            "looks": {kind: counted[kind] for kind in looks.LOOPS if kind in counted},
            "dry_run": options["dry_run"],
        }
        with Told(self.stdout, as_json=options["as_json"], single=True) as told:
            told.add(document, [_asked(document)])

    def _status(self, now: datetime, *, as_json: bool) -> None:
        rows = Look.objects.select_related("management_cluster", "provider_account", "workspace")
        secrets = rows.defer("management_cluster__kubeconfig", "provider_account__token")
        # Only what may be wrong is read whole: of the other loops their number is enough.
        found = sorted((look_seen(look) for look in secrets.filter(_perhaps_wrong(now))), key=lambda look: look.title)
        wrong = [look for look in found if look.is_blind(now) or look.failures]
        total = Look.objects.count()
        with Told(self.stdout, as_json=as_json) as told:
            for look in wrong:
                told.add(_document(look, now), [_line(look, now)])
            if not wrong and not as_json:
                told.add({}, [f"All {total} loops look in time."])
        blind = sum(look.is_blind(now) for look in wrong)
        if blind:
            raise CommandError(f"{blind} of {total} loops are late or fail.")


# --- Asking -----------------------------------------------------------------------------------------------------------
def _chosen(options: dict[str, Any]) -> QuerySet[Workspace]:
    """The workspaces that are asked about; CommandError for a name or id that means none, or several."""
    here = Workspace.objects.exclude(state__in=LEFT_ALONE)
    if name := options["workspace"]:
        return here.filter(pk=selection.workspace(name).pk)
    if name := options["project"]:
        return here.filter(project=selection.project(name))
    if name := options["management_cluster"]:
        return here.filter(management_cluster=_management_cluster(name))
    return here


def _management_cluster(named: str) -> ManagementCluster:
    known = {str(key): name for key, name in ManagementCluster.objects.values_list("pk", "name")}
    found = next((key for key, name in known.items() if named in (key, name)), None)
    if found is None:
        names = ", ".join(sorted(known.values())) or "none"
        raise CommandError(f"There is no management cluster {named}. Known: {names}.")
    return ManagementCluster.objects.get(pk=found)


def _concerning(workspaces: QuerySet[Workspace]) -> QuerySet[Look]:
    """The loops over these workspaces, and over the clusters and accounts that they are on."""
    keys = workspaces.order_by().values("pk")
    hosts, records = Host.objects.filter(workspace__in=keys), DnsRecord.objects.filter(workspace__in=keys)
    clusters = workspaces.order_by().values("management_cluster")
    return Look.objects.filter(
        Q(workspace__in=keys)
        | Q(management_cluster__in=clusters)
        | Q(kind=looks.SERVERS, provider_account__in=hosts.order_by().values("provider_account"))
        | Q(kind=looks.DNS, provider_account__in=records.order_by().values("provider_account"))
    )


def _asked(document: dict[str, Any]) -> str:
    kinds = [f"{looks.LOOPS[kind].label} {count}" for kind, count in document["looks"].items()]
    what = f"{document['workspaces']} workspace{'' if document['workspaces'] == 1 else 's'}"
    if not kinds:
        return f"{what}: nobody looks there yet."
    return f"{'Would ask' if document['dry_run'] else 'Asked'} for looks at {what} ({', '.join(kinds)})."


# --- Telling ----------------------------------------------------------------------------------------------------------
def _perhaps_wrong(now: datetime) -> Q:
    """At least all that fail or are late: the pace of the quickest loop decides what may be late."""
    quickest = Look.objects.order_by("every").values_list("every", flat=True).first() or 0.0
    return Q(failures__gt=0) | Q(felt=True) | Q(succeeded_at=None) | Q(succeeded_at__lte=_before(now, quickest))


def _before(now: datetime, every: float) -> datetime:
    return now - (looks.too_old_at(now, every) - now)


def _state(look: LookSeen, now: datetime) -> str:
    if look.failures or look.felt:
        return "failing"
    return "late" if look.succeeded_at else "not_looked_yet"


def _document(look: LookSeen, now: datetime) -> dict[str, Any]:
    trouble = look.trouble
    return {
        "loop": look.kind,
        "target": look.name,
        "id": str(look.key),
        "state": _state(look, now),
        "fresh": not look.is_blind(now),
        "failures": look.failures,
        "failing_since": _time(look.failing_since),
        "last_success": _time(look.succeeded_at),
        "next": _time(look.due_at),
        "every": look.every,
        "error_class": trouble.code if trouble else None,
        "error": trouble.message if trouble else None,
        "who_can_fix": trouble.who_can_fix if trouble else None,
    }


def _line(look: LookSeen, now: datetime) -> str:
    words = {"failing": f"failed {look.failures} times in a row", "late": "late", "not_looked_yet": "not looked at yet"}
    seen = f"last seen {_time(look.succeeded_at)}" if look.succeeded_at else "never seen"
    trouble = f": {look.trouble.message}" if look.trouble else ""
    state = words[_state(look, now)] if look.failures != 1 else "failed once"
    return f"{look.title}: {state}, {seen}, next {_time(look.due_at)}{trouble}"


def _time(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None
