"""Settings of the demonstration portal. Every choice is an environment variable.

- ``PORTAL_HOME``: the directory for what the portal keeps; default ``var`` beside ``manage.py``.
- ``PORTAL_DATABASE``: ``postgresql://user:password@host:port/name``; default SQLite in the home.
- ``PORTAL_STATE``: the URL of the rules' state; default SQLite in the home. For PostgreSQL set
  ``AUTOMATION_RULES_WRAPPING_KEY`` as well.
- ``PORTAL_BACK_OFFICE``: the SQLAlchemy URL of the council's back office, which is only read;
  default SQLite in the home.
- ``PORTAL_CUSTOMERS``, ``PORTAL_HOUSING``: the same of the customer directory and of the housing
  management system that tenant services ask.
- ``PORTAL_DIARY``: what makes the diary of repair visits, as a dotted path; default the portal's.
- ``PORTAL_PAY_API``, ``PORTAL_PAY_KEY``, ``PORTAL_PAY_PAGES``: the address and the key of the
  payment provider's API, and the origins of its pages, separated by commas; default none, and
  ``serve`` starts a pretend one.
- ``PORTAL_MAIL``: where e-mails are handed over, ``smtp://user:password@host:port``, or ``smtps``
  for TLS; default this console.
- ``PORTAL_TIME``: an instant with its UTC offset to which the portal's clock is set at the start.
- ``PORTAL_CLOCK``: the kind of clock that is set; default one that goes on, for tests another.
- ``PORTAL_IDLE_SECONDS``: how long a signed-in user may do nothing; default 20 minutes.
- ``PORTAL_HOSTS``: host names, separated by commas; default this machine's own.
- ``PORTAL_HTTPS``: ``1`` when it is served by https: cookies then travel by https alone.
"""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF

BASE_DIR = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("PORTAL_HOME", BASE_DIR / "var")).absolute()
HOME.mkdir(parents=True, exist_ok=True)


def _secret_key(path: Path) -> str:
    if not path.exists():
        # Of several processes that start at once the first one's is kept, whole.
        file, made = tempfile.mkstemp(dir=path.parent)
        os.write(file, secrets.token_urlsafe(64).encode("ascii"))
        os.close(file)
        with suppress(FileExistsError):
            path.hardlink_to(made)
        Path(made).unlink()
    return path.read_text(encoding="ascii")


def _database(url: str | None) -> dict[str, object]:
    if not url:
        # Writers wait for their turn from the start: a read that later writes could not.
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": HOME / "portal.sqlite3",
            "OPTIONS": {
                "timeout": 30,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


SECRET_KEY = _secret_key(HOME / "secret.key")
DEBUG = False
ALLOWED_HOSTS = os.environ.get("PORTAL_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

PORTAL_TIME = os.environ.get("PORTAL_TIME")
PORTAL_CLOCK = os.environ.get("PORTAL_CLOCK", "demo_portal.clock.SetClock")
PORTAL_IDLE_SECONDS = int(os.environ.get("PORTAL_IDLE_SECONDS", "1200"))
PORTAL_STATE = os.environ.get("PORTAL_STATE", f"sqlite:///{HOME / 'state.sqlite3'}")


def _records(name: str) -> str:
    """Return where the records of another system are."""
    path = HOME / f"{name}.sqlite3"
    return os.environ.get(f"PORTAL_{name.upper()}", f"sqlite:///{path}")


PORTAL_BACK_OFFICE = _records("back_office")
PORTAL_CUSTOMERS = _records("customers")
PORTAL_HOUSING = _records("housing")
# How long pages wait for them.
PORTAL_RECORDS_SECONDS = 3.0
PORTAL_DIARY = os.environ.get("PORTAL_DIARY", "tenant_services.repairs.diary_sql.portal_diary")
PORTAL_PAY_API = os.environ.get("PORTAL_PAY_API", "")
PORTAL_PAY_KEY = os.environ.get("PORTAL_PAY_KEY", "")
_PAGES = os.environ.get("PORTAL_PAY_PAGES", "https://www.payments.service.gov.uk")
PORTAL_PAY_PAGES = _PAGES.split(",")
PORTAL_PAY_SECONDS = 3.0
PORTAL_SMS_SENDER = "automation_rules.access_codes.ConsoleSender"

_MAIL = urlsplit(os.environ.get("PORTAL_MAIL", ""))
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _MAIL.hostname else 'console'}.EmailBackend"
EMAIL_HOST = _MAIL.hostname or "localhost"
EMAIL_USE_SSL = _MAIL.scheme == "smtps"
EMAIL_PORT = _MAIL.port or (465 if EMAIL_USE_SSL else 25)
EMAIL_HOST_USER = unquote(_MAIL.username or "")
EMAIL_HOST_PASSWORD = unquote(_MAIL.password or "")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = "tenant.services@acme.example"

INSTALLED_APPS = [
    "demo_portal",
    "design",
    "landlord_portal",
    "council_payments",
    "tenant_services",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "formtools",
    "two_factor",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "demo_portal.middleware.PrivatePagesMiddleware",
    "demo_portal.middleware.NotAllowedMiddleware",
    "demo_portal.middleware.IdleMiddleware",
    "demo_portal.middleware.SignedInMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "demo_portal.urls"
WSGI_APPLICATION = "demo_portal.wsgi.application"
DATABASES = {"default": _database(os.environ.get("PORTAL_DATABASE"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "APP_DIRS": True,
        "OPTIONS": {
            "environment": "demo_portal.jinja.environment",
            "context_processors": [
                "django.contrib.messages.context_processors.messages",
                "demo_portal.jinja.page",
                "demo_portal.systems.context",
                "tenant_services.contact.downtime.context",
            ],
        },
    }
]

# Signing in

AUTH_USER_MODEL = "landlord_portal.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3600
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "landing"
TWO_FACTOR_PATCH_ADMIN = False
TWO_FACTOR_LOGIN_TIMEOUT = 600

# Guesses are counted by the user name they are made at, wherever they come from: a guesser has
# more addresses than users have names, and demonstrations share one address. What browsers are
# told of https is told of this host alone: its subdomains are others'.
SILENCED_SYSTEM_CHECKS = ["axes.W006", "security.W005", "security.W021"]
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "landlord_portal.sign_in.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# What browsers are told

HTTPS = os.environ.get("PORTAL_HTTPS") == "1"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_SSL_REDIRECT = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "demo_portal.errors.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "media-src": [SELF],
        "connect-src": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "build" / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_MIMETYPES = {".vtt": "text/vtt; charset=utf-8"}

# Languages and time

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("cy", "Cymraeg")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Europe/London"

# Nothing that a user typed is written to a log, nor the address of every page that was asked for:
# only that something failed, and where.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "demo_portal.logs.WithoutValues",
            "format": "%(levelname)s %(name)s %(message)s",
        }
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain"},
        "nowhere": {"class": "logging.NullHandler"},
    },
    "loggers": {
        "django": {"handlers": ["console"], "level": "ERROR", "propagate": False},
        "django.server": {"handlers": ["nowhere"], "propagate": False},
        "django.security": {"handlers": ["nowhere"], "propagate": False},
        "axes": {"handlers": ["nowhere"], "propagate": False},
        "two_factor": {"handlers": ["nowhere"], "propagate": False},
    },
}
