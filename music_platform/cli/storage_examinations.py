"""What `music-platform doctor` examines of a lake in a bucket: the identity's rights folder by folder, and the queue.

An examination returns problems and never raises them. platform_examinations.py examines the lake as a whole.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import obstore

from music_platform.cli.finding import Finding, State, without_patience
from music_platform.errors import LakeUnreachableError
from music_platform.lake.lake import Lake
from music_platform.landing.watch.sqs import QueueUnreachableError, SqsNotifications
from music_platform.settings import Settings
from music_platform.tables.catalogue import made_tables

_LANDED = ("landing", "errors")


def bucket_rights(settings: Settings) -> list[Finding]:
    """What the identity may do where events land and in each layer, by doing it.

    Nothing is written where events land: each new object there is an event for the bucket's notifications.
    """
    if settings.lake_location.is_local:
        return []
    subject, store = "rights on the bucket", Lake(without_patience(settings)).store
    layers = list(dict.fromkeys(str(contract.layer) for contract in made_tables(is_served=True).values()))
    name = f"doctor-{uuid.uuid4().hex}"
    refused: list[str] = []

    def may(action: str, folder: str, request: Callable[[], object]) -> bool:
        try:
            request()
        except LakeUnreachableError as error:
            if not _is_refusal(error):
                raise
            refused.append(f"{action} on {folder}/")
            return False
        return True

    try:
        for folder in (*_LANDED, *layers):
            key = f"{folder}/{name}"
            may("s3:ListBucket", folder, lambda folder=folder: store.list_level(folder))
            is_written = folder in layers and may("s3:PutObject", folder, lambda key=key: store.put(key, b"doctor"))
            may("s3:GetObject", folder, lambda key=key: store.get(key))
            if is_written:
                may("s3:DeleteObject", folder, lambda key=key: store.delete([key]))
    except LakeUnreachableError as error:
        return [Finding(subject, State.WARNING, f"not examined: {error}", "See the lake.")]
    if refused:
        advice = "Give the identity this right; docs/operations.md lists all that it needs."
        return [Finding(subject, State.FAILURE, f"the identity has no {right}", advice) for right in refused]
    found = f"lists and reads {', '.join(_LANDED)}; lists, reads, writes and removes in {', '.join(layers)}"
    return [Finding(subject, State.OK, found)]


def _is_refusal(error: LakeUnreachableError) -> bool:
    """Whether the store answered that the identity may not do this; of listings and deletions the text."""
    refusals = (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError)
    return isinstance(error.__cause__, refusals) or any(
        sign in str(error) for sign in ("403 Forbidden", "AccessDenied")
    )


def landing_queue(settings: Settings) -> list[Finding]:
    """The queue of the bucket's notifications, where landing is not listed: rights, depth and dead letters."""
    if not settings.landing_queue_url:
        return []
    subject, queue = f"landing queue {settings.landing_queue_url}", SqsNotifications(settings)
    try:
        queue.require_rights()
    except QueueUnreachableError as error:
        return [
            Finding(subject, State.FAILURE, str(error), "The identity needs sqs:ReceiveMessage and sqs:DeleteMessage.")
        ]
    try:
        state = queue.state()
    except QueueUnreachableError as error:
        advice = "Give the identity sqs:GetQueueAttributes on the queue and on its dead letters."
        return [Finding(subject, State.WARNING, f"read, but its depth and dead letters are not known: {error}", advice)]
    found = f"read; {state.waiting:,} messages wait, {state.in_flight:,} are being read"
    if state.dead is None:
        advice = "Give it a redrive policy, so that a message that cannot be deleted does not return for ever."
        return [Finding(subject, State.WARNING, f"{found}; no queue of dead letters", advice)]
    if state.dead:
        advice = (
            "Nothing is lost: the reconciliation at 03:17 UTC lists what they named. Look whether the sensor `landing` runs "
            "and may delete messages, then redrive or purge them."
        )
        return [Finding(subject, State.WARNING, f"{found}; {state.dead:,} dead letters", advice)]
    return [Finding(subject, State.OK, f"{found}; no dead letters")]
