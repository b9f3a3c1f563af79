"""Superset as a resource: its REST API by the settings' login. Which dashboards there are is known to the modules beside it.

A plain object, no configurable resource: Dagster shows a resource's configuration, and this one holds a password.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from music_platform.errors import MusicPlatformError
from music_platform.settings import Settings

if TYPE_CHECKING:
    import requests

_TIMEOUT_SECONDS = 120.0
_PAGE_SIZE = 100  # the most that Superset gives at once
_ANSWER_CHARACTERS = 500


class SupersetError(MusicPlatformError):
    """Superset could not be reached, refused the login, or answered a request with an error, whose ``status`` it then holds."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class SupersetResource:
    """A session with Superset's API, opened at the first request.

    Every method raises ``SupersetError``, which names the request and holds Superset's own words.
    """

    url: str
    username: str
    password: str = field(repr=False)
    password_file: Path | None = None  # read at the login where the password is empty
    _session: requests.Session | None = field(default=None, init=False, repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> SupersetResource:
        """The administrator's; nothing is read or asked before the first request."""
        password = settings.superset_password.get_secret_value()
        return cls(settings.superset_url, settings.superset_username, password, settings.superset_admin_password_file)

    def log_in(self) -> None:
        """Log in; the session's requests carry the token, and those that change something the CSRF token."""
        import requests  # loading definitions touches no network, and requests does as soon as it is imported
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        session = requests.Session()
        # A server ends a connection that was idle for some seconds, perhaps just when the next request comes by it: GET and
        # PUT, which may be repeated, are sent once more.
        session.mount(self.url, HTTPAdapter(max_retries=Retry(total=1, connect=0)))
        credentials = {"username": self.username, "password": self._password(), "provider": "db", "refresh": False}
        answer = self._send(session, "POST", "/api/v1/security/login", json=credentials)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise SupersetError(
                f"Superset at {self.url} refuses the login of '{self.username}': the password is not the one it knows. Set "
                "the password in the settings; that of the local Superset is reset by `music-platform superset up` "
                "after the file `prepared` in its state folder has been removed"
            )
        session.headers["Authorization"] = f"Bearer {_json_of(answer)['access_token']}"
        token = _json_of(self._send(session, "GET", "/api/v1/security/csrf_token/"))["result"]
        session.headers.update({"X-CSRFToken": token, "Referer": self.url})
        self._session = session

    def import_assets(self, bundle: Mapping[str, str], root: str = "assets") -> None:
        """Import a bundle, file names to YAML texts; what is there under the same UUIDs is overwritten.

        A request without its tokens is answered with status 200 and the login page, and imports nothing. So only
        Superset's word that it imported counts.
        """
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in bundle.items():
                archive.writestr(f"{root}/{name}", text)
        answer = self.request(
            "POST", "/api/v1/assets/import/", files={"bundle": ("assets.zip", packed.getvalue(), "application/zip")}
        )
        if _json_of(answer) != {"message": "OK"}:
            raise SupersetError(f"Superset did not import the dashboards: {answer.text[:_ANSWER_CHARACTERS]}")

    def export_assets(self) -> dict[str, str]:
        """Everything that Superset holds, as a bundle in the form of ``import_assets``."""
        answer = self.request("GET", "/api/v1/assets/export/")
        try:
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                return {
                    str(PurePosixPath(*PurePosixPath(name).parts[1:])): archive.read(name).decode()
                    for name in archive.namelist()
                }
        except zipfile.BadZipFile:
            raise SupersetError(f"Superset exported no archive but {answer.text[:_ANSWER_CHARACTERS]}") from None

    def list_all(self, resource: str) -> list[dict[str, Any]]:
        """All of a kind: `database`, `dataset`, `chart`, `dashboard`, or `security/roles` and other such paths."""
        found: list[dict[str, Any]] = []
        while True:
            query = f"(page:{len(found) // _PAGE_SIZE},page_size:{_PAGE_SIZE})"
            page = _json_of(self.request("GET", f"/api/v1/{resource}/", params={"q": query}))
            found += page["result"]
            if len(found) >= page["count"] or len(page["result"]) < _PAGE_SIZE:
                return found

    def numbers_by_uuid(self, resource: str) -> dict[str, int]:
        """Superset's own number of each `dataset`, `chart` or `dashboard`, by the UUID that it was imported with."""
        return {str(found["uuid"]): found["id"] for found in self.list_all(resource)}

    def refresh_dataset(self, dataset: int) -> None:
        """Read the dataset's columns from the database again; those that only Superset knows stay.

        Where the database does not have them, Superset refuses with status 422 and says no reason: ``count_rows`` tells it.
        """
        self.request("PUT", f"/api/v1/dataset/{dataset}/refresh")

    def count_rows(self, dataset: int) -> int:
        """How many rows the dataset has; a ``SupersetError`` holds the database's own words where it cannot say."""
        query = {"metrics": ["count"], "columns": [], "filters": []}
        [row] = self.query_data({"datasource": {"id": dataset, "type": "table"}, "force": True, "queries": [query]})
        return int(row["count"])

    def chart_data(self, chart: int) -> list[dict[str, Any]]:
        """The rows of a chart, queried from the database again by the query that is saved with it."""
        answer = self.request("GET", f"/api/v1/chart/{chart}/data/", params={"force": "true"})
        return _rows(answer)

    def query_data(self, query_context: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a query context, such as one saved with a chart or one with other filters."""
        return _rows(self.request("POST", "/api/v1/chart/data", json=dict(query_context)))

    def saved_query(self, chart: int) -> dict[str, Any]:
        """The query context that is saved with a chart."""
        text = _json_of(self.request("GET", f"/api/v1/chart/{chart}"))["result"]["query_context"]
        if not text:
            raise SupersetError(
                f"chart {chart} of Superset at {self.url} has no saved query; import the dashboards again"
            )
        return json.loads(text)

    def grant_datasets(self, role: str, datasets: list[int]) -> None:
        """Let a role read the data of exactly these datasets; its other permissions stay."""
        roles = {found["name"]: found["id"] for found in self.list_all("security/roles")}
        if role not in roles:
            raise SupersetError(
                f"Superset at {self.url} has no role '{role}'; set it up by `music-platform superset up`"
            )
        permissions = [
            permission
            for permission in self.list_all("security/permissions-resources")
            if permission["permission"]["name"] == "datasource_access"
        ]
        path = f"/api/v1/security/roles/{roles[role]}/permissions"
        held = _json_of(self.request("GET", f"{path}/"))["result"]
        kept = [permission["id"] for permission in held if permission["permission_name"] != "datasource_access"]
        endings = tuple(f"(id:{dataset})" for dataset in datasets)
        granted = [entry["id"] for entry in permissions if entry["view_menu"]["name"].endswith(endings)]
        if len(granted) != len(datasets):
            raise SupersetError(
                f"Superset at {self.url} has permissions for {len(granted)} of {len(datasets)} datasets"
            )
        self.request("POST", path, json={"permission_view_menu_ids": sorted({*kept, *granted})})

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request in the session, logging in where there is none or it has expired; only a good answer comes back."""
        if self._session is None:
            self.log_in()
        answer = self._send(self._opened(), method, path, **options)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            self.log_in()
            answer = self._send(self._opened(), method, path, **options)
        if not answer.ok:
            message = f"{method} {self.url}{path} failed with {answer.status_code}: {_text_of(answer)}"
            raise SupersetError(message, answer.status_code)
        return answer

    def _password(self) -> str:
        if self.password or self.password_file is None:
            return self.password
        try:
            return self.password_file.read_text().strip()
        except FileNotFoundError:
            raise SupersetError(
                f"the password of '{self.username}' at {self.url} is not known: set MUSIC_PLATFORM_SUPERSET_PASSWORD, or make "
                f"a local Superset by `music-platform superset up`, which keeps it in {self.password_file}"
            ) from None

    def _opened(self) -> requests.Session:
        if self._session is None:
            raise SupersetError(f"there is no session with Superset at {self.url}")
        return self._session

    def _send(self, session: requests.Session, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return session.request(method, f"{self.url}{path}", timeout=_TIMEOUT_SECONDS, **options)
        except OSError as error:  # as are all of requests' own
            raise SupersetError(
                f"Superset at {self.url} does not answer ({type(error).__name__}). Start the local one by "
                "`music-platform superset up`, or mend MUSIC_PLATFORM_SUPERSET_URL"
            ) from None


def _rows(answer: requests.Response) -> list[dict[str, Any]]:
    [result] = _json_of(answer)["result"]
    if result.get("error"):
        raise SupersetError(f"a chart's query failed: {str(result['error'])[:_ANSWER_CHARACTERS]}")
    return result["data"]


def _json_of(answer: requests.Response) -> Any:
    try:
        answer.raise_for_status()
        return answer.json()
    except (OSError, ValueError):
        raise SupersetError(f"{answer.url} answered with {answer.status_code}: {_text_of(answer)}") from None


def _text_of(answer: requests.Response) -> str:
    """Superset's own words on what went wrong."""
    try:
        content = answer.json()
    except ValueError:
        return answer.text[:_ANSWER_CHARACTERS]
    if isinstance(content, dict) and content.get("errors"):
        return "; ".join(
            f"{error.get('message')} {error.get('extra', {})}"[:_ANSWER_CHARACTERS] for error in content["errors"]
        )
    return str(content.get("message", content) if isinstance(content, dict) else content)[:_ANSWER_CHARACTERS]
