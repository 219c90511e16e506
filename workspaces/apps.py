"""The application's registration with Django."""

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    """Loads the system checks; nothing else happens at start."""

    name = "workspaces"
    verbose_name = "Loopback"

    def ready(self) -> None:
        """Register the checks of `manage.py check`."""
        from workspaces import checks  # noqa: F401
