"""Every change of a watched table becomes an event, written by the database itself.

`workspaces_watch(table, noun, observed, secret, on, when)` puts the trigger on a table: `observed` columns are what
reconciliation sees or a lease needs, their changes leave no event; of `secret` columns the event says only that they
changed. A later migration that adds a table calls it too; tests/models/test_audit.py knows which tables need no trigger.
"""

from django.db import migrations

FUNCTIONS = r"""
CREATE FUNCTION workspaces_record_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noun text := TG_ARGV[0];
    secret text[] := TG_ARGV[2]::text[];
    was jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) - TG_ARGV[1]::text[] END;
    is_now jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE to_jsonb(NEW) - TG_ARGV[1]::text[] END;
    this jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    acting jsonb := nullif(current_setting('loopback.acting', true), '')::jsonb;
    verb text := CASE TG_OP WHEN 'INSERT' THEN 'added' WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END;
    changes jsonb;
    operation uuid := CASE TG_TABLE_NAME WHEN 'workspaces_operation' THEN this->>'id' ELSE this->>'operation_id' END;
    workspace uuid := CASE TG_TABLE_NAME WHEN 'workspaces_workspace' THEN this->>'id' ELSE this->>'workspace_id' END;
    project uuid := CASE TG_TABLE_NAME WHEN 'workspaces_project' THEN this->>'id' ELSE this->>'project_id' END;
    organization uuid := CASE TG_TABLE_NAME WHEN 'workspaces_organization' THEN this->>'id' ELSE this->>'organization_id' END;
    name text;
BEGIN
    SELECT jsonb_object_agg(key, CASE
               WHEN key = ANY (secret) THEN to_jsonb('changed'::text)
               ELSE jsonb_build_array(was->key, is_now->key) END)
      INTO changes
      FROM jsonb_object_keys(was || is_now) AS key
     WHERE was->key IS DISTINCT FROM is_now->key
       AND NOT (TG_OP = 'INSERT' AND (is_now->key) IN ('null', '""', '{}', '[]'));

    IF workspace IS NULL AND operation IS NOT NULL THEN
        SELECT workspace_id INTO workspace FROM workspaces_operation WHERE id = operation;
    END IF;
    IF project IS NULL AND workspace IS NOT NULL THEN
        SELECT project_id INTO project FROM workspaces_workspace WHERE id = workspace;
    END IF;
    IF organization IS NULL AND project IS NOT NULL THEN
        SELECT organization_id INTO organization FROM workspaces_project WHERE id = project;
    END IF;
    IF organization IS NULL AND this ? 'agreement_id' THEN
        SELECT organization_id INTO organization FROM workspaces_billingagreement
         WHERE id = (this->>'agreement_id')::uuid;
    END IF;
    name := coalesce(
        nullif(this->>'title', ''), this->>'name', this->>'email', this->>'number', this->>'clause',
        (SELECT email FROM workspaces_account
          WHERE id = coalesce(this->>'account_id', this->>'user_id')::uuid),
        (SELECT w.name FROM workspaces_workspace w WHERE w.id = workspace),
        this->>'version',
        (SELECT v.version FROM workspaces_kubernetesversion v WHERE v.id::text = this->>'kubernetesversion_id'),
        left(coalesce(this->>'id', ''), 8));

    INSERT INTO workspaces_event (at, actor_kind, actor_name, actor_id, action, organization_id, project_id,
                                  workspace_id, operation_id, request_id, "table", row_id, summary, changes)
    VALUES (clock_timestamp(),
            coalesce(acting #>> '{actor,kind}', 'database'),
            coalesce(acting #>> '{actor,name}', 'Database user ' || session_user),
            (acting #>> '{actor,account_id}')::uuid,
            lower(replace(noun, ' ', '_')) || '.' || verb,
            organization, project, workspace,
            coalesce(operation, (acting->>'operation_id')::uuid),
            (acting->>'request_id')::uuid,
            TG_TABLE_NAME, left(coalesce(this->>'id', this->>'workspace_id'), 40),
            CASE TG_OP
                WHEN 'UPDATE' THEN 'Changed ' || (
                    SELECT string_agg(replace(regexp_replace(key, '_id$', ''), '_', ' '), ', ' ORDER BY key)
                      FROM jsonb_object_keys(changes) AS key) || ' of ' || noun || ' ' || name
                ELSE initcap(verb) || ' ' || noun || ' ' || name END,
            coalesce(changes, '{}'));
    RETURN NULL;
END $$;

CREATE FUNCTION workspaces_watch(
    watched text, noun text, observed text[] DEFAULT '{}', secret text[] DEFAULT '{}',
    events text DEFAULT 'INSERT UPDATE DELETE', condition text DEFAULT 'true'
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    event text;
BEGIN
    FOREACH event IN ARRAY string_to_array(events, ' ') LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER %s ON %I FOR EACH ROW %s EXECUTE FUNCTION workspaces_record_change(%L, %L, %L)',
            'record_' || lower(event), event, watched,
            CASE event WHEN 'UPDATE' THEN format(
                'WHEN (to_jsonb(OLD) - %1$L::text[] IS DISTINCT FROM to_jsonb(NEW) - %1$L::text[] AND (%2$s))',
                observed, condition) ELSE '' END,
            noun, observed, secret);
    END LOOP;
END $$;
"""

# A step moves an operation between these states many times; they are one thing to the trail: it is open.
ENDED_OR_MORE = """
    (OLD.state IN ('pending', 'running', 'waiting')) IS DISTINCT FROM (NEW.state IN ('pending', 'running', 'waiting'))
    OR to_jsonb(OLD) - '{state,started_at,finished_at,irreversible_since,lease_token,lease_until,wake_at,dispatched_at}'::text[]
    IS DISTINCT FROM
    to_jsonb(NEW) - '{state,started_at,finished_at,irreversible_since,lease_token,lease_until,wake_at,dispatched_at}'::text[]
"""

WATCHED = [
    # table, noun, observed, secret
    ("account", "account", "last_login", "password"),
    ("organization", "organization", "", ""),
    ("project", "project", "", ""),
    ("membership", "membership", "", ""),
    ("invitation", "invitation", "", "digest"),
    ("apikey", "API key", "last_used_at", "digest"),
    (
        "workspace",
        "workspace",
        "kubernetes_version,version_key,control_plane_status,control_plane_wanted,control_plane_paused,"
        "control_plane_replicas,endpoint,kubelet_versions,host_count,hosts_ready,look_error_code,look_error,conditions,"
        "attention,attention_tone,observed_at",
        "",
    ),
    ("transfer", "transfer", "prediction", ""),
    ("kubeconfig", "kubeconfig", "", "document"),
    ("maintenanceplan", "maintenance plan", "updated_at", ""),
    ("hold", "hold", "", ""),
    ("advisory", "advisory", "", ""),
    ("advisory_versions", "version of advisory", "", ""),
    ("kubernetesversion", "Kubernetes version", "", ""),
    ("managementcluster", "management cluster", "version,observed_at,error_code,error_message,error_since", "kubeconfig"),
    ("provideraccount", "provider account", "observed_at,error_code,error_message,error_since", "token"),
    ("sshkey", "SSH key", "", "private_key"),
    (
        "host",
        "host",
        "provider_status,kubelet_version,ready,ready_message,unschedulable,os_name,boot_id,observed_at",
        "",
    ),
    ("dnsrecord", "DNS record", "observed_value,observed_at", ""),
    ("integration", "integration", "", "secret"),
    ("computeprofile", "compute profile", "synced_at", ""),
    ("profilelocation", "profile location", "available,checked_at", ""),
    ("billingagreement", "agreement", "", ""),
    ("priceoverride", "agreement clause", "", ""),
    ("account_groups", "staff group of account", "", ""),
    ("account_user_permissions", "staff permission of account", "", ""),
]
# Histories of their own, which only grow: that a line of them disappears is what the trail must know.
HISTORIES = [("step", "step"), ("logline", "log line"), ("decision", "decision")]


def literal(text):
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def watch(table, noun, observed="", secret="", events="INSERT UPDATE DELETE", condition="true"):
    """The call that puts the triggers on a table."""
    columns = f"{literal('{' + observed + '}')}, {literal('{' + secret + '}')}"
    return f"SELECT workspaces_watch({literal(table)}, {literal(noun)}, {columns}, {literal(events)}, {literal(condition)});"


SQL = [
    FUNCTIONS,
    *(watch(f"workspaces_{table}", *rest) for table, *rest in WATCHED),
    watch(
        "workspaces_operation",
        "operation",
        "lease_token,lease_until,wake_at,dispatched_at",
        condition=ENDED_OR_MORE,
    ),
    *(watch(f"workspaces_{table}", noun, events="DELETE") for table, noun in HISTORIES),
    watch("auth_group", "staff group"),
    watch("auth_group_permissions", "permission of staff group"),
]


class Migration(migrations.Migration):
    """Adds the functions and the triggers."""

    dependencies = [("workspaces", "0003_access"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]
