"""What windows do, for every plan, workspace and moment: what runs and what waits, replayed window by window.

When windows open and what blocks them is in `test_planner_properties.py`, single cases in `test_planner.py`.
"""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.planner_cases import (
    PAUSED,
    applicable,
    held_somewhere,
    moments,
    newer_patches,
    replayed,
    workspaces,
)
from workspaces.rules.planner import forecast
from workspaces.rules.upgrades import refuse_target, refuse_upgrade
from workspaces.rules.versions import minor_of, precedence

few, many = settings(max_examples=40), settings(max_examples=120)


@given(workspaces(), moments, st.data())
@many
def test_no_workspace_is_planned_to_go_where_the_rules_of_upgrades_refuse(made, now, data):
    plan, facts = made
    facts = replace(facts, holds=data.draw(held_somewhere(now)))
    for entry, then in replayed(plan, facts, now):
        for work in entry.work:
            if work.kind != "kubernetes":
                continue
            situation, row = then.situation, next(row for row in then.catalogue if row.version == work.to)
            assert refuse_target(situation, row) is None
            assert entry.blocked_by or refuse_upgrade(situation, work.to, then.catalogue) is None
            assert work.from_ == situation.running_version
            assert minor_of(work.to) == minor_of(work.from_)
            assert precedence(work.to) >= precedence(work.from_)
            assert work.to != work.from_ or set(situation.kubelet_versions) - {work.to, f"v{work.to}"}
            assert facts.hosts_manageable == facts.hosts_total


@given(workspaces(), moments, st.data())
@many
def test_each_lane_takes_the_furthest_patch_it_may(made, now, data):
    plan, facts = made
    facts = replace(facts, holds=data.draw(held_somewhere(now)))
    for entry, then in replayed(plan, facts, now):
        if then.paused and then.paused.lane == entry.window.lane:
            continue
        taken = [work.to for work in entry.work if work.kind == "kubernetes" and work.to != work.from_]
        if entry.window.lane == "routine":
            allowed = newer_patches(then) if plan.kubernetes_auto_upgrade else []
        else:
            named = {
                version for one in applicable(then.advisories, plan.kubernetes_auto_upgrade) for version in one.versions
            }
            marked = bool(plan.kubernetes_auto_upgrade)
            allowed = newer_patches(then, lambda row: row.version in named or (marked and row.security))  # noqa: B023
        if facts.hosts_manageable < facts.hosts_total:
            allowed = []
        assert taken == sorted(allowed, key=precedence)[-1:]


@given(workspaces(), moments, st.data())
@many
def test_an_advisory_applies_with_the_flag_or_enforced_and_until_its_packages_are_installed(made, now, data):
    plan, facts = made
    facts = replace(facts, holds=data.draw(held_somewhere(now)))
    for entry, then in replayed(plan, facts, now):
        updates = [work for work in entry.work if work.kind == "os"]
        if then.paused and then.paused.lane == entry.window.lane:
            assert updates == []
        elif entry.window.lane == "routine":
            assert len(updates) == (1 if plan.compute_auto_update and facts.hosts_manageable else 0)
            assert all(work.packages == () for work in updates)
        else:
            apply = applicable([one for one in then.advisories if one.packages], plan.compute_auto_update)
            wanted = (tuple(one.name for one in apply), tuple(sorted({name for one in apply for name in one.packages})))
            assert [(work.advisories, work.packages) for work in updates] == (
                [wanted] if apply and facts.hosts_manageable else []
            )


@given(workspaces(), moments, st.data())
@many
def test_what_ran_in_one_window_is_not_planned_again_in_a_later_one(made, now, data):
    plan, facts = made
    facts = replace(facts, holds=data.draw(held_somewhere(now)))
    ran = [
        (entry.window.lane, work) for entry in forecast(plan, facts, now) if not entry.blocked_by for work in entry.work
    ]
    hops = [work.to for _, work in ran if work.kind == "kubernetes"]
    assert hops == sorted(set(hops), key=precedence)
    flagged = [name for _, work in ran if work.kind == "os" for name in work.advisories]
    assert len(flagged) == len(set(flagged))
    routine = next((place for place, (lane, work) in enumerate(ran) if (lane, work.kind) == ("routine", "os")), None)
    assert routine is None or not [work for _, work in ran[routine:] if work.kind == "os" and work.packages]


@given(workspaces(), moments)
@many
def test_with_both_flags_off_only_enforced_advisories_do_anything(made, now):
    plan, facts = made
    kubernetes = None if plan.kubernetes_auto_upgrade is None else False
    off = replace(plan, compute_auto_update=False, kubernetes_auto_upgrade=kubernetes)
    facts = replace(facts, paused=None)
    everything = [work for entry in forecast(off, facts, now) for work in entry.work]
    enforced = [advisory for advisory in facts.advisories if advisory.enforced]
    alone = [work for entry in forecast(off, replace(facts, advisories=enforced), now) for work in entry.work]
    assert everything == alone
    assert {name for work in everything for name in work.advisories} <= {advisory.name for advisory in enforced}
    assert all(work.advisories for work in everything)


@given(workspaces(st.sampled_from(PAUSED)), moments, st.data())
@few
def test_paused_work_goes_on_once_in_its_own_lane_unless_other_work_came_first(made, now, data):
    plan, facts = made
    facts = replace(facts, holds=data.draw(held_somewhere(now)))
    ran = [entry for entry in forecast(plan, facts, now) if not entry.blocked_by and entry.work]
    continued = [entry for entry in ran if any(work.kind == "continue" for work in entry.work)]
    assert continued == [entry for entry in ran[:1] if entry.window.lane == facts.paused.lane]
    assert all(len(entry.work) == 1 for entry in continued)
