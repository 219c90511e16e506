"""Causes of blindness: nobody can look, or what is looked at does not let itself be seen.

None of them guesses: each rests on a look that failed or is late, and on what the queue tells.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from workspaces.rules import looks
from workspaces.rules.diagnosis_causes import GOES_ON, cause, failed, how, tried
from workspaces.rules.diagnosis_facts import Cause, Facts
from workspaces.rules.health_freshness import blind_since
from workspaces.rules.health_seen import at, named
from workspaces.rules.trouble import WHO_CAN_FIX

_OPERATOR: Final = "The operator of the platform."


# --- The platform itself ----------------------------------------------------------------------------------------------
def platform_down(facts: Facts, now: datetime) -> Cause | None:
    """Nobody can look: the queue, the workers or the scheduler are not there."""
    queue, blind = facts.queue, facts.blind(now)
    if queue is None or not (blind or not facts.looks):
        return None
    if queue.trouble:
        code, headline, step = "queue_down", "the queue cannot be reached", "Restore the connection to Redis"
        said = queue.trouble
    elif queue.unserved:
        everything = len(queue.unserved) == len(queue.queues)
        code, step = "no_worker", "Start workers: manage.py rqworker ticks reconcile"
        headline = "no worker is running" if everything else f"no worker serves {named(queue.unserved)}"
        said = "What is due is put on the queue, and nobody takes it from there."
    elif not queue.scheduler_alive:
        code, headline, step = "no_scheduler", "the scheduler is not running", "Start the scheduler: manage.py cron"
        said = "Nothing is put on the queue, and no window opens."
    else:
        return None
    text = f"{said} All workspaces are affected. {GOES_ON}"
    return cause(code, headline, text, "queue", blind_since(blind), _OPERATOR, step, "queue")


def queue_stuck(facts: Facts, now: datetime) -> Cause | None:
    """Workers live, and what is due waits all the same."""
    late = facts.late(now)
    if facts.queue is None or not late:
        return None
    stuck = next((queue for queue in facts.queue.queues if queue.is_stuck(now)), None)
    if stuck is None or stuck.oldest is None:
        return None
    text = (
        f"{stuck.depth} jobs wait on the queue {stuck.name}, the oldest since {at(stuck.oldest)}: more work comes in "
        f"than {stuck.workers} worker{'s' if stuck.workers != 1 else ''} can do, or each waits long for an answer. "
        f"{GOES_ON}"
    )
    who = "The operator of the platform, by starting more workers."
    return cause(
        "queue_stuck", f"the queue {stuck.name} is stuck", text, "queue", blind_since(late), who, "See it", "queue"
    )


def overdue(facts: Facts, now: datetime) -> Cause | None:
    """Nobody has looked in time, and nothing says why."""
    late = facts.late(now)
    if not late:
        return None
    asked = facts.queue is not None
    known = "Workers and scheduler live, and nothing waits for long" if asked else "Whether workers live is not known"
    text = f"{named([look.title for look in late])}: not looked at in time. {known}. {GOES_ON}"
    headline = "looks are overdue although the platform lives" if asked else "looks are overdue"
    return cause(
        "overdue",
        headline,
        text,
        "queue",
        blind_since(late),
        WHO_CAN_FIX["overdue"],
        "See the queue",
        "queue",
        tone="warn",
    )


def first_look(facts: Facts, now: datetime) -> Cause | None:
    """Something was never seen, which the next look settles."""
    new = [look for look in facts.looks if look.succeeded_at is None]
    if not new and facts.looks:
        return None
    when = f" The next look is due at {at(min(look.due_at for look in new))}." if new else ""
    names = f": {named([look.title for look in new])}" if new else ""
    once = next((f" {look.trouble.message}" for look in new if look.trouble), "")
    text = f"Not seen yet{names}.{once}{when}"
    return cause("first_look", "not all of it has been seen yet", text, "", None, tone="warn")


# --- Looks that fail --------------------------------------------------------------------------------------------------
def management_cluster(facts: Facts, now: datetime) -> Cause | None:
    """The API of the management cluster does not let us see control planes."""
    look, credentials = facts.failing(looks.CONTROL_PLANES), facts.condition("credentials")
    if look is None or look.trouble is None or look.trouble.code == "overdue":
        return None
    step, code = "Check the connection to its API", look.trouble.code
    if credentials and credentials.reason == "ended" and code in ("credential", "unreachable"):
        headline = f"the certificate for management cluster {look.name} has ended"
        code, step = "certificate_ended", f"Store another kubeconfig for {look.name}"
        text = f"{credentials.message} {tried(look)} {GOES_ON}"
    elif code == "credential":
        headline = f"management cluster {look.name} refuses the stored credential"
        step, text = f"Store another kubeconfig for {look.name}", f"{tried(look)} {GOES_ON}"
    else:
        headline, text = f"management cluster {look.name} {how(code)}", f"{tried(look)} {GOES_ON}"
    return failed(look, code, headline, text, "control_plane", step, "management_cluster", look.key)


def cluster(facts: Facts, now: datetime) -> Cause | None:
    """The workspace's own API, or its bare hosts, cannot be asked."""
    look = facts.failing(looks.CLUSTER)
    if look is None or look.trouble is None:
        return None
    code = look.trouble.code
    what = f"the API of {facts.name}" if facts.type == "kubernetes" else facts.name
    headline = f"{what} {'refuses the credential that Kamaji issued' if code == 'credential' else how(code)}"
    text = f"{tried(look)} How its hosts are is not known. {GOES_ON}"
    return failed(look, f"tenant_{code}", headline, text, "tenant")


def cloud(facts: Facts, now: datetime) -> Cause | None:
    """The cloud provider does not let us see servers or records."""
    look = facts.failing(looks.SERVERS, looks.DNS)
    if look is None or look.trouble is None or look.trouble.code == "overdue":
        return None
    code, others = look.trouble.code, ""
    if facts.others_answered is not None:
        others = "Other accounts are answered. " if facts.others_answered else "No other account is answered either. "
    text = f"{tried(look)} {others}{GOES_ON}"
    if code == "credential":
        headline, check = f"Hetzner Cloud refuses the token of account {look.name}", "credentials"
        step = f"Replace the token of account {look.name}"
        return failed(look, code, headline, text, check, step, "account", look.key)
    if code == "rate_limit":
        headline = f"account {look.name} has used up its calls to Hetzner Cloud"
        return failed(look, code, headline, text, "cloud")
    headline = f"Hetzner Cloud {how(code)}, asked for account {look.name}"
    return failed(look, code, headline, text, "cloud")


def seeding_look(facts: Facts, now: datetime) -> Cause | None:
    """What is seeded cannot be asked for, although the cluster itself can."""
    look = facts.failing(looks.SEEDING)
    if look is None or look.trouble is None:
        return None
    headline = f"the seeded objects of {facts.name} cannot be looked at"
    return failed(look, f"seeding_{look.trouble.code}", headline, f"{tried(look)} {GOES_ON}", "kept")
