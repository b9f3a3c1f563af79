"""Superset's configuration, for one machine and for a server: what differs comes from environment variables.

MUSIC_PLATFORM_SUPERSET_HOME is the state folder; it holds the caches and, unless SUPERSET_SECRET_KEY has it, the secret key.
Superset's own tables are in it too, in SQLite, unless MUSIC_PLATFORM_SUPERSET_METADATA_URI names a database (PostgreSQL).
"""

import os
from pathlib import Path

_HOME = Path(os.environ["MUSIC_PLATFORM_SUPERSET_HOME"])

SECRET_KEY = os.environ.get("SUPERSET_SECRET_KEY") or (_HOME / "secret_key").read_text().strip()

SQLALCHEMY_DATABASE_URI = (
    os.environ.get("MUSIC_PLATFORM_SUPERSET_METADATA_URI")
    or f"sqlite:///{_HOME / 'superset.db'}?check_same_thread=false"
)
if SQLALCHEMY_DATABASE_URI.startswith("sqlite:"):
    SQLALCHEMY_ENGINE_OPTIONS = {"connect_args": {"timeout": 30}}  # seconds for which a writer waits for another


def _file_cache(name: str, seconds: int) -> dict[str, object]:
    return {
        "CACHE_TYPE": "FileSystemCache",
        "CACHE_DIR": str(_HOME / "cache" / name),
        "CACHE_DEFAULT_TIMEOUT": seconds,
        "CACHE_THRESHOLD": 1000,
    }


# Files, so that no other server is needed.
CACHE_CONFIG = _file_cache("metadata", 300)
DATA_CACHE_CONFIG = _file_cache("data", 60)
FILTER_STATE_CACHE_CONFIG = _file_cache("filter_state", 86_400)
EXPLORE_FORM_DATA_CACHE_CONFIG = _file_cache("explore_form_data", 86_400)
RATELIMIT_STORAGE_URI = "memory://"
RESULTS_BACKEND = None
CELERY_CONFIG = None  # no worker: no asynchronous queries, alerts or reports

# Without this role nobody sees anything before logging in.
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False
FAB_ADD_SECURITY_API = True  # users and roles by the API

FEATURE_FLAGS = {
    "DRUID_JOINS": True,
    "ALERT_REPORTS": False,
}
ROW_LIMIT = 10_000
LOG_LEVEL = "INFO"

WTF_CSRF_ENABLED = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# The page talks to nobody but this server: no telemetry pixel, no fonts or map tiles from elsewhere.
CONTENT_SECURITY_POLICY_WARNING = True
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "frame-ancestors": ["'self'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    # Plain HTTP on loopback; a proxy that ends TLS in front of it sets its own headers.
    "force_https": False,
    "session_cookie_secure": False,
}

# No local file may be opened as a database.
PREVENT_UNSAFE_DB_CONNECTIONS = True
