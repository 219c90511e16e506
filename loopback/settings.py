"""All settings, in one file, read from the environment.

What may be set is listed in README.md ("Production"). Importing this module starts nothing: the embedded PostgreSQL and
Valkey are started by `manage.py demo` and by the test plugin, which set DATABASE_URL and REDIS_URL before Django loads.
"""

import os
from pathlib import Path
from typing import Any

import dj_database_url
from django.contrib.messages import constants as messages
from django.utils.csp import CSP

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str = "") -> str:
    """The variable's value, or `default` when it is unset or empty."""
    return os.environ.get(name) or default


def env_list(name: str) -> list[str]:
    """A comma-separated variable as a list without blanks."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def seconds(name: str, default: float) -> float:
    """A duration in seconds."""
    return float(env(name, str(default)))


DEBUG = env("DEBUG") == "1"
SECRET_KEY = env("SECRET_KEY", "development-only-key" if DEBUG else "")
# Newest first: the first key seals, all of them open (models/sealed.py).
LOOPBACK_ENCRYPTION_KEYS = env_list("LOOPBACK_ENCRYPTION_KEYS")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS") or (["127.0.0.1", "localhost"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django_htmx",
    "django_rq",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "ninja",
    "workspaces",
    "loopback",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "loopback.acting.ActingMiddleware",
    "workspaces.api.problems.ProblemsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "workspaces.views.sessions.LastSeen",
]

ROOT_URLCONF = "loopback.urls"
WSGI_APPLICATION = "loopback.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- Data -------------------------------------------------------------------------------------------------------------
DATABASES: dict[str, Any] = {
    "default": dj_database_url.config(default="postgresql:///loopback", conn_max_age=60, conn_health_checks=True)
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env("REDIS_URL", "redis://127.0.0.1:6379/0")
# One job is one step: the engine decides about retries and keeps the results, so RQ keeps neither.
_QUEUE = {"URL": REDIS_URL, "DEFAULT_RESULT_TTL": 0}
RQ_QUEUES = {
    "operations": _QUEUE | {"DEFAULT_TIMEOUT": 1200},
    "ticks": _QUEUE | {"DEFAULT_TIMEOUT": 300},
    "reconcile": _QUEUE | {"DEFAULT_TIMEOUT": 300},
}
RQ = {"WORKER_CLASS": "loopback.worker.StepWorker"}
RQ_SHOW_ADMIN_LINK = False
# Rate limits of the sign-in, and when sessions were last seen; nothing is lost for good when it is emptied.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# --- People -----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "workspaces.Account"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "fleet"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env("INSECURE_COOKIES") != "1" and not DEBUG
PASSWORD_RESET_TIMEOUT = 3600
# How many proxies in front of this server write X-Forwarded-For; the rate limits count by the address they name.
ALLAUTH_TRUSTED_PROXY_COUNT = int(env("LOOPBACK_TRUSTED_PROXIES", "0"))
ACCOUNT_ADAPTER = "workspaces.views.sign_in.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# Addresses are set by those who invite; nobody changes their own, so there is nothing to verify here.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/300s/key",
    "reauthenticate": "10/m/user",
    "change_password": "5/m/user",
    "reset_password": "20/m/ip,5/m/key",
    "reset_password_from_key": "20/m/ip",
}
MFA_ADAPTER = "workspaces.views.second_factor.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_PASSKEY_SIGNUP_ENABLED = False
MFA_TOTP_ISSUER = "Loopback"
MFA_TOTP_TOLERANCE = 1  # telephones' clocks run half a minute early or late
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RATE_LIMITS = {"webauthn_login": "10/m/ip"}
# Single sign-on: one OpenID provider, when its address is set.
SOCIALACCOUNT_ADAPTER = "workspaces.views.single_sign_on.SingleSignOnAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
LOOPBACK_OIDC_SERVER_URL = env("LOOPBACK_OIDC_SERVER_URL")
_OIDC = {
    "provider_id": "sso",
    "name": env("LOOPBACK_OIDC_NAME", "single sign-on"),
    "client_id": env("LOOPBACK_OIDC_CLIENT_ID"),
    "secret": env("LOOPBACK_OIDC_CLIENT_SECRET"),
    "settings": {"server_url": LOOPBACK_OIDC_SERVER_URL, "oauth_pkce_enabled": True},
}
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [_OIDC] if LOOPBACK_OIDC_SERVER_URL else []}}

# --- Mail -------------------------------------------------------------------------------------------------------------
# To a server when EMAIL_HOST is set, into files when LOOPBACK_MAIL_DIRECTORY is, else into the log.
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", "loopback@localhost")
LOOPBACK_MAIL_DIRECTORY = env("LOOPBACK_MAIL_DIRECTORY")
_MAIL = "django.core.mail.backends"
if env("EMAIL_HOST"):
    _MAILER: dict[str, Any] = {
        "BACKEND": f"{_MAIL}.smtp.EmailBackend",
        "OPTIONS": {
            "host": env("EMAIL_HOST"),
            "port": int(env("EMAIL_PORT", "25")),
            "username": env("EMAIL_HOST_USER"),
            "password": env("EMAIL_HOST_PASSWORD"),
            "use_tls": env("EMAIL_USE_TLS") == "1",
            "timeout": 10,
        },
    }
elif LOOPBACK_MAIL_DIRECTORY:
    _MAILER = {"BACKEND": f"{_MAIL}.filebased.EmailBackend", "OPTIONS": {"file_path": LOOPBACK_MAIL_DIRECTORY}}
else:
    _MAILER = {"BACKEND": f"{_MAIL}.console.EmailBackend"}
MAILERS = {"default": _MAILER}

# --- Pages ------------------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
# Moments in the admin carry their zone, dates are entered as YYYY-MM-DD.
FORMAT_MODULE_PATH = "workspaces.admin.formats"
# The tones of the toasts that show them.
MESSAGE_TAGS = {messages.SUCCESS: "ok", messages.INFO: "idle", messages.WARNING: "warn", messages.ERROR: "bad"}
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# The demo and the tests serve files from where they lie; production collects and hashes them once.
WHITENOISE_USE_FINDERS = DEBUG or env("STATIC_FINDERS") == "1"
STATIC_ROOT = None if WHITENOISE_USE_FINDERS else env("STATIC_ROOT", str(BASE_DIR / "staticfiles"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "style-src": [CSP.SELF],
    "script-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Operations -------------------------------------------------------------------------------------------------------
# A worker renews its lease every third of this; when it dies, another takes the step over after at most this long.
LOOPBACK_LEASE_SECONDS = seconds("LOOPBACK_LEASE_SECONDS", 20)
# How long a temporary failure is repeated before the operation stops and asks for a person.
LOOPBACK_PATIENCE_SECONDS = seconds("LOOPBACK_PATIENCE_SECONDS", 1800)
LOOPBACK_CONTROL_PLANE_DEADLINE = seconds("LOOPBACK_CONTROL_PLANE_DEADLINE", 1800)
LOOPBACK_DRAIN_DEADLINE = seconds("LOOPBACK_DRAIN_DEADLINE", 1200)
LOOPBACK_NODE_DEADLINE = seconds("LOOPBACK_NODE_DEADLINE", 600)
# How long updates wait for a host that does not answer before they go on without it.
LOOPBACK_SSH_PATIENCE_SECONDS = seconds("LOOPBACK_SSH_PATIENCE_SECONDS", 180)
LOOPBACK_PLAYBOOK_TIMEOUT = seconds("LOOPBACK_PLAYBOOK_TIMEOUT", 900)
# The pause of a step that waits for the world: how often the world is asked again.
LOOPBACK_POLL_SECONDS = seconds("LOOPBACK_POLL_SECONDS", 3)
# Automatic maintenance that may run at the same time: on the whole platform, and on one management cluster.
LOOPBACK_RUNS_AT_ONCE = int(env("LOOPBACK_RUNS_AT_ONCE", "50"))
LOOPBACK_RUNS_AT_ONCE_PER_CLUSTER = int(env("LOOPBACK_RUNS_AT_ONCE_PER_CLUSTER", "10"))
# How long after its hour a run may still begin with another host; then it pauses until its next window.
LOOPBACK_OVERRUN_SECONDS = seconds("LOOPBACK_OVERRUN_SECONDS", 3600)
# How often the scheduler looks at the windows.
LOOPBACK_MAINTENANCE_SECONDS = seconds("LOOPBACK_MAINTENANCE_SECONDS", 60)
# How often one API key may ask in a minute before it is answered 429.
LOOPBACK_API_REQUESTS_PER_MINUTE = int(env("LOOPBACK_API_REQUESTS_PER_MINUTE", "600"))
# How often control planes, servers, clusters and hosts are looked at, DNS zones, and seeded objects.
LOOPBACK_RECONCILE_SECONDS = seconds("LOOPBACK_RECONCILE_SECONDS", 60)
LOOPBACK_DNS_SECONDS = seconds("LOOPBACK_DNS_SECONDS", 300)
LOOPBACK_SEEDING_SECONDS = seconds("LOOPBACK_SEEDING_SECONDS", 600)
# Looks at single workspaces that may begin in a second, all together; a larger fleet is looked at less often.
LOOPBACK_LOOKS_PER_SECOND = seconds("LOOPBACK_LOOKS_PER_SECOND", 50)
# The longest pause between two looks at a target that does not answer.
LOOPBACK_BACKOFF_SECONDS = seconds("LOOPBACK_BACKOFF_SECONDS", 300)
# How often server types, prices and availability are asked of the providers. What is three times as old is unknown.
LOOPBACK_PROFILES_SECONDS = seconds("LOOPBACK_PROFILES_SECONDS", 600)
# How long a new server may take to answer over SSH, and one that is shut down to be off before its power is cut.
LOOPBACK_BOOT_DEADLINE = seconds("LOOPBACK_BOOT_DEADLINE", 900)
LOOPBACK_SHUTDOWN_SECONDS = seconds("LOOPBACK_SHUTDOWN_SECONDS", 120)
# How old a preflight may be to refuse a start by it. The first step looks again in any case.
LOOPBACK_PREFLIGHT_SECONDS = seconds("LOOPBACK_PREFLIGHT_SECONDS", 900)
# How long the first step looks again at what it cannot tell before it asks for a person.
LOOPBACK_PREFLIGHT_PATIENCE_SECONDS = seconds("LOOPBACK_PREFLIGHT_PATIENCE_SECONDS", 60)
# Between the asking for a workspace's deletion and its first step; a deletion policy may say otherwise.
LOOPBACK_DELETION_GRACE_HOURS = int(env("LOOPBACK_DELETION_GRACE_HOURS", "24"))
LOOPBACK_VENDOR_TIMEOUT = seconds("LOOPBACK_VENDOR_TIMEOUT", 10)
LOOPBACK_PLAYBOOKS = env("LOOPBACK_PLAYBOOKS")
LOOPBACK_HCLOUD_ENDPOINT = env("LOOPBACK_HCLOUD_ENDPOINT", "https://api.hetzner.cloud/v1")

# One scraper's secret for /metrics; without it there is no such page.
LOOPBACK_METRICS_TOKEN = env("LOOPBACK_METRICS_TOKEN")

# Plain lines for people, or one JSON object a line for machines; both carry the ids of what they are about.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"about": {"()": "workspaces.logs.AboutFilter"}},
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s [%(request).8s %(operation).8s] %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s %(request)s %(operation)s %(workspace)s",
            "rename_fields": {"asctime": "at", "levelname": "level", "name": "logger"},
        },
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if env("LOOPBACK_LOG_FORMAT") == "json" else "plain",
            "filters": ["about"],
        }
    },
    # It says a line for every tick it enqueues, one in two seconds.
    "loggers": {"rq.cron": {"level": "WARNING"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", "INFO")},
}
