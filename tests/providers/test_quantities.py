"""Quantities as whole numbers, and what a pod reserves by the scheduler's rule."""

import pytest
from kubernetes import client

from workspaces.providers.quantities import Amount, requested, whole


@pytest.mark.parametrize(
    ("quantity", "times", "number"),
    [
        (None, 1000, 0),
        ("", 1000, 0),
        ("4", 1000, 4000),
        ("250m", 1000, 250),
        ("0.1", 1000, 100),
        ("1m", 1, 1),  # rounded up
        ("100u", 1000, 1),
        ("16159088Ki", 1, 16546906112),
        ("1.5Gi", 1, 1610612736),
        ("128M", 1, 128000000),
        ("1e3", 1, 1000),
        ("110", 1, 110),
    ],
)
def test_a_quantity_is_a_whole_number_rounded_up(quantity, times, number):
    assert whole(quantity, times) == number


def test_what_is_no_quantity_is_refused():
    with pytest.raises(ValueError, match="Invalid"):
        whole("lots")


def container(cpu: str = "", memory: str = "", restart: str | None = None) -> client.V1Container:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return client.V1Container(
        name="c", restart_policy=restart, resources=client.V1ResourceRequirements(requests=requests or None)
    )


def spec(*containers: client.V1Container, init: tuple = (), **more) -> client.V1PodSpec:
    return client.V1PodSpec(containers=list(containers), init_containers=list(init) or None, **more)


@pytest.mark.parametrize(
    ("pod", "amount"),
    [
        (spec(client.V1Container(name="bare")), Amount(0, 0)),
        (spec(container("100m", "1Ki"), container("200m", "1Ki")), Amount(300, 2048)),
        # The larger of each: an init container that needs more CPU and less memory.
        (spec(container("100m", "4Ki"), init=(container("500m", "1Ki"),)), Amount(500, 4096)),
        # One after the other: init containers are not added up.
        (spec(container("100m"), init=(container("300m"), container("200m"))), Amount(300, 0)),
        # A sidecar stays beside the containers, and beside init containers that come after it.
        (spec(container("100m"), init=(container("50m", restart="Always"),)), Amount(150, 0)),
        (spec(container("100m"), init=(container("50m", restart="Always"), container("300m"))), Amount(350, 0)),
        (spec(container("100m"), init=(container("300m"), container("50m", restart="Always"))), Amount(300, 0)),
        (spec(container("100m"), overhead={"cpu": "250m", "memory": "1Ki"}), Amount(350, 1024)),
        (
            spec(container("100m", "1Ki"), resources=client.V1ResourceRequirements(requests={"cpu": "1"})),
            Amount(1000, 1024),
        ),
    ],
)
def test_a_pod_reserves_what_the_scheduler_counts(pod, amount):
    assert requested(pod) == amount
