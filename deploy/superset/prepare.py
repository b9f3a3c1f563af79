"""Bring Superset's own database to this release, with its roles and users; run by Superset's Python, any number of times.

The users come as JSON on standard input, so that no password stands among the arguments of a process:
``[{"username": ..., "password": ..., "role": "Admin" or "Viewer"}]``. A user who exists gets the password and the role.
"""

import json
import sys
from pathlib import Path
from typing import Any

import superset
from superset.app import create_app

VIEWER_ROLE = "Viewer"
# What looking at a dashboard and filtering it needs. Nothing that changes anything that others see, no SQL, and no data:
# the data that viewers may read is granted with the import of the dashboards.
VIEWER_PERMISSIONS = (
    ("can_read", "Dashboard"),
    ("can_read", "Chart"),
    ("can_read", "Dataset"),
    ("can_dashboard", "Superset"),
    ("can_slice", "Superset"),
    ("can_explore_json", "Superset"),
    ("can_log", "Superset"),  # the page reports what it loads, and takes a refusal for an error
    ("can_dashboard_permalink", "Superset"),
    ("can_read", "DashboardPermalinkRestApi"),
    ("can_write", "DashboardPermalinkRestApi"),
    ("can_read", "DashboardFilterStateRestApi"),
    ("can_write", "DashboardFilterStateRestApi"),
    ("can_read", "ExploreFormDataRestApi"),
    ("can_write", "ExploreFormDataRestApi"),
    ("can_time_range", "Api"),
    ("can_query_form_data", "Api"),
    ("can_query", "Api"),
    ("can_get", "Datasource"),
    ("can_read", "CssTemplate"),
    ("can_read", "Theme"),
    ("can_read", "Annotation"),
    ("can_read", "SecurityRestApi"),  # the CSRF token of their own requests
    ("can_read", "CurrentUserRestApi"),
    ("can_get", "MenuApi"),
    ("menu_access", "Dashboards"),
)


_NAMES = {"Admin": ("Music", "platform"), VIEWER_ROLE: ("Guest", "")}


def main() -> None:
    users = json.load(sys.stdin)
    with create_app().app_context():
        from flask_migrate import upgrade
        from superset import appbuilder, security_manager
        from superset.extensions import db

        upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        _set_viewer_role(security_manager)
        for user in users:
            _set_user(security_manager, user)
        db.session.commit()


def _set_viewer_role(security_manager: Any) -> None:
    """Give the role its permissions, and take from it all others but those to read data."""
    role = security_manager.add_role(VIEWER_ROLE)
    allowed = [security_manager.add_permission_view_menu(*permission) for permission in VIEWER_PERMISSIONS]
    data = [granted for granted in role.permissions if granted.permission.name == "datasource_access"]
    role.permissions = [*allowed, *data]


def _set_user(security_manager: Any, user: dict[str, str]) -> None:
    name, role = user["username"], security_manager.find_role(user["role"])
    found = security_manager.find_user(name)
    if found is None:
        found = security_manager.add_user(name, name, user["role"], f"{name}@localhost", role, user["password"])
        if not found:
            sys.exit(f"Superset did not take the user '{name}'")
    found.roles, found.active = [role], True
    # The administrator owns the dashboards, and every page of one names the owner.
    found.first_name, found.last_name = _NAMES[user["role"]]
    security_manager.reset_password(found.id, user["password"])


if __name__ == "__main__":
    main()
