"""The two addresses a load balancer asks."""

import pytest
from django.test import Client


def test_healthz_answers_without_a_database() -> None:
    response = Client().get("/healthz")
    assert response.status_code == 200
    assert response.content == b"up\n"


@pytest.mark.django_db
def test_readyz_answers_when_both_services_do() -> None:
    response = Client().get("/readyz")
    assert response.status_code == 200
    assert response.content == b"ready\n"


@pytest.mark.django_db
def test_readyz_names_redis_when_it_is_away(settings) -> None:
    elsewhere = {"URL": "unix:///nowhere/valkey.sock?db=0"}
    settings.RQ_QUEUES = settings.RQ_QUEUES | {"operations": elsewhere}
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.content == b"no answer from redis\n"
