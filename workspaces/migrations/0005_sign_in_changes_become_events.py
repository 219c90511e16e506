"""Second factors and single sign-on identities become events as the product's own tables do."""

from django.db import migrations

SQL = [
    "SELECT workspaces_watch('mfa_authenticator', 'second factor', '{last_used_at}', '{data}');",
    "SELECT workspaces_watch('socialaccount_socialaccount', 'single sign-on', '{last_login}', '{extra_data}');",
]


class Migration(migrations.Migration):
    """Adds the triggers to the library's tables."""

    dependencies = [
        ("workspaces", "0004_changes_become_events"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]
