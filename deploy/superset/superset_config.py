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


APP_NAME = "Music platform"
_HOME_PAGE = "/dashboard/list/"
# Pictures in the configuration itself: another file would have to be served.
_BARS = "<g fill='%231f77b4'><path d='M2 14h4v8H2zM9 6h4v16H9zM16 10h4v12h-4z'/></g>"
_SVG = "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} 24'>{content}</svg>"
_NAME = (
    "<text x='28' y='19' font-family='Helvetica,Arial,sans-serif' font-size='17' fill='%23333'>Music platform</text>"
)
FAVICONS = [{"href": _SVG.format(width=22, content=_BARS)}]
LOGO_TARGET_PATH = _HOME_PAGE
_TOKENS = {
    "brandAppName": APP_NAME,
    "brandLogoAlt": APP_NAME,
    "brandLogoUrl": _SVG.format(width=175, content=_BARS + _NAME),
    "brandLogoHref": _HOME_PAGE,
    "brandLogoMargin": "12px 0",
    "brandLogoHeight": "24px",
    "colorPrimary": "#1f77b4",
    "colorLink": "#1f77b4",
    # Superset's own, which a theme of one's own replaces as a whole.
    "colorError": "#e04355",
    "colorWarning": "#fcc700",
    "colorSuccess": "#5ac189",
    "colorInfo": "#66bcfe",
    "fontUrls": [],
    "fontFamily": "Inter, Helvetica, Arial, sans-serif",
    "fontFamilyCode": "'IBM Plex Mono', 'Courier New', monospace",
    "transitionTiming": 0.3,
    "fontSizeXS": "8",
    "fontSizeXXL": "28",
    "fontWeightNormal": "400",
    "fontWeightLight": "300",
    "fontWeightStrong": "500",
    "fontWeightBold": "700",
}
# One theme: viewers may not keep a choice of theirs, and the dashboards' colours are made for a light ground.
THEME_DEFAULT = {"token": _TOKENS, "algorithm": "default"}
THEME_DARK = None
ENABLE_UI_THEME_ADMINISTRATION = False
# "Last month" and other such times of a filter end now and not with yesterday.
DEFAULT_RELATIVE_END_TIME = "now"


def FLASK_APP_MUTATOR(app):  # noqa: N802 (Superset's own name for it)
    """Make the list of dashboards the first page, in place of Superset's own, which is about editing."""
    from flask import redirect, request

    @app.before_request
    def go_to_dashboards():
        home = f"{_HOME_PAGE}?pageIndex=0&sortColumn=dashboard_title&sortOrder=asc&viewMode=table"
        return redirect(home) if request.path in ("/", "/superset/welcome/") else None


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
