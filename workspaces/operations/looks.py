"""Handing out looks at the world, and writing down how each went: which is due, in what order, at what pace.

PostgreSQL says what is due (`Look.due_at`); the queue carries keys. There are no retries in here: a look that fails, or
whose key gets lost, comes round again by its pace. What a look does and writes is `reconcile` and what stands below it.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, FloatField, Model, OuterRef, Q, Value, Window
from django.db.models.functions import Greatest, Least, RowNumber
from django.utils import timezone

from workspaces.models import DnsRecord, Look, ManagementCluster, ProviderAccount, Workspace
from workspaces.models.health import reassess
from workspaces.operations import dispatch
from workspaces.providers.errors import Permanent, ProviderError
from workspaces.rules import lifecycle, looks
from workspaces.rules.refusal import Refused
from workspaces.rules.situation import refuse_leaving
from workspaces.rules.trouble import WHO_CAN_FIX, Trouble

logger = logging.getLogger(__name__)

LOOKED_AT: Final = ("active", "gated", "error", "deletion_scheduled")
# Seconds between two rounds of handing out.
ROUND: Final = 2
# As long as a job may run: then the look is free for another worker.
LEASE: Final = timedelta(seconds=120)
# Of the looks that may begin in a second, what each kind may have at most. The others are few and always handed out.
SHARES: Final[Mapping[str, float]] = {looks.CLUSTER: 0.75, looks.SEEDING: 0.25}
# One row too many or too few is no reason to write the pace of all the others anew.
COARSE: Final = 5
# Looks that are called overdue in one round, at most: each has its workspaces judged again.
MARKED: Final = 100
MANY: Final = (looks.CLUSTER, looks.SEEDING)
FEW: Final = (looks.CONTROL_PLANES, looks.SERVERS, looks.DNS)
JOBS: Final = {kind: f"workspaces.jobs.look_at_{kind}" for kind in looks.LOOPS}


@dataclass(frozen=True)
class Attempt:
    """A look under way: its row, and when it began, which is the time of everything it sees."""

    look: Look
    now: datetime


# --- Handing out ------------------------------------------------------------------------------------------------------
def hand_out(now: datetime) -> int:
    """Put the looks that are due on the queue; how many. Raises RedisError when the queue cannot be reached."""
    _keep_rows(now)
    _mark_overdue(now)
    backlog = dispatch.backlog("reconcile")
    room = max(0, math.ceil(settings.LOOPBACK_LOOKS_PER_SECOND * ROUND) - backlog)
    chosen = [*_due(now).filter(kind__in=FEW), *_in_turn(now)[:room]]
    by_kind: dict[str, list[str]] = defaultdict(list)
    for look in chosen:
        by_kind[look.kind].append(str(_target(look)))
    for kind, keys in by_kind.items():
        # Everything hangs on the few: they do not wait behind looks at workspaces that do not answer.
        dispatch.fan_out(JOBS[kind], keys, ttl=max(ROUND, round(_period(kind))), at_front=kind in FEW)
    # Only now: of a look that was enqueued twice, the second finds the first at it or done.
    _push_on(chosen, now)
    return len(chosen)


def look_now(workspace: Workspace) -> Refused | None:
    """Look at one workspace before its turn, through everything that is looked at for it. Raises RedisError.

    not_active: nobody looks at one that is being deleted, or has been.
    """
    if workspace.state in lifecycle.GONE:
        return refuse_leaving(workspace.state)
    for kind, keys in _concerning(workspace).items():
        dispatch.fan_out(JOBS[kind], keys, at_front=True)
    return None


def due_now(**target: Any) -> None:
    """Let the next round look at a target (a field of Look and its value) again, however long it was to be left.

    There is a reason to hope, so the failures before it do not lengthen the next pause.
    """
    Look.objects.filter(**target).update(due_at=timezone.now(), failures=Least(F("failures"), 1))


def _due(now: datetime) -> Any:
    return Look.objects.filter(due_at__lte=now).order_by("due_at")


def _in_turn(now: datetime) -> Any:
    """Due looks at single workspaces, the organizations in turn: a large fleet must not keep a small one waiting."""
    turn = Window(
        RowNumber(), partition_by=F("workspace__project__organization_id"), order_by=(F("due_at").asc(), F("pk").asc())
    )
    return _due(now).filter(kind__in=MANY).annotate(turn=turn).order_by("turn", "due_at", "pk")


def _push_on(chosen: Collection[Look], now: datetime) -> None:
    later = ExpressionWrapper(Value(now) + F("every") * Value(timedelta(seconds=1)), output_field=DateTimeField())
    Look.objects.filter(pk__in=[look.pk for look in chosen], due_at__lte=now).update(due_at=later)


def _concerning(workspace: Workspace) -> dict[str, list[str]]:
    """Kinds with the keys of the targets that are looked at for this workspace."""
    hosts = workspace.hosts.exclude(provider_account=None).values_list("provider_account", flat=True)
    found: dict[str, Iterable[UUID | None]] = {
        looks.CONTROL_PLANES: [workspace.management_cluster_id],
        looks.SERVERS: hosts.distinct().order_by(),
        looks.DNS: workspace.dns_records.values_list("provider_account", flat=True).distinct().order_by(),
        looks.CLUSTER: [workspace.pk],
        looks.SEEDING: [workspace.pk] if workspace.is_kubernetes else [],
    }
    return {kind: keys for kind, targets in found.items() if (keys := [str(key) for key in targets if key])}


# --- Rows -------------------------------------------------------------------------------------------------------------
def _keep_rows(now: datetime) -> None:
    """A row for each loop that there should be, with its pace; none for workspaces that are not looked at."""
    Look.objects.filter(workspace__isnull=False).exclude(workspace__state__in=LOOKED_AT).delete()
    here = Workspace.objects.filter(state__in=LOOKED_AT)
    with_records = ProviderAccount.objects.filter(Exists(DnsRecord.objects.filter(provider_account=OuterRef("pk"))))
    _add(looks.CONTROL_PLANES, ManagementCluster.objects.all(), now)
    _add(looks.SERVERS, ProviderAccount.objects.all(), now)
    _add(looks.DNS, with_records, now)
    _add(looks.CLUSTER, here, now)
    _add(looks.SEEDING, here.filter(type="kubernetes"), now)
    for kind in looks.LOOPS:
        every = _period(kind)
        Look.objects.filter(kind=kind).exclude(every=every).update(every=every)


def _add(kind: str, targets: Any, now: datetime) -> None:
    name = looks.LOOPS[kind].target
    known = Look.objects.filter(kind=kind, **{name: OuterRef("pk")})
    missing = targets.filter(~Exists(known)).order_by().values_list("pk", flat=True)
    every = _period(kind) if missing else 0
    rows = [Look(kind=kind, every=every, due_at=now, **{f"{name}_id": key}) for key in missing]
    Look.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)


def _period(kind: str) -> float:
    """Seconds between two looks of this kind."""
    usual = {looks.DNS: settings.LOOPBACK_DNS_SECONDS, looks.SEEDING: settings.LOOPBACK_SEEDING_SECONDS}
    every = float(usual.get(kind, settings.LOOPBACK_RECONCILE_SECONDS))
    if kind not in SHARES:
        return every
    targets = Look.objects.filter(kind=kind).count()
    spread = looks.spread(every, targets, settings.LOOPBACK_LOOKS_PER_SECOND * SHARES[kind])
    return every if spread == every else float(math.ceil(spread / COARSE) * COARSE)


def _mark_overdue(now: datetime) -> None:
    """Say that nobody looks at a target, where that is so although this round takes place.

    Of a workspace itself its pages say so by the age of the last look. A little before two periods are over: the next
    round comes after.
    """
    age = Greatest(F("every") * looks.PERIODS - 2 * ROUND, F("every") * 1.5, output_field=FloatField())
    oldest = ExpressionWrapper(Value(now) - age * Value(timedelta(seconds=1)), output_field=DateTimeField())
    late = Look.objects.filter(kind__in=(*FEW, looks.SEEDING), felt=False, succeeded_at__lte=oldest)
    targets = ("management_cluster", "provider_account", "workspace")
    for look in late.select_related(*targets).order_by("succeeded_at")[:MARKED]:
        if _now_overdue(look, now):
            reassess(_affected(look), now)


def _now_overdue(look: Look, now: datetime) -> bool:
    """Write down that nobody sees the target any more; a failure that was to be tried again tells why itself."""
    seen = look.succeeded_at
    assert seen is not None
    seconds = (now - seen).total_seconds()
    said = f"Not looked at for {seconds:.0f} s, although it is to be every {look.every:.0f} s."
    trouble = look.trouble or Trouble("overdue", said, WHO_CAN_FIX["overdue"])
    with transaction.atomic():
        marked = Look.objects.filter(pk=look.pk, felt=False, succeeded_at=seen).update(
            felt=True,
            failing_since=look.failing_since or seen,
            error_code=trouble.code,
            error=trouble.message,
            who_can_fix=trouble.who_can_fix,
        )
        if marked:
            logger.warning("%s: %s", look, said)
            _tell_target(look, trouble.code, trouble.message, look.failing_since or seen)
    return bool(marked)


# --- One look ---------------------------------------------------------------------------------------------------------
@contextmanager
def attempt(kind: str, target: UUID) -> Iterator[Attempt | None]:
    """Look at a target within the block; None when somebody else is at it, or the target is gone.

    A ProviderError is written down and ends here. A defect is written down too, and goes on to the failed jobs.
    """
    began, clock = timezone.now(), time.monotonic()
    look = _claim(kind, target, began)
    if look is None:
        yield None
        return
    try:
        yield Attempt(look, began)
    except ProviderError as error:
        _failed(look, error, began, _milliseconds(clock))
    except Exception as error:
        said = f"The look broke ({type(error).__name__}). The queue page and the log have the details."
        _failed(look, Permanent("configuration", said), began, _milliseconds(clock))
        raise
    else:
        _succeeded(look, began, _milliseconds(clock))


def _claim(kind: str, target: UUID, now: datetime) -> Look | None:
    key = {f"{looks.LOOPS[kind].target}_id": target}
    try:
        look, _ = Look.objects.get_or_create(kind=kind, **key, defaults={"every": _period(kind)})
    except IntegrityError:
        return None
    free = Look.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), pk=look.pk)
    look.lease_until, look.tried_at = now + LEASE, now
    return look if free.update(lease_until=look.lease_until, tried_at=now) else None


def _succeeded(look: Look, began: datetime, milliseconds: int) -> None:
    values = {
        "succeeded_at": began,
        "due_at": began + timedelta(seconds=look.every),
        "failures": 0,
        "felt": False,
        "failing_since": None,
        "error_code": "",
        "error": "",
        "who_can_fix": "",
        "milliseconds": milliseconds,
        "samples": looks.sampled(look.samples, began, milliseconds, failed=False),
    }
    with transaction.atomic():
        # A slow look may have been called overdue while it was under way.
        was_felt = _settle(look, {"felt": True}, values)
        if was_felt or _settle(look, {}, values):
            _seen(look, began)
    if was_felt:
        reassess(_affected(look), timezone.now())
        if look.kind == looks.CONTROL_PLANES:
            # Its tenants were out of reach with it, and need not sit out their pauses now.
            due_now(workspace__management_cluster=look.management_cluster_id)


def _failed(look: Look, error: ProviderError, began: datetime, milliseconds: int) -> None:
    logger.warning("%s: %s", look, error.message)
    failures, permanent = look.failures + 1, isinstance(error, Permanent)
    felt = looks.is_felt(failures, permanent=permanent) or look.felt
    since = look.failing_since or began
    pause = looks.pause(look.every, failures, settings.LOOPBACK_BACKOFF_SECONDS)
    values = {
        "due_at": timezone.now() + timedelta(seconds=max(pause, getattr(error, "delay", None) or 0)),
        "failures": failures,
        "failing_since": since,
        "error_code": error.code,
        "error": error.message,
        "who_can_fix": error.who_can_fix[:200],
        "milliseconds": milliseconds,
        "samples": looks.sampled(look.samples, began, milliseconds, failed=True),
    }
    if felt:  # else it stays as it is: this look may have been called overdue while it was under way
        values["felt"] = True
    with transaction.atomic():
        tell = _settle(look, {}, values) and felt
        if tell:
            _tell_target(look, error.code, error.message, since)
    if tell and (not look.felt or (look.error_code, look.error) != (error.code, error.message)):
        reassess(_affected(look), timezone.now())


def _settle(look: Look, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Write what came of it and let the target go, unless the lease was lost to another worker meanwhile."""
    mine = Look.objects.filter(pk=look.pk, lease_until=look.lease_until, **where)
    return mine.update(lease_until=None, **values)


def _milliseconds(clock: float) -> int:
    return round((time.monotonic() - clock) * 1000)


# --- Targets ----------------------------------------------------------------------------------------------------------
def _target(look: Look) -> UUID:
    key = look.management_cluster_id or look.provider_account_id or look.workspace_id
    assert key is not None
    return key


def _seen(look: Look, began: datetime) -> None:
    """Write on the target that it was seen, and that nothing is wrong with looking."""
    match look.kind:
        case looks.CONTROL_PLANES | looks.SERVERS:
            _on_target(look, observed_at=began, error_code="", error_message="", error_since=None)
        case looks.CLUSTER:
            slower = math.ceil(look.every) if look.every > settings.LOOPBACK_RECONCILE_SECONDS else 0
            _on_target(look, observed_at=began, looked_every=slower, look_error_code="", look_error="")


def _tell_target(look: Look, code: str, message: str, since: datetime) -> None:
    """Write on the target why it cannot be seen, for the pages that show it; of other kinds the look itself tells."""
    match look.kind:
        case looks.CONTROL_PLANES | looks.SERVERS:
            _on_target(look, error_code=code, error_message=message, error_since=since)
        case looks.CLUSTER:
            _on_target(look, look_error_code=code, look_error=message)


def _on_target(look: Look, **values: Any) -> None:
    models: Mapping[str, type[Model]] = {
        "management_cluster": ManagementCluster,
        "provider_account": ProviderAccount,
        "workspace": Workspace,
    }
    model = models[looks.LOOPS[look.kind].target]
    model._default_manager.filter(pk=_target(look)).update(**values)


def _affected(look: Look) -> list[UUID]:
    """The workspaces whose health rests on this look."""
    if look.workspace_id:
        return [look.workspace_id]
    through = {
        looks.CONTROL_PLANES: Q(management_cluster=look.management_cluster_id),
        looks.SERVERS: Q(hosts__provider_account=look.provider_account_id),
        looks.DNS: Q(dns_records__provider_account=look.provider_account_id),
    }
    found = Workspace.objects.filter(through[look.kind], state__in=LOOKED_AT).order_by()
    return list(found.values_list("pk", flat=True).distinct())
