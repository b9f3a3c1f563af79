"""Settings of the object store of a lake in a bucket, in the forms that libraries need.

The endpoint and, with an access key, the credentials come from the settings alone; AWS_* variables of a shell are ignored.
"""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from pydantic import Field, SecretStr

from music_platform.settings.lake import LakeSettings

_S3_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_S3"  # goes before the other two, and concerns S3 alone
_ENDPOINT_VARIABLES = (_S3_ENDPOINT_VARIABLE, "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# In obstore's order; the first one set applies.
_CREDENTIAL_SOURCES = {
    "AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "the container's role",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "the container's role",
}
_ENVIRONMENT_LOCK = threading.Lock()


class ObjectStoreSettings(LakeSettings):
    s3_endpoint: str = Field(default="", description="Endpoint of an S3-compatible server; empty means AWS.")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    s3_access_key_id: str = Field(
        default="",
        description="Access key. Empty takes the credentials that AWS provides: `AWS_*` variables, web identity, container "
        "or instance role.",
    )
    s3_secret_access_key: SecretStr = Field(default=SecretStr(""), description="Secret of the access key.")
    s3_retry_seconds: float = Field(
        default=180.0, gt=0, description="How long requests to S3 are retried with backoff before the run fails."
    )

    def export_engine_environment(self) -> None:
        """Set the AWS_* variables of this process to a lake on S3, and how much Sail logs.

        The engine inside this process reads them only there. With an access key, credentials of the starting shell are removed.
        """
        os.environ.setdefault("RUST_LOG", "error")  # otherwise it logs every start and end of its server
        if self.lake_location.is_local:
            return
        environment = {
            "AWS_REGION": self.s3_region,
            "AWS_DEFAULT_REGION": self.s3_region,
            "AWS_ALLOW_HTTP": str(self.s3_endpoint_url.startswith("http://")).lower(),
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        }
        if self.s3_access_key_id:
            environment["AWS_ACCESS_KEY_ID"] = self.s3_access_key_id
            environment["AWS_SECRET_ACCESS_KEY"] = self.s3_secret_access_key.get_secret_value()
        with _ENVIRONMENT_LOCK:
            if self.s3_endpoint or any(name in os.environ for name in _ENDPOINT_VARIABLES):
                environment[_S3_ENDPOINT_VARIABLE] = self.s3_endpoint_url
            os.environ.update(environment)
            if self.s3_access_key_id:
                for foreign in ("AWS_SESSION_TOKEN", "AWS_SKIP_SIGNATURE"):
                    os.environ.pop(foreign, None)

    def object_store_options(self) -> dict[str, Any]:
        """Options of obstore's S3Store for this lake; empty for a local lake."""
        if self.lake_location.is_local:
            return {}
        options: dict[str, Any] = {
            "region": self.s3_region,
            "endpoint": self.s3_endpoint_url,
            "virtual_hosted_style_request": False,
            "client_options": {"allow_http": self.s3_endpoint_url.startswith("http://")},
        }
        if self.s3_access_key_id:
            options["access_key_id"] = self.s3_access_key_id
            options["secret_access_key"] = self.s3_secret_access_key.get_secret_value()
        return options

    @property
    def s3_credentials_source(self) -> str:
        """The sources of a lake's credentials on S3, in order of precedence; never their values."""
        if self.s3_access_key_id:
            return "MUSIC_PLATFORM_S3_ACCESS_KEY_ID"
        for variable, source in _CREDENTIAL_SOURCES.items():
            if os.environ.get(variable):
                return source
        return "the instance's role"

    @property
    def s3_endpoint_url(self) -> str:
        """The endpoint, even AWS's own, so that none in the environment replaces it."""
        return self.s3_endpoint or f"https://s3.{self.s3_region}.amazonaws.com"


@contextmanager
def without_foreign_s3_endpoint(endpoint: str) -> Generator[None]:
    """Hide a shell's AWS_ENDPOINT_URL_S3 while a store is opened: obstore prefers it to the given endpoint."""
    with _ENVIRONMENT_LOCK:
        found = os.environ.get(_S3_ENDPOINT_VARIABLE)
        if found is None or found == endpoint:
            yield
            return
        del os.environ[_S3_ENDPOINT_VARIABLE]
        try:
            yield
        finally:
            os.environ[_S3_ENDPOINT_VARIABLE] = found
