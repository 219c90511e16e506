"""What the provider tells of server types, how hosts are ordered, and servers that belong to no host."""

import django.db.models.deletion
import uuid
from django.db import migrations, models


def _again(table, noun, observed, secret=""):
    """Watch a table anew: more of its columns are observations now, which the trail does not repeat."""
    return [
        *(f"DROP TRIGGER record_{verb} ON workspaces_{table}" for verb in ("insert", "update", "delete")),
        f"SELECT workspaces_watch('workspaces_{table}', '{noun}', '{{{observed}}}', '{{{secret}}}')",
    ]


SQL = [
    *_again(
        "host",
        "host",
        "provider_status,kubelet_version,ready,ready_message,unschedulable,os_name,disk_gb,boot_id,observed_at,"
        "updated_at,held_back,restart_needed",
    ),
    *_again(
        "provideraccount",
        "provider account",
        "observed_at,error_code,error_message,error_since,profiles_checked_at,profiles_error_code,profiles_error",
        "token",
    ),
    *_again("profilelocation", "profile location", "available,checked_at,recommended"),
]


class Migration(migrations.Migration):

    dependencies = [
        ('workspaces', '0007_upgrades_whole'),
    ]

    operations = [
        migrations.CreateModel(
            name='LeftServer',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('provider_id', models.BigIntegerField()),
                ('name', models.CharField(max_length=63)),
                ('profile', models.CharField(max_length=40)),
                ('location', models.CharField(max_length=40)),
                ('status', models.CharField(blank=True, max_length=20)),
                ('labels', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(help_text='By the provider.')),
                ('first_seen_at', models.DateTimeField()),
                ('observed_at', models.DateTimeField()),
            ],
            options={
                'ordering': ('name',),
            },
        ),
        migrations.AddField(
            model_name='computeprofile',
            name='withdrawn_at',
            field=models.DateTimeField(blank=True, help_text='When the provider was seen to list it no more. It is inactive then.', null=True),
        ),
        migrations.AddField(
            model_name='host',
            name='disk_gb',
            field=models.PositiveIntegerField(blank=True, help_text="Of the server's own disk, which never shrinks. Empty: not known.", null=True),
        ),
        migrations.AddField(
            model_name='priceoverride',
            name='minimum',
            field=models.DecimalField(blank=True, decimal_places=10, help_text='Never less than this; empty: no minimum.', max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name='profilelocation',
            name='announced_at',
            field=models.DateTimeField(blank=True, help_text='When its end at this location was announced.', null=True),
        ),
        migrations.AddField(
            model_name='profilelocation',
            name='backup',
            field=models.DecimalField(blank=True, decimal_places=10, help_text='A month, where it is switched on.', max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name='profilelocation',
            name='included_traffic',
            field=models.BigIntegerField(default=0, help_text='Bytes a month.'),
        ),
        migrations.AddField(
            model_name='profilelocation',
            name='primary_ip',
            field=models.DecimalField(blank=True, decimal_places=10, help_text='A public IPv4 address, a month.', max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name='profilelocation',
            name='recommended',
            field=models.BooleanField(default=False, help_text="The provider's hint."),
        ),
        migrations.AddField(
            model_name='profilelocation',
            name='setup',
            field=models.DecimalField(decimal_places=10, default=0, max_digits=20),
        ),
        migrations.AddField(
            model_name='provideraccount',
            name='connection',
            field=models.JSONField(blank=True, default=dict, help_text='Ansible connection variables of new servers besides their address.'),
        ),
        migrations.AddField(
            model_name='provideraccount',
            name='image',
            field=models.CharField(default='debian-13', help_text='System image of new servers.', max_length=63),
        ),
        migrations.AddField(
            model_name='provideraccount',
            name='profiles_checked_at',
            field=models.DateTimeField(blank=True, help_text='When server types, prices and availability were last told.', null=True),
        ),
        migrations.AddField(
            model_name='provideraccount',
            name='profiles_error',
            field=models.TextField(blank=True, help_text='Why they could not be asked; availability is unknown.'),
        ),
        migrations.AddField(
            model_name='provideraccount',
            name='profiles_error_code',
            field=models.CharField(blank=True, max_length=30),
        ),
        migrations.AddField(
            model_name='provideraccount',
            name='server_limit',
            field=models.PositiveIntegerField(blank=True, help_text='Servers the provider allows in this project; no API tells it. Empty: unknown.', null=True),
        ),
        migrations.AddField(
            model_name='provideraccount',
            name='ssh_key',
            field=models.ForeignKey(blank=True, help_text='Key with which new servers are reached.', null=True, on_delete=django.db.models.deletion.PROTECT, to='workspaces.sshkey'),
        ),
        migrations.AddField(
            model_name='workspace',
            name='provider_account',
            field=models.ForeignKey(blank=True, help_text="Where new hosts are ordered. Empty: where its hosts are, else the organization's only account.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='workspaces', to='workspaces.provideraccount'),
        ),
        migrations.AlterField(
            model_name='computeprofile',
            name='active',
            field=models.BooleanField(default=True, help_text='Whether it is offered for new hosts.'),
        ),
        migrations.AlterField(
            model_name='profilelocation',
            name='traffic',
            field=models.DecimalField(decimal_places=10, default=0, help_text='Per TB beyond the included.', max_digits=20),
        ),
        migrations.AddConstraint(
            model_name='priceoverride',
            constraint=models.CheckConstraint(condition=models.Q(('minimum', None), ('minimum__gte', 0), _connector='OR'), name='minimum_not_negative'),
        ),
        migrations.AddField(
            model_name='leftserver',
            name='provider_account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='left_servers', to='workspaces.provideraccount'),
        ),
        migrations.AddConstraint(
            model_name='leftserver',
            constraint=models.UniqueConstraint(fields=('provider_account', 'provider_id'), name='left_server_once'),
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
