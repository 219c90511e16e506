"""Credentials at rest: unreadable in the row and in print, opened by the configured keys only."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from workspaces.models import Sealed, SshKey

SECRET = "-----BEGIN OPENSSH PRIVATE KEY----- hunter2"


def column(key: SshKey) -> str:
    """What is really in the table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT private_key FROM workspaces_sshkey WHERE id = %s", [key.pk])
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_the_row_holds_ciphertext_and_the_worker_reads_the_text() -> None:
    key = SshKey.objects.create(name="fleet", private_key=SECRET)
    assert "hunter2" not in column(key)
    assert column(key).startswith("gAAAA")
    assert SshKey.objects.get().private_key.reveal() == SECRET


@pytest.mark.django_db
def test_saving_what_was_read_does_not_seal_it_twice() -> None:
    made = SshKey.objects.create(name="fleet", private_key=SECRET)
    before = column(made)
    read = SshKey.objects.get()
    read.save()
    assert column(read) == before
    assert SshKey.objects.get().private_key.reveal() == SECRET


@pytest.mark.django_db
def test_once_saved_the_instance_no_longer_carries_the_plain_text() -> None:
    key = SshKey.objects.create(name="fleet", private_key=SECRET)
    assert str(key.private_key) == "sealed"
    assert key.private_key.reveal() == SECRET
    key.private_key = "another"
    key.save()
    assert (str(key.private_key), SshKey.objects.get().private_key.reveal()) == ("sealed", "another")


@pytest.mark.django_db
def test_update_and_bulk_create_seal_as_well() -> None:
    SshKey.objects.bulk_create([SshKey(name="fleet", private_key="first")])
    SshKey.objects.update(private_key=SECRET)
    key = SshKey.objects.get()
    assert "hunter2" not in column(key)
    assert key.private_key.reveal() == SECRET


def test_printing_shows_nothing() -> None:
    sealed = Sealed.of(SECRET)
    assert [str(sealed), repr(sealed), f"{sealed}", f"{[sealed]}"] == ["sealed", "sealed", "sealed", "[sealed]"]
    assert sealed


def test_an_empty_text_stays_empty_and_needs_no_key(settings: Any) -> None:
    settings.LOOPBACK_ENCRYPTION_KEYS = []
    empty = Sealed.of("")
    assert (bool(empty), str(empty), empty.reveal()) == (False, "", "")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert Sealed.of(SECRET).token != Sealed.of(SECRET).token


def test_after_a_rotation_the_newest_key_seals_and_the_old_one_still_opens(settings: Any) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.LOOPBACK_ENCRYPTION_KEYS = [old]
    before = Sealed.of("old secret")
    settings.LOOPBACK_ENCRYPTION_KEYS = [new, old]
    after = Sealed.of("new secret")
    assert before.reveal() == "old secret"
    assert Fernet(new).decrypt(after.token.encode()) == b"new secret"
    settings.LOOPBACK_ENCRYPTION_KEYS = [new]
    assert after.reveal() == "new secret"
    with pytest.raises(ImproperlyConfigured):
        before.reveal()


def test_an_unknown_key_is_said_clearly_and_without_the_ciphertext(settings: Any) -> None:
    sealed = Sealed.of(SECRET)
    settings.LOOPBACK_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(ImproperlyConfigured) as caught:
        sealed.reveal()
    assert str(caught.value) == "No key in LOOPBACK_ENCRYPTION_KEYS opens this credential."


def test_without_any_key_nothing_is_sealed_or_opened(settings: Any) -> None:
    sealed = Sealed.of(SECRET)
    settings.LOOPBACK_ENCRYPTION_KEYS = []
    for act in (sealed.reveal, lambda: Sealed.of(SECRET)):
        with pytest.raises(ImproperlyConfigured, match="LOOPBACK_ENCRYPTION_KEYS is empty"):
            act()
