"""Plausible mistakes, each a small change of the project's configuration, are found; sound changes of it are not called wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from music_platform.collector import lint, parse_configuration
from music_platform_tests.places import REPOSITORY

_FOLDER = REPOSITORY / "fluentd"
_BUFFER_END = "flush_at_shutdown true"
_TAIL_END = "read_from_head true"
_EVENT_LABEL, _RAW_LABEL = "<label @EVENTS>\n", "<label @RAW>\n"

# name of the mistake: (file, text, what takes its place, part of what is said)
_MISTAKES: dict[str, tuple[str, str, str, str]] = {
    # the time of events
    "ts without division": ("events.conf", "t / 1000.0", "t", "must be divided by 1000.0"),
    "ts divided by a million": ("events.conf", "t / 1000.0", "t / 1_000_000.0", "divide by 1000.0 once"),
    "ts divided twice": ("events.conf", "t / 1000.0", "t / 1000.0 / 1000", "divide by 1000.0 once"),
    "ts multiplied": ("events.conf", "t / 1000.0", "t * 1000", "divide by 1000.0 once"),
    "ts divided by 100": ("events.conf", "t / 1000.0", "t.fdiv(100)", "divide by 1000.0 once"),
    "time of arrival": ("events.conf", "t / 1000.0", "::Time.now.to_f", "reads a clock"),
    "another field than ts": ("events.conf", 'record["ts"]', 'record["registration"]', "does not read the record's ts"),
    "bounds in seconds": ("events.conf", "1_000_000_000_000, 9_999_999_999_999", "1_000_000_000, 9_999_999_999",
                          "leave out milliseconds of today"),
    "bounds from next year on": ("events.conf", "1_000_000_000_000,", "1_900_000_000_000,", "leave out milliseconds"),
    "bounds the wrong way round": ("events.conf", "1_000_000_000_000, 9_999_999_999_999",
                                   "9_999_999_999_999, 1_000_000_000_000", "no number lies between"),
    "no time becomes 1970": ("events.conf", "__event_time ${", '__event_time ${record["ts"].to_i / 1000.0}\n      __a ${',
                             "must raise"),
    "a rescue becomes 1970": ("events.conf", "__event_time ${", '__event_time ${(t = record["ts"]).between?(1e12, 1e13) && '
                              't / 1000.0 rescue 0}\n      __more ${', "must raise"),
    "time without Ruby": ("events.conf", "enable_ruby true", "enable_ruby false", "without enable_ruby true"),
    "time of another field": ("events.conf", "renew_time_key __event_time", "renew_time_key __time_of_event", "no Ruby in"),
    "time is not set": ("events.conf", "renew_time_key __event_time", "", "filed by the time of arrival"),
    "time of errors in milliseconds": ("errors.conf", "::Time.now.to_f", "::Time.now.to_f * 1000", "filed by a time"),
    "the helper field stays": ("events.conf", "remove_keys __event_time", "", "each event gets a field"),
    "the condition turned round": ("events.conf", "__event_time ${", '__event_time ${t = record["ts"]; t.between?(1e12, 1e13) ? '
                                   '::Kernel.raise("no") : t / 1000.0}\n      __more ${', "raises where ts lies"),
    "time shifted by a zone": ("events.conf", "t / 1000.0", "t / 1000.0 + 3600", "it shifts ts"),
    # filters and parsers that lose
    "grep drops events": ("events.conf", _EVENT_LABEL, f"{_EVENT_LABEL}  <filter **>\n    @type grep\n    <exclude>\n      key "
                          "page\n      pattern /NextSong/\n    </exclude>\n  </filter>\n", "may drop records"),
    "grep on raw lines": ("events.conf", _RAW_LABEL, f"{_RAW_LABEL}  <filter **>\n    @type grep\n    <regexp>\n      key "
                          "message\n      pattern /userId/\n    </regexp>\n  </filter>\n", "may drop records"),
    "grep on error records": ("errors.conf", "<label @ERROR>\n", "<label @ERROR>\n  <filter **>\n    @type grep\n    <exclude>\n"
                              "      key message\n      pattern /./\n    </exclude>\n  </filter>\n", "may drop records"),
    "every event in the log": ("events.conf", _EVENT_LABEL, f"{_EVENT_LABEL}  <filter **>\n    @type stdout\n  </filter>\n",
                               "or log them"),
    "record renewed": ("events.conf", "@id event_time", "@id event_time\n    renew_record true", "events are left out"),
    "few fields kept": ("events.conf", "@id event_time", "@id event_time\n    keep_keys ts,page", "events are left out"),
    "a field removed": ("events.conf", "remove_keys __event_time", "remove_keys __event_time,userId", "changes the field userId"),
    "a field overwritten": ("events.conf", "__event_time ${", "level free\n      __event_time ${", "changes the field level"),
    "invalid lines dropped": ("events.conf", "emit_invalid_record_to_error true", "emit_invalid_record_to_error false",
                              "cannot be parsed are dropped"),
    "raw line kept in each event": ("events.conf", "reserve_data false", "reserve_data true", "reserve_data changes events"),
    "values cast": ("events.conf", "json_parser yajl", "json_parser yajl\n      types userId:string", "types changes"),
    "event in a field": ("events.conf", "reserve_data false", "hash_value_field event", "hash_value_field changes"),
    "parser takes ts": ("events.conf", "time_key __none__", "time_key ts", "named ts is taken out"),
    "parser of another format": ("events.conf", "@type json\n      json_parser yajl", "@type ltsv", "events are JSON"),
    "parser of another field": ("events.conf", "key_name message", "key_name log", "set key_name message"),
    # routes
    "http skips the parser": ("sources.conf", "keepalive_timeout", "@label @EVENTS\n  keepalive_timeout", "pass 0 parsers"),
    "tail skips the parser": ("tail.conf", "@label @RAW", "@label @EVENTS", "pass 0 parsers"),
    "forward goes to the parser": ("sources.conf", "'24224'}\"\n", "'24224'}\"\n  @label @RAW\n", "the parser refuses"),
    "parser of other tags": ("events.conf", "<filter eventsim.**>\n    @type parser", "<filter events.**>\n    @type parser",
                             "pass 0 parsers"),
    "time filter of one type": ("events.conf", "<filter eventsim.**>\n    @type record_transformer",
                                "<filter eventsim.listen_events>\n    @type record_transformer", "filed by the time of arrival"),
    "a type is not matched": ("events.conf", "page_view_events,status_change_events}", "page_view_events}", "is not landed"),
    "patterns apart by a comma": ("events.conf", "eventsim.{auth_events,listen_events,", "eventsim.auth_events,eventsim.{",
                                  "is not landed"),
    "a brace is missing": ("events.conf", "status_change_events}>", "status_change_events>", "a brace too many"),
    "labels in a circle": ("events.conf", "@label @EVENTS", "@label @RAW", "round in circles"),
    "errors to null": ("errors.conf", "<label @ERROR>\n", "<label @ERROR>\n  <match **>\n    @type null\n  </match>\n",
                       "goes to the output null"),
    "unknown tags to null": ("events.conf", _EVENT_LABEL, f"{_EVENT_LABEL}  <match no_event_type>\n    @type null\n  </match>\n",
                             "goes to the output null"),
    "a label is misspelled": ("tail.conf", "@label @RAW", "@label @RAWS", "there is no <label @RAWS>"),
    "a label stands twice": ("errors.conf", "<label @ERROR>", "<label @FLUENT_LOG>\n</label>\n<label @ERROR>",
                             "stands twice"),
    "half of the events elsewhere": ("events.conf", "<match eventsim.{auth", "<match eventsim.**>\n    @type roundrobin\n    "
                                     "<store>\n      @type stdout\n    </store>\n  </match>\n  <match eventsim.{auth",
                                     "goes to the output stdout"),
    "a prefix before tags": ("sources.conf", "@id forward\n", "@id forward\n  add_tag_prefix eventsim\n", "is not landed"),
    "tag of the path": ("sources.conf", "tag eventsim.auth_events", "tag eventsim.*", "is not landed"),
    # sources
    "parsed in the source": ("tail.conf", "@type none", "@type json", "drops what it cannot parse"),
    "two workers": ("fluent.conf", "<system>", "<system>\n  workers 2", "do not start a tail source"),
    "rotated files by a star": ("sources.conf", "/listen_events.jsonl", "/listen_events*", "reads them again"),
    "rotated files by a dotted star": ("sources.conf", "/listen_events.jsonl", "/listen_events.jsonl.*", "reads them again"),
    "a file is excluded": ("sources.conf", "tag eventsim.auth_events",
                           'tag eventsim.auth_events\n  exclude_path ["/var/lib/eventsim/*"]', "leaves out"),
    "a file is read twice": ("sources.conf", "/auth_events.jsonl", "/listen_events", "is read twice"),
    "old files are skipped": ("tail.conf", _TAIL_END, f"{_TAIL_END}\nlimit_recently_modified 1h", "is dropped with a line"),
    "long lines are skipped": ("tail.conf", _TAIL_END, f"{_TAIL_END}\nmax_line_size 4k", "is dropped with a line"),
    "forward drops large chunks": ("sources.conf", "@id forward\n", "@id forward\n  chunk_size_limit 1m\n", "is dropped with"),
    "forward drops odd records": ("sources.conf", "@id forward\n", "@id forward\n  skip_invalid_event true\n", "are dropped"),
    "bodies in bytes": ("sources.conf", 'body_size_limit "', 'body_size_limit 32 # "', "bodies of a few events are refused"),
    "a port twice": ("sources.conf", "'9880'", "'24224'", "is taken"),
    "an id twice": ("sources.conf", "@id http", "@id forward", "is taken"),
    "a port that is none": ("sources.conf", "'9880'", "'98800'", "a port between"),
    "tags changed over": ("sources.conf", "tag eventsim.auth_events", "tag eventsim.page_view_events", "holds auth_events"),
    # buffer and state
    "buffer smaller than a chunk": ("events.conf", "'16g'", "'16m'", "do not hold two chunks"),
    "chunk larger than the buffer": ("buffer.conf", "'64m'", "'64g'", "do not hold two chunks"),
    "chunk in bytes": ("buffer.conf", "'64m'", "'64'", "larger than a chunk is refused"),
    "an object for each event": ("buffer.conf", _BUFFER_END, f"{_BUFFER_END}\nchunk_limit_records 1", "become an object"),
    "state in /tmp": ("fluent.conf", "'/var/lib/fluentd'", "'/tmp/fluentd'", "is emptied when"),
    "buffer in memory of the machine": ("events.conf", "'/var/lib/fluentd'", "'/dev/shm'", "is emptied when"),
    "positions in /var/tmp": ("sources.conf", "'/var/lib/fluentd'}/positions/auth", "'/var/tmp'}/positions/auth", "is emptied"),
    "buffer beside the process": ("errors.conf", "'/var/lib/fluentd'", "'state'", "moves when"),
    "buffer in memory": ("buffer.conf", "@type file", "@type memory", "@type file"),
    "buffer of single files": ("buffer.conf", "@type file", "@type file_single", "@type file"),
    "chunks are not backed up": ("buffer.conf", _BUFFER_END, f"{_BUFFER_END}\ndisable_chunk_backup true", "is thrown away"),
    "retries end": ("buffer.conf", "retry_forever true", "retry_max_times 17", "set retry_forever true"),
    "retry_forever is no bool": ("buffer.conf", "retry_forever true", "retry_forever True", "write true or false"),
    "pause of hours": ("buffer.conf", "'30'", "'30h'", "pauses between tries"),
    "periodic pause of a day": ("buffer.conf", "retry_wait 1s", "retry_wait 1d\nretry_type periodic", "pauses between tries"),
    "flushed by the hour": ("buffer.conf", "'60'", "'60m'", "before they leave"),
    "flushed in milliseconds": ("buffer.conf", "'60'", "'500ms'", "write a time"),
    "no thread flushes": ("buffer.conf", "'4'", "'0'", "a whole number above 0"),
    "oldest chunk dropped": ("buffer.conf", "overflow_action block", "overflow_action drop_oldest_chunk", "so that sources wait"),
    "an unknown overflow action": ("buffer.conf", "overflow_action block", "overflow_action wait", "write one of"),
    "a chunk for each user": ("events.conf", "<buffer tag,time>", "<buffer tag,time,userId>", "each value of userId"),
    "tag is no chunk key": ("events.conf", "<buffer tag,time>", "<buffer time>", "must hold one tag"),
    "days as slices": ("buffer.conf", "timekey 1h", "timekey 1d", "timekey 1h"),
    "local hours": ("buffer.conf", "timekey_use_utc true", "timekey_zone Europe/Berlin", "timekey_use_utc true"),
    "no flush at the end": ("buffer.conf", "flush_at_shutdown true", "flush_at_shutdown false", "set flush_at_shutdown true"),
    # S3
    "certificates are not checked": ("s3.conf", "store_as gzip", "store_as gzip\nssl_verify_peer false", "pose as S3"),
    "insecure transport": ("sources.conf", "@id forward\n", "@id forward\n  <transport tls>\n    insecure true\n  </transport>\n",
                           "TLS is switched off"),
    "TLS without a certificate": ("sources.conf", "@id http\n", "@id http\n  <transport tls>\n  </transport>\n", "a certificate"),
    "old TLS": ("sources.conf", "@id http\n", "@id http\n  <transport tls>\n    version TLSv1_1\n  </transport>\n", "TLS 1.1"),
    "no bucket": ("s3.conf", "'music-platform'", "''", "s3_bucket is empty"),
    "bucket is not given": ("s3.conf", "s3_bucket", "# s3_bucket", "needs s3_bucket"),
    "bucket with a folder": ("s3.conf", "'music-platform'", "'music-platform/lake'", "without folders"),
    "bucket as url": ("s3.conf", "'music-platform'", "'s3://music-platform'", "without folders"),
    "errors in another bucket": ("errors.conf", "@include s3.conf", "@include s3.conf\n    s3_bucket errors", "another bucket"),
    "key begins with a slash": ("events.conf", "''}landing", "'/'}landing", "are never read"),
    "prefix without a slash": ("events.conf", "''}landing", "'lake'}landing", "are never read"),
    "endpoint without http": ("s3.conf", "'COLLECTOR_S3_ENDPOINT'] || use_nil", "'S3'] || 'minio:9000'", "is no url"),
    "an archive class": ("s3.conf", "store_as gzip", "store_as gzip\nstorage_class DEEP_ARCHIVE", "must be restored"),
    "public objects": ("s3.conf", "store_as gzip", "store_as gzip\nacl public-read", "strangers"),
    "no line feeds": ("s3.conf", "json_parser yajl", "json_parser yajl\n  add_newline false", "add_newline true"),
    "index in the key": ("s3.conf", "_${chunk_id}", "_%{index}", "put ${chunk_id}"),
    "hours of a clock with a.m.": ("events.conf", "hour=%H", "hour=%I", "are never read"),
    "minutes for months": ("errors.conf", "dt=%Y-%m-%d", "dt=%Y-%M-%d", "are never read"),
    "error records without a tag": ("errors.conf", "tag_key __tag", "", "lack __tag"),
    "error records with another time": ("errors.conf", "%Y-%m-%dT%H:%M:%S.%3NZ", "%d.%m.%Y %H:%M", "is read as %Y"),
    # names, types and what is required
    "an unknown parameter of S3": ("s3.conf", "store_as gzip", "store_as gzip\nbuket lake", "has no parameter buket"),
    "a parameter misspelled": ("buffer.conf", "flush_interval", "flush_intervall", "did you mean flush_interval?"),
    "a parameter of another section": ("s3.conf", "store_as gzip", "store_as gzip\nflush_interval 60s", "has no parameter flush"),
    "a parameter of tail misspelled": ("tail.conf", "refresh_interval", "refresh_intervall", "did you mean refresh_interval?"),
    "a parameter outside of sections": ("sources.conf", "<source>\n  @type tail\n  @id tail_auth", "workers 1\n<source>\n  "
                                        "@type tail\n  @id tail_auth", "has no parameter workers"),
    "an empty size": ("events.conf", "'16g'", "''", "total_limit_size is empty"),
    "an empty time": ("buffer.conf", "timekey_wait ", "timekey_wait # ", "timekey_wait is empty"),
    "a size in words": ("events.conf", "'16g'", "'plenty'", "write a size"),
    "a size with a fraction": ("events.conf", "'16g'", "'1.5g'", "write a size"),
    "a plugin misspelled": ("sources.conf", "@type http", "@type htpp", "did you mean http?"),
    "a section misspelled": ("s3.conf", "format>", "formatter>", "has no <formatter>"),
    "a source without a tag": ("sources.conf", "  tag eventsim.auth_events\n", "", "needs tag"),
    "parser without key_name": ("events.conf", "key_name message", "", "needs key_name"),
    "two buffers": ("events.conf", "<buffer tag,time>", "<buffer>\n    </buffer>\n    <buffer tag,time>", "one <buffer> alone"),
}  # fmt: skip

# name of the change: [(file, text, what takes its place)]
_RIGHT: dict[str, list[tuple[str, str, str]]] = {
    "another bucket": [("s3.conf", "'music-platform'", "'events.lake-2'")],
    "another region": [("s3.conf", "'us-east-1'", "'eu-central-1'")],
    "other sizes": [("events.conf", "'16g'", "'500GB'"), ("buffer.conf", "'64m'", "'8388608'"), ("errors.conf", "'1g'", "'64m'")],
    "other times": [("buffer.conf", "'60'", "'5m'"), ("buffer.conf", "timekey_wait ", "timekey_wait 0 # "),
                    ("buffer.conf", "timekey 1h", "timekey 60m"), ("buffer.conf", "'30'", "'1m'")],
    "utc by its offset": [("buffer.conf", "timekey_use_utc true", "timekey_zone +00:00")],
    "bools in other words": [("buffer.conf", "retry_forever true", "retry_forever yes"),
                             ("s3.conf", "check_bucket false", "check_bucket no"), ("tail.conf", "read_from_head true",
                                                                                    "read_from_head")],
    "periodic retries": [("buffer.conf", "retry_wait 1s", "retry_type periodic\nretry_wait 30s")],
    "compressed buffers": [("buffer.conf", "@type file", "@type file\ncompress gzip")],
    "a lake below a prefix": [("events.conf", "''}landing", "'lake/'}landing"), ("errors.conf", "''}errors", "'lake/'}errors")],
    "state on another disk": [(file, "/var/lib/fluentd", "/data/collector") for file in ("fluent.conf", "events.conf",
                                                                                           "errors.conf")],
    "another file as well": [("sources.conf", "<source>\n  @type forward", "<source>\n  @type tail\n  @id tail_more\n  "
                              "path /var/lib/more/*.jsonl\n  pos_file /var/lib/fluentd/positions/more\n  "
                              "tag eventsim.listen_events\n  @include tail.conf\n</source>\n<source>\n  @type forward")],
    "rotated files by inode": [("sources.conf", "/listen_events.jsonl", "/listen_events*"),
                               ("tail.conf", "read_from_head true", "read_from_head true\nfollow_inodes true")],
    "rotated files excluded": [("sources.conf", "/auth_events.jsonl", "/auth_events.*"),
                               ("sources.conf", "tag eventsim.auth_events",
                                'tag eventsim.auth_events\n  exclude_path ["/var/lib/eventsim/auth_events.*.*", '
                                '"/var/lib/eventsim/auth_events.*-*"]')],
    "a second HTTP port": [("sources.conf", "<source>\n  @type http", "<source>\n  @type http\n  @label @RAW\n  port 9881\n  "
                            "<parse>\n    @type none\n  </parse>\n</source>\n<source>\n  @type http")],
    "lines over TCP": [("sources.conf", "<source>\n  @type http", "<source>\n  @type tcp\n  @label @RAW\n  "
                        "tag eventsim.auth_events\n  <parse>\n    @type none\n  </parse>\n</source>\n<source>\n  @type http")],
    "blocks in another order": [("fluent.conf", "@include sources.conf\n@include events.conf\n@include errors.conf\n",
                                 "@include errors.conf\n@include events.conf\n@include sources.conf\n")],
    "other names of labels": [(file, old, new) for old, new in (("@RAW", "@LINES"), ("@EVENTS", "@MUSIC"))
                              for file in ("sources.conf", "tail.conf", "events.conf", "errors.conf")],
    "comments": [("events.conf", "key_name message", "key_name message # what the source calls a line"),
                 ("buffer.conf", "timekey 1h", "# timekey 1d\ntimekey 1h # hours")],
    "a parameter overridden": [("events.conf", "@include s3.conf", "@include s3.conf\n    storage_class STANDARD_IA")],
    "a copy beside": [("events.conf", "<match **>\n    @type relabel\n    @label @EVENTS", "<match **>\n    @type copy\n    "
                       "<store>\n      @type null\n    </store>\n    <store>\n      @type relabel\n      @label @EVENTS\n    "
                       "</store>")],
    "patterns apart by spaces": [("events.conf", "eventsim.{auth_events,listen_events,page_view_events,status_change_events}",
                                  "eventsim.{auth_events,listen_events} eventsim.page_view_events "
                                  "eventsim.status_change_events")],
    "fdiv": [("events.conf", "t / 1000.0", "t.fdiv(1_000)")],
    "times 0.001": [("events.conf", "t / 1000.0", "t * 0.001")],
    "narrower bounds": [("events.conf", "1_000_000_000_000, 9_999_999_999_999", "1_577_836_800_000, 4_102_444_800_000")],
    "a mark in each event": [("events.conf", "__event_time ${", "collector ${hostname}\n      port 9880\n      types 1\n"
                              "      __event_time ${")],
    "a cluster's certificate": [("sources.conf", "@id forward\n", "@id forward\n  <transport tls>\n    cert_path /etc/c.pem\n    "
                                 "private_key_path /etc/k.pem\n    min_version TLSv1_2\n    max_version TLSv1_3\n  "
                                 "</transport>\n")],
    "quiet log": [("fluent.conf", "<system>", "<system>\n  ignore_repeated_log_interval 60s\n  workers 1")],
    "encrypted objects": [("s3.conf", "store_as gzip", "store_as gzip\nuse_server_side_encryption aws:kms\nssekms_key_id l")],
    "a role": [("s3.conf", "store_as gzip", "store_as gzip\n<assume_role_credentials>\n  role_arn arn:aws:iam::1:role/r\n  "
                "role_session_name collector\n</assume_role_credentials>")],
}  # fmt: skip


def _changed(folder: Path, changes: list[tuple[str, str, str]]) -> Path:
    shutil.copytree(_FOLDER, folder)
    seen = set()
    for file, text, instead in changes:
        content = (folder / file).read_text()
        if text in content:
            seen.add(text)
        (folder / file).write_text(content.replace(text, instead))
    assert seen == {text for _, text, _ in changes}
    return folder / "fluent.conf"


@pytest.mark.parametrize("name", _MISTAKES)
def test_a_mistake_is_found(name: str, tmp_path: Path) -> None:
    file, text, instead, part = _MISTAKES[name]
    findings = lint(parse_configuration(_changed(tmp_path / "fluentd", [(file, text, instead)]), {}))
    assert [finding for finding in findings if part in finding.message], [str(finding) for finding in findings]


@pytest.mark.parametrize("name", _RIGHT)
def test_a_sound_change_is_not_called_wrong(name: str, tmp_path: Path) -> None:
    assert [str(found) for found in lint(parse_configuration(_changed(tmp_path / "fluentd", _RIGHT[name]), {}))] == []


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("fluentd") is None, reason="no fluentd on the PATH, see docs/collecting.md")
@pytest.mark.parametrize("name", [name for name in _RIGHT if name != "a cluster's certificate"])  # there is none
def test_fluentd_itself_takes_a_sound_change(name: str, tmp_path: Path) -> None:
    file = _changed(tmp_path / "fluentd", _RIGHT[name])
    environment = os.environ | {
        "COLLECTOR_STATE": str(tmp_path / "state"),
        "COLLECTOR_EVENTS": str(tmp_path / "events"),
    }
    dry_run = subprocess.run(
        ["fluentd", "--dry-run", "--config", str(file)], capture_output=True, text=True, env=environment, check=False
    )
    assert dry_run.returncode == 0, dry_run.stdout + dry_run.stderr
    assert "is not used" not in dry_run.stdout + dry_run.stderr
