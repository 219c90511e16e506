"""Looks and their pace, seeding, drift, what is wanted of control planes and servers, and how long the queues were."""

import django.db.models.deletion
import django.utils.timezone
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
        "workspace",
        "workspace",
        "kubernetes_version,version_key,control_plane_status,control_plane_wanted,control_plane_paused,"
        "control_plane_replicas,endpoint,kubelet_versions,host_count,hosts_ready,look_error_code,look_error,conditions,"
        "attention,attention_tone,observed_at,control_plane_revision,kubeconfig_secret,credential_ends_at,looked_every,wanted",
    ),
    *_again(
        "host",
        "host",
        "provider_status,kubelet_version,ready,ready_message,unschedulable,os_name,disk_gb,boot_id,observed_at,"
        "updated_at,held_back,restart_needed,wanted",
    ),
    *_again(
        "managementcluster",
        "management cluster",
        "version,observed_at,error_code,error_message,error_since,credential_ends_at",
        "kubeconfig",
    ),
    "SELECT workspaces_watch('workspaces_seedmanifest', 'manifest', '{changed_at}', '{}')",
]


class Migration(migrations.Migration):

    dependencies = [
        ('workspaces', '0008_prices_and_hosts'),
    ]

    operations = [
        migrations.AddField(
            model_name='dnsrecord',
            name='ttl',
            field=models.PositiveIntegerField(blank=True, help_text='Seconds. Empty: as the zone says.', null=True),
        ),
        migrations.AddField(
            model_name='host',
            name='wanted',
            field=models.JSONField(blank=True, default=dict, help_text='What its server is to be; empty: as first seen.'),
        ),
        migrations.AddField(
            model_name='managementcluster',
            name='credential_ends_at',
            field=models.DateTimeField(blank=True, help_text='When the client certificate of the kubeconfig ends, as seen. Empty: a token.', null=True),
        ),
        migrations.AddField(
            model_name='workspace',
            name='control_plane_revision',
            field=models.CharField(blank=True, help_text='resourceVersion of the TenantControlPlane that all of this is from.', max_length=40),
        ),
        migrations.AddField(
            model_name='workspace',
            name='credential_ends_at',
            field=models.DateTimeField(blank=True, help_text='When the certificate ends with which Kamaji lets us in, as seen.', null=True),
        ),
        migrations.AddField(
            model_name='workspace',
            name='kubeconfig_secret',
            field=models.CharField(blank=True, help_text='Name of the Secret with the administrator kubeconfig, as Kamaji says.', max_length=253),
        ),
        migrations.AddField(
            model_name='workspace',
            name='looked_every',
            field=models.PositiveIntegerField(default=0, help_text='Seconds between two looks, where the fleet is too large for the usual period.'),
        ),
        migrations.AddField(
            model_name='workspace',
            name='wanted',
            field=models.JSONField(blank=True, default=dict, help_text='What its control plane is to be; empty: as seen.'),
        ),
        migrations.AlterField(
            model_name='dnsrecord',
            name='observed_at',
            field=models.DateTimeField(blank=True, help_text='When it was last seen to change.', null=True),
        ),
        migrations.CreateModel(
            name='QueueSample',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('queue', models.CharField(max_length=40)),
                ('depth', models.PositiveIntegerField(help_text='Jobs that waited.')),
                ('oldest_seconds', models.PositiveIntegerField(default=0, help_text='How long the oldest had waited.')),
                ('running', models.PositiveIntegerField(default=0)),
                ('workers', models.PositiveIntegerField(default=0, help_text='Living workers that serve it.')),
            ],
            options={
                'ordering': ('at',),
                'constraints': [models.UniqueConstraint(fields=('at', 'queue'), name='queue_sample_once_a_minute')],
            },
        ),
        migrations.CreateModel(
            name='SeedManifest',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63, unique=True)),
                ('description', models.CharField(blank=True, max_length=200)),
                ('content', models.TextField(help_text='YAML, one or more documents. No Secrets: this text is not encrypted.')),
                ('revision', models.PositiveIntegerField(default=1, editable=False, help_text='Counts the changes of the content.')),
                ('phase', models.CharField(choices=[('control_plane', 'Once its API answers'), ('hosts', 'Once a host is ready')], default='control_plane', help_text='When a cluster gets it: as soon as its API answers, or once a host is ready.', max_length=20)),
                ('versions', models.CharField(blank=True, help_text='Kubernetes versions, such as >=1.34.0 <1.36.0. Empty: all.', max_length=100)),
                ('protected', models.BooleanField(default=False, help_text='What differs cannot be accepted, and the manifest cannot be withdrawn or deleted.')),
                ('gates', models.BooleanField(default=False, help_text='A workspace is gated until it has converged.')),
                ('active', models.BooleanField(default=True, help_text='A withdrawn manifest is applied no more; objects stay.')),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('organization', models.ForeignKey(blank=True, help_text='Empty: clusters of all organizations.', null=True, on_delete=django.db.models.deletion.PROTECT, to='workspaces.organization')),
            ],
            options={
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='Drift',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('control_plane', 'Control plane'), ('host', 'Cloud server'), ('node', 'Node'), ('dns', 'DNS record'), ('seed', 'Seeded object')], max_length=20)),
                ('ref', models.CharField(blank=True, max_length=36)),
                ('subject', models.CharField(help_text='What a person calls it.', max_length=300)),
                ('field', models.CharField(max_length=300)),
                ('wanted', models.JSONField(blank=True, null=True)),
                ('seen', models.JSONField(blank=True, null=True)),
                ('actor', models.CharField(blank=True, help_text='Who changed it, as the API tells. Empty: unknown.', max_length=200)),
                ('actor_at', models.DateTimeField(blank=True, help_text='When, as the API tells.', null=True)),
                ('policy', models.CharField(choices=[('repair', 'Repaired by itself'), ('decide', 'Needs a decision'), ('tell', 'Told only')], max_length=10)),
                ('reason', models.CharField(blank=True, help_text='Why it is not repaired by itself.', max_length=300)),
                ('since', models.DateTimeField(help_text='When a look first saw it.')),
                ('repairs', models.PositiveIntegerField(default=0, help_text='How often it was set back, in this row and before it.')),
                ('repaired_at', models.DateTimeField(blank=True, null=True)),
                ('fought', models.BooleanField(default=False, help_text='Somebody changes it back each time it is set back.')),
                ('decision', models.CharField(blank=True, choices=[('accept', 'Accepted'), ('converge', 'To be set back')], max_length=10)),
                ('decided_by', models.CharField(blank=True, max_length=150)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.TextField(blank=True, help_text='Why the last repair failed.')),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('ending', models.CharField(blank=True, choices=[('repaired', 'Set back'), ('accepted', 'Accepted'), ('gone', 'Went away by itself')], max_length=10)),
                ('host', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='drifts', to='workspaces.host')),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='drifts', to='workspaces.workspace')),
            ],
            options={
                'ordering': ('subject', 'field'),
                'indexes': [models.Index(fields=['workspace', '-since'], name='drift_by_workspace'), models.Index(condition=models.Q(('ended_at', None)), fields=['policy'], name='drift_open'), models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['ended_at'], name='drift_ended')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('workspace', 'kind', 'ref', 'field'), name='drift_open_once')],
            },
        ),
        migrations.CreateModel(
            name='Look',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('control_planes', 'Control planes'), ('servers', 'Cloud servers'), ('dns', 'DNS records'), ('cluster', 'Cluster and hosts'), ('seeding', 'Seeding')], max_length=20)),
                ('every', models.FloatField(help_text='Seconds between two looks, as long as it answers.')),
                ('due_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('tried_at', models.DateTimeField(blank=True, help_text='When the last look began.', null=True)),
                ('succeeded_at', models.DateTimeField(blank=True, help_text='When the last look that saw something began.', null=True)),
                ('milliseconds', models.PositiveIntegerField(blank=True, help_text='What the last look took.', null=True)),
                ('failures', models.PositiveIntegerField(default=0, help_text='In a row.')),
                ('felt', models.BooleanField(default=False, help_text='What it was to see is unknown: it failed for good, or more than once in a row.')),
                ('failing_since', models.DateTimeField(blank=True, null=True)),
                ('error_code', models.CharField(blank=True, max_length=30)),
                ('error', models.TextField(blank=True)),
                ('who_can_fix', models.CharField(blank=True, max_length=200)),
                ('samples', models.JSONField(blank=True, default=list)),
                ('management_cluster', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='looks', to='workspaces.managementcluster')),
                ('provider_account', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='looks', to='workspaces.provideraccount')),
                ('workspace', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='looks', to='workspaces.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['due_at'], name='look_due')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('management_cluster__isnull', False), ('provider_account', None), ('workspace', None)), models.Q(('management_cluster', None), ('provider_account__isnull', False), ('workspace', None)), models.Q(('management_cluster', None), ('provider_account', None), ('workspace__isnull', False)), _connector='OR'), name='look_has_one_target'), models.UniqueConstraint(condition=models.Q(('management_cluster__isnull', False)), fields=('management_cluster', 'kind'), name='look_once_per_cluster'), models.UniqueConstraint(condition=models.Q(('provider_account__isnull', False)), fields=('provider_account', 'kind'), name='look_once_per_account'), models.UniqueConstraint(condition=models.Q(('workspace__isnull', False)), fields=('workspace', 'kind'), name='look_once_per_workspace')],
            },
        ),
        migrations.CreateModel(
            name='Seed',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('object', models.CharField(help_text='apiVersion kind namespace/name', max_length=300)),
                ('left', models.JSONField(blank=True, default=list, help_text="Fields left to others, by a person's decision.")),
                ('revision', models.PositiveIntegerField(default=0, help_text='Of the manifest, as last applied; 0: never.')),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('applied', 'As wanted'), ('conflict', 'Conflict'), ('failed', 'Failed')], default='pending', max_length=20)),
                ('message', models.TextField(blank=True)),
                ('conflicts', models.JSONField(blank=True, default=list, help_text='field, manager: who holds what we want to set.')),
                ('state_since', models.DateTimeField(blank=True, null=True)),
                ('applied_at', models.DateTimeField(blank=True, null=True)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='seeds', to='workspaces.workspace')),
                ('manifest', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='seeds', to='workspaces.seedmanifest')),
            ],
            options={
                'ordering': ('manifest__name', 'object'),
                'constraints': [models.UniqueConstraint(fields=('workspace', 'manifest', 'object'), name='seed_once')],
            },
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
