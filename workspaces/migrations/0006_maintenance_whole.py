"""Windows that are kept: waiting decisions, windows of operations, lifted holds, installed packages, feeds."""

import django.db.models.deletion
import django.utils.timezone
import uuid
import workspaces.models.advisory
from django.conf import settings
from django.db import migrations, models


# What is seen on a host grew; `reconcile` and runs write these, and the trail does not repeat them.
SQL = [
    *(f"DROP TRIGGER record_{verb} ON workspaces_host" for verb in ("insert", "update", "delete")),
    "SELECT workspaces_watch('workspaces_host', 'host', '{provider_status,kubelet_version,ready,ready_message,"
    "unschedulable,os_name,boot_id,observed_at,updated_at,held_back,restart_needed}')",
    "SELECT workspaces_watch('workspaces_calendarfeed', 'calendar feed', '{last_read_at}', '{digest}')",
    "SELECT workspaces_watch('workspaces_packageupdate', 'package update', '{}', '{}', 'DELETE')",
]


class Migration(migrations.Migration):

    dependencies = [
        ('workspaces', '0005_sign_in_changes_become_events'),
    ]

    operations = [
        migrations.CreateModel(
            name='CalendarFeed',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('made_by_name', models.CharField(max_length=150)),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('last_read_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='PackageUpdate',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('host_name', models.CharField(max_length=63)),
                ('package', models.CharField(max_length=128)),
                ('from_version', models.CharField(blank=True, help_text='Empty: it was not there before.', max_length=128)),
                ('to_version', models.CharField(max_length=128)),
                ('security', models.BooleanField(default=False)),
                ('installed_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ('host_name', 'package'),
            },
        ),
        migrations.CreateModel(
            name='Tick',
            fields=[
                ('name', models.CharField(max_length=30, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.AlterModelOptions(
            name='hold',
            options={'ordering': ('-set_at',)},
        ),
        migrations.RemoveConstraint(
            model_name='decision',
            name='decision_outcome_known',
        ),
        migrations.AddField(
            model_name='hold',
            name='lifted_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='hold',
            name='lifted_by_name',
            field=models.CharField(blank=True, max_length=150),
        ),
        migrations.AddField(
            model_name='hold',
            name='set_by_name',
            field=models.CharField(blank=True, max_length=150),
        ),
        migrations.AddField(
            model_name='host',
            name='held_back',
            field=models.JSONField(blank=True, default=list, help_text='Packages on hold that have a newer version.'),
        ),
        migrations.AddField(
            model_name='host',
            name='restart_needed',
            field=models.BooleanField(blank=True, help_text='Empty: not known.', null=True),
        ),
        migrations.AddField(
            model_name='host',
            name='updated_at',
            field=models.DateTimeField(blank=True, help_text='When package updates were last installed.', null=True),
        ),
        migrations.AddField(
            model_name='operation',
            name='lane',
            field=models.CharField(blank=True, max_length=10),
        ),
        migrations.AddField(
            model_name='operation',
            name='pause_reason',
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddField(
            model_name='operation',
            name='window_opens_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='advisory',
            name='packages',
            field=models.JSONField(blank=True, default=list, help_text='Package names; “*” is every security update.', validators=[workspaces.models.advisory.package_names]),
        ),
        migrations.AlterField(
            model_name='decision',
            name='outcome',
            field=models.CharField(choices=[('waiting', 'Waiting'), ('started', 'Started'), ('nothing', 'Nothing to do'), ('blocked', 'Blocked'), ('missed', 'Missed')], max_length=20),
        ),
        migrations.AlterField(
            model_name='hold',
            name='set_by',
            field=models.ForeignKey(blank=True, help_text='Empty: a script did.', null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(fields=['-opens_at', '-id'], name='decision_newest'),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(condition=models.Q(('outcome', 'waiting')), fields=['opens_at'], name='decision_waiting'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['waiting', 'started', 'nothing', 'blocked', 'missed'])), name='decision_outcome_known'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.CheckConstraint(condition=models.Q(('operation', None), ('outcome', 'started'), _connector='OR'), name='decision_with_operation_started'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('organization', None), ('project', None)), models.Q(('organization', None), ('workspace', None)), models.Q(('project', None), ('workspace', None)), _connector='OR'), name='hold_on_one_place'),
        ),
        migrations.AddField(
            model_name='calendarfeed',
            name='project',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='calendar_feed', to='workspaces.project'),
        ),
        migrations.AddField(
            model_name='packageupdate',
            name='host',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='package_updates', to='workspaces.host'),
        ),
        migrations.AddField(
            model_name='packageupdate',
            name='operation',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='package_updates', to='workspaces.operation'),
        ),
        migrations.AddField(
            model_name='packageupdate',
            name='workspace',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='package_updates', to='workspaces.workspace'),
        ),
        migrations.AddIndex(
            model_name='packageupdate',
            index=models.Index(fields=['workspace', '-installed_at'], name='package_update_newest'),
        ),
        migrations.AddConstraint(
            model_name='packageupdate',
            constraint=models.UniqueConstraint(fields=('operation', 'host_name', 'package', 'to_version'), name='package_update_told_once'),
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
