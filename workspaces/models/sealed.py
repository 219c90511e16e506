"""Secrets at rest: a text field whose value is encrypted with the keys of LOOPBACK_ENCRYPTION_KEYS.

Reading the column gives a `Sealed`, which shows nothing when printed; only workers call `reveal()`.
"""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


def _keys() -> MultiFernet:
    """The configured keys, newest first: the first seals, all of them open."""
    if not settings.LOOPBACK_ENCRYPTION_KEYS:
        raise ImproperlyConfigured("LOOPBACK_ENCRYPTION_KEYS is empty: credentials can be neither stored nor read.")
    return MultiFernet([Fernet(key) for key in settings.LOOPBACK_ENCRYPTION_KEYS])


class Sealed:
    """An encrypted text. It never shows its content unless asked to with `reveal()`."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def of(cls, text: str) -> Sealed:
        """Encrypt `text`; an empty text stays empty."""
        return cls(_keys().encrypt(text.encode()).decode() if text else "")

    def reveal(self) -> str:
        """The plain text. Raises ImproperlyConfigured when no configured key opens it."""
        if not self.token:
            return ""
        try:
            return _keys().decrypt(self.token.encode()).decode()
        except InvalidToken as error:
            raise ImproperlyConfigured("No key in LOOPBACK_ENCRYPTION_KEYS opens this credential.") from error

    def __bool__(self) -> bool:
        return bool(self.token)

    def __str__(self) -> str:
        return "sealed" if self.token else ""

    __repr__ = __str__


class SealedField(models.TextField):  # type: ignore[type-arg]
    """Stores a `Sealed`. Assign either a `Sealed` or a plain text, which is sealed when saved."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, *_: object) -> Sealed | None:
        """The column's token as a `Sealed`."""
        return None if value is None else Sealed(value)

    def to_python(self, value: Any) -> Any:
        """Leave values as they are: sealing needs the keys and happens only when saved."""
        return value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Seal what is about to be saved, so that the instance does not go on carrying the plain text."""
        value = super().pre_save(model_instance, add)
        if value is not None and not isinstance(value, Sealed):
            value = Sealed.of(str(value))
            setattr(model_instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> Any:
        """The token that is stored."""
        if value is None:
            return None
        return value.token if isinstance(value, Sealed) else Sealed.of(str(value)).token
