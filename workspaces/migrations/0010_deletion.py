"""Deletion: policies, what is scheduled and its receipt, what a worker saw; kubeconfigs that can be revoked."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import uuid
import workspaces.models.deletion
from django.db import migrations, models


SQL = [
    "SELECT workspaces_watch('workspaces_deletionpolicy', 'deletion policy', '{}', '{}')",
    "SELECT workspaces_watch('workspaces_deletion', 'deletion', '{plan,receipt}', '{}')",
]


class Migration(migrations.Migration):

    dependencies = [
        ('workspaces', '0009_reconciliation'),
    ]

    operations = [
        migrations.CreateModel(
            name='Deletion',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('scheduled', 'Scheduled'), ('undone', 'Undone'), ('running', 'Running'), ('done', 'Done'), ('forgotten', 'Forgotten')], default='scheduled', max_length=10)),
                ('requested_by', models.CharField(max_length=150)),
                ('requested_by_kind', models.CharField(default='account', max_length=10)),
                ('requested_by_id', models.UUIDField(blank=True, null=True)),
                ('requested_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('begins_at', models.DateTimeField()),
                ('needs_approval', models.BooleanField(default=False)),
                ('approved_by', models.CharField(blank=True, max_length=150)),
                ('approved_by_id', models.UUIDField(blank=True, null=True)),
                ('approved_at', models.DateTimeField(blank=True, null=True)),
                ('plan', models.JSONField(default=dict)),
                ('state_before', models.CharField(max_length=20)),
                ('reason_before', models.CharField(blank=True, max_length=300)),
                ('undone_by', models.CharField(blank=True, max_length=150)),
                ('undone_at', models.DateTimeField(blank=True, null=True)),
                ('receipt', models.JSONField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('-requested_at',),
            },
        ),
        migrations.CreateModel(
            name='DeletionPolicy',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('steps', models.JSONField(default=workspaces.models.deletion.default_steps, help_text='In order: a step and delete or keep.')),
                ('grace_hours', models.PositiveSmallIntegerField(default=workspaces.models.deletion.default_grace, help_text='Between the asking and the first step, 0 to 720; until then it can be undone.', validators=[django.core.validators.MaxValueValidator(720)])),
                ('second_person', models.BooleanField(default=False, help_text='Another administrator has to agree. It prevents accidents; it is no protection against intent.')),
            ],
            options={
                'verbose_name_plural': 'deletion policies',
            },
        ),
        migrations.CreateModel(
            name='Inventory',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('looked_at', models.DateTimeField(blank=True, null=True)),
                ('found', models.JSONField(blank=True, default=list)),
                ('not_asked', models.JSONField(blank=True, default=list)),
                ('error', models.CharField(blank=True, help_text='Why the last look broke off.', max_length=300)),
            ],
            options={
                'verbose_name_plural': 'inventories',
            },
        ),
        migrations.RemoveConstraint(
            model_name='workspace',
            name='workspace_name_once_per_project',
        ),
        migrations.RemoveConstraint(
            model_name='workspace',
            name='workspace_once_per_control_plane',
        ),
        migrations.AddField(
            model_name='kubeconfig',
            name='revocation_asked_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='kubeconfig',
            name='revocation_failure',
            field=models.CharField(blank=True, help_text='Why it could not be revoked yet.', max_length=300),
        ),
        migrations.AddField(
            model_name='kubeconfig',
            name='revoked_by',
            field=models.CharField(blank=True, max_length=150),
        ),
        migrations.AddField(
            model_name='kubeconfig',
            name='service_account',
            field=models.CharField(blank=True, help_text='Name of the ServiceAccount in its cluster; without it the token is dead.', max_length=63),
        ),
        migrations.AlterField(
            model_name='kubeconfig',
            name='certificate_until',
            field=models.DateTimeField(blank=True, help_text='End of its client certificate or token.', null=True),
        ),
        migrations.AlterField(
            model_name='kubeconfig',
            name='kind',
            field=models.CharField(choices=[('admin', 'Full rights, client certificate'), ('service_account', 'Full rights, can be revoked')], default='admin', max_length=20),
        ),
        migrations.AddConstraint(
            model_name='workspace',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'deleted'), _negated=True), fields=('project', 'name'), name='workspace_name_once_per_project'),
        ),
        migrations.AddConstraint(
            model_name='workspace',
            constraint=models.UniqueConstraint(condition=models.Q(models.Q(('control_plane', ''), _negated=True), models.Q(('state', 'deleted'), _negated=True)), fields=('management_cluster', 'namespace', 'control_plane'), name='workspace_once_per_control_plane'),
        ),
        migrations.AddField(
            model_name='deletion',
            name='operation',
            field=models.OneToOneField(blank=True, help_text='Once it has begun.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deletion', to='workspaces.operation'),
        ),
        migrations.AddField(
            model_name='deletion',
            name='workspace',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deletions', to='workspaces.workspace'),
        ),
        migrations.AddField(
            model_name='deletionpolicy',
            name='organization',
            field=models.OneToOneField(blank=True, help_text='Empty: every organization without a policy of its own.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='deletion_policy', to='workspaces.organization'),
        ),
        migrations.AddField(
            model_name='inventory',
            name='workspace',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='inventory', to='workspaces.workspace'),
        ),
        migrations.AddIndex(
            model_name='deletion',
            index=models.Index(condition=models.Q(('state', 'scheduled')), fields=['begins_at'], name='deletion_scheduled_by_begin'),
        ),
        migrations.AddConstraint(
            model_name='deletion',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['scheduled', 'undone', 'running', 'done', 'forgotten'])), name='deletion_state_known'),
        ),
        migrations.AddConstraint(
            model_name='deletion',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('scheduled', 'running'))), fields=('workspace',), name='one_open_deletion_per_workspace'),
        ),
        migrations.AddConstraint(
            model_name='deletionpolicy',
            constraint=models.UniqueConstraint(models.Value(True), condition=models.Q(('organization', None)), name='one_deletion_policy_of_the_platform'),
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
