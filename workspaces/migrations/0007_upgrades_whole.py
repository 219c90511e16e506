"""Upgrades, whole: what steps wait for and who skipped them, preflights, rollouts."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models

# What became of a rollout is seen, and told by the acts of its upgrades; what was asked for, and by whom, is the trail's.
SQL = ["SELECT workspaces_watch('workspaces_rollout', 'rollout', '{canary_passed_at,finished_at,failures_forgiven}')"]


class Migration(migrations.Migration):

    dependencies = [
        ('workspaces', '0006_maintenance_whole'),
    ]

    operations = [
        migrations.AddField(
            model_name='step',
            name='cause',
            field=models.CharField(blank=True, help_text='Code of why it waits or failed.', max_length=40),
        ),
        migrations.AddField(
            model_name='step',
            name='hop',
            field=models.PositiveSmallIntegerField(default=0, help_text='Which upgrade of several, from 1; 0: none.'),
        ),
        migrations.AddField(
            model_name='step',
            name='skipped_by',
            field=models.CharField(blank=True, help_text='Who left it out; the message says why.', max_length=150),
        ),
        migrations.AddField(
            model_name='step',
            name='who_can_fix',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.CreateModel(
            name='Rollout',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('title', models.CharField(max_length=200)),
                ('target', models.CharField(max_length=30)),
                ('several_hops', models.BooleanField(default=False, help_text='Workspaces further away go through several versions.')),
                ('canary', models.PositiveSmallIntegerField(default=1)),
                ('at_once', models.PositiveSmallIntegerField(default=3)),
                ('stop_after', models.PositiveSmallIntegerField(default=1, help_text='Failures after which it pauses.')),
                ('soak_minutes', models.PositiveIntegerField(default=0)),
                ('accept_risks', models.JSONField(blank=True, default=list)),
                ('state', models.CharField(choices=[('running', 'Running'), ('paused', 'Paused'), ('stopped', 'Stopped'), ('finished', 'Finished')], default='running', max_length=12)),
                ('state_reason', models.CharField(blank=True, max_length=300)),
                ('failures_forgiven', models.PositiveIntegerField(default=0)),
                ('requested_by', models.CharField(max_length=150)),
                ('requested_by_kind', models.CharField(max_length=10)),
                ('requested_by_id', models.UUIDField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('canary_passed_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('-created_at',),
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['running', 'paused', 'stopped', 'finished'])), name='rollout_state_known'), models.CheckConstraint(condition=models.Q(('at_once__gte', 1)), name='rollout_starts_something')],
            },
        ),
        migrations.CreateModel(
            name='Preflight',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('target', models.CharField(max_length=30)),
                ('asked_by', models.CharField(max_length=150)),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('checks', models.JSONField(blank=True, default=list)),
                ('blast', models.JSONField(blank=True, default=dict)),
                ('error', models.CharField(blank=True, help_text='Why the look broke off.', max_length=300)),
                ('operation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='preflights', to='workspaces.operation')),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='preflights', to='workspaces.workspace')),
            ],
            options={
                'ordering': ('-asked_at',),
                'indexes': [models.Index(fields=['workspace', 'target', '-asked_at'], name='preflight_newest')],
            },
        ),
        migrations.CreateModel(
            name='RolloutMember',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('position', models.PositiveIntegerField()),
                ('canary', models.BooleanField(default=False)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Upgrading'), ('succeeded', 'Upgraded'), ('failed', 'Failed'), ('refused', 'Refused'), ('left_out', 'Left out')], default='waiting', max_length=10)),
                ('message', models.TextField(blank=True)),
                ('operation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='rollout_members', to='workspaces.operation')),
                ('rollout', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='members', to='workspaces.rollout')),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rollout_members', to='workspaces.workspace')),
            ],
            options={
                'ordering': ('position',),
                'indexes': [models.Index(fields=['operation'], name='rollout_member_by_operation'), models.Index(condition=models.Q(('state', 'running')), fields=['rollout'], name='rollout_member_running')],
                'constraints': [models.UniqueConstraint(fields=('rollout', 'workspace'), name='rollout_member_once'), models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'running', 'succeeded', 'failed', 'refused', 'left_out'])), name='rollout_member_state_known')],
            },
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
