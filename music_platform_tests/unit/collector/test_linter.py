"""The project's configuration of Fluentd keeps every rule, and each rule is broken by some change of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.collector import RULES, Finding, lint, parse_configuration
from music_platform_tests.places import REPOSITORY

_FOLDER = REPOSITORY / "fluentd"
_SWITCHES = [
    {}, {"COLLECTOR_SHARED_KEY": "secret"}, {"COLLECTOR_METRICS_PORT": "24231"},
    {"COLLECTOR_TLS_CERTIFICATE": "/tls/tls.crt", "COLLECTOR_TLS_KEY": "/tls/tls.key", "COLLECTOR_TLS_CLIENT_CA": "/tls/ca.crt"},
]  # fmt: skip

# (rules that are broken, file, text, what takes its place)
_BROKEN = [
    ("key_names_the_chunk key_is_read", "s3.conf", "_${chunk_id}.json", "_%{index}.json"),
    ("key_names_the_chunk key_is_read", "s3.conf", "s3_object_key_format %{path}", "#"),
    ("key_names_the_chunk key_is_read", "s3.conf", "${chunk_id}", "%{uuid_hash}"),
    ("key_is_read", "s3.conf", ".json.%{file_extension}", ".jsonl.%{file_extension}"),
    ("key_is_read", "events.conf", "/dt=%Y-%m-%d/hour=%H/", "/date=%Y-%m-%d/hour=%H/"),
    ("key_is_read events_are_landed", "events.conf", "landing/${tag[1]}", "landed/${tag[1]}"),
    ("key_is_read", "events.conf", "${tag[1]}", "${tag}"),
    ("key_is_read", "errors.conf", "errors/dt=%Y-%m-%d/", "errors/%Y/%m/%d/"),
    ("key_is_read errors_are_landed unknown_tags_are_kept", "errors.conf", "''}errors/", "'lake'}errors/"),
    ("keys_are_not_probed", "s3.conf", "check_object false", "check_object true"),
    ("keys_are_not_probed", "s3.conf", "check_object false", ""),
    ("starts_without_s3", "s3.conf", "check_bucket false", ""),
    ("starts_without_s3", "s3.conf", "check_apikey_on_start false", "check_apikey_on_start yes"),
    ("gzip_json_lines key_is_read", "s3.conf", "gzip", "text"),
    ("gzip_json_lines", "s3.conf", "<format>\n  @type json", "<format>\n  @type out_file"),
    ("secrets_are_variables", "s3.conf", "\"#{ENV['COLLECTOR_S3_SECRET_ACCESS_KEY'] || use_nil}\"", "abc"),
    ("buffers_are_files parameters_are_known", "buffer.conf", "@type file", "@type memory"),
    ("buffers_are_files parameters_are_known", "buffer.conf", "@type file", ""),
    ("nothing_is_shared", "errors.conf", "/buffer/errors", "/buffer/events"),
    ("tried_for_ever", "buffer.conf", "retry_forever true", ""),
    ("tried_for_ever", "buffer.conf", "retry_forever true", "retry_timeout 720h"),
    ("pauses_are_bounded", "buffer.conf", "retry_max_interval", "# "),
    ("full_means_wait", "buffer.conf", "overflow_action block", ""),
    ("full_means_wait", "buffer.conf", "overflow_action block", "overflow_action drop_oldest_chunk"),
    ("hours_are_utc", "buffer.conf", "timekey_use_utc true", ""),
    ("hours_are_utc", "buffer.conf", "timekey_use_utc true", "timekey_zone Asia/Tokyo"),
    ("slices_are_hours", "buffer.conf", "timekey 1h", "timekey 10h"),
    ("slices_are_hours key_is_read", "buffer.conf",
     "timekey 1h", "timekey 10m"),
    ("injected_times_are_utc", "errors.conf", "utc true", ""),
    ("injected_times_are_utc", "errors.conf", "utc true", "timezone Asia/Tokyo"),
    ("placeholders_are_chunk_keys", "events.conf", "<buffer tag,time>", "<buffer>"),
    ("placeholders_are_chunk_keys", "events.conf", "<buffer tag,time>", "<buffer time>"),
    ("flushed_by_interval", "buffer.conf", "flush_mode interval", "flush_mode lazy"),
    ("flushed_by_interval", "buffer.conf", "flush_mode interval", ""),
    ("flushed_at_the_end", "buffer.conf", "flush_at_shutdown true", ""),
    ("queue_is_long", "buffer.conf", "queued_chunks_limit_size 1024", ""),
    ("includes_find_files", "fluent.conf", "monitoring.conf", "monitor.conf"),
    ("includes_find_files errors_are_landed unknown_tags_are_kept", "fluent.conf",
     "@include errors.conf", "@include error.conf"),
    ("state_lasts", "fluent.conf", 'root_dir "', '# "'),
    ("errors_are_landed unknown_tags_are_kept", "errors.conf", "<label @ERROR>", "<label @MISTAKES>"),
    ("errors_are_landed unknown_tags_are_kept nothing_behind_catch_all", "errors.conf", "  <match **>\n    @type s3",
     "  <match **>\n    @type null\n  </match>\n  <match **>\n    @type s3"),
    ("error_path_ends", "errors.conf", "  <match **>\n    @type s3",
     "  <match **>\n    @type relabel\n    @label @LATER\n  </match>\n</label>\n<label @LATER>\n  <match **>\n    @type s3"),
    ("error_path_ends", "errors.conf", "renew_record true", ""),
    ("error_path_ends nothing_is_dropped", "errors.conf", "<label @ERROR>",
     "<label @ERROR>\n  <filter **>\n    @type grep\n  </filter>"),
    ("labels_exist events_are_landed unknown_tags_are_kept", "events.conf", "@label @EVENTS", "@label @EVENT"),
    ("labels_exist events_are_landed", "events.conf", "@label @RAW", "@label @ERROR"),
    ("unknown_tags_are_kept", "events.conf", "${::Kernel.raise(", "${("),
    ("labels_catch_all", "events.conf", "  <match **>\n    @type null\n  </match>", ""),
    ("labels_catch_all unknown_tags_are_kept", "events.conf", "  <match **>\n    @type relabel\n    @label @EVENTS",
     "  <match eventsim.**>\n    @type relabel\n    @label @EVENTS"),
    ("nothing_behind_catch_all events_are_landed unknown_tags_are_kept", "events.conf",
     "<match eventsim.{auth", "<match **>\n    @type null\n  </match>\n  <match eventsim.{auth"),
    ("unknown_tags_are_kept", "events.conf", "{auth_events,listen_events,page_view_events,status_change_events}", "*"),
    ("events_are_landed", "events.conf", "page_view_events,status_change_events", "page_view_events"),
    ("events_are_landed", "sources.conf", "tag eventsim.auth_events", "tag eventsim.auth"),
    ("events_are_landed unknown_tags_are_kept", "sources.conf", "@label @EVENTS\n", "\n"),
    ("lines_stay_raw", "tail.conf", "@type none", "@type json"),
    ("lines_stay_raw", "sources.conf", "  <parse>\n    @type none\n  </parse>\n", ""),
    ("nothing_is_shared", "sources.conf", "/positions/auth_events", "/positions/listen_events"),
    ("positions_are_kept", "sources.conf", "pos_file", "# pos_file"),
    ("sources_take_all", "tail.conf", "read_from_head true", ""),
    ("invalid_lines_are_kept", "events.conf", "emit_invalid_record_to_error true", "emit_invalid_record_to_error false"),
    ("lines_are_parsed", "events.conf", "time_key __none__", ""),
    ("time_is_that_of_the_event", "events.conf", "renew_time_key __event_time", ""),
    ("errors_are_filed_by_the_clock", "errors.conf", "renew_time_key __collected", ""),
    ("errors_are_filed_by_the_clock", "errors.conf", "renew_time_key __collected", "renew_time_key __reason"),
    ("errors_are_filed_by_the_clock", "errors.conf", "::Time.now.to_f", "time"),
    ("parameters_are_known", "buffer.conf", "timekey_wait", "time_key_wait"),
    ("values_are_of_their_type", "buffer.conf", "timekey_wait 10s", "timekey_wait soon"),
    ("required_is_given", "sources.conf", "  tag eventsim.auth_events\n", "  tag \"#{ENV['TAG'] || use_nil}\"\n"),
    ("sections_are_known", "sources.conf", "@id http\n", "@id http\n  <buffer>\n  </buffer>\n"),
    ("bucket_is_one", "s3.conf", "'music-platform'", "'Music'"),
    ("lake_is_one", "errors.conf", "@include s3.conf", "@include s3.conf\n    s3_bucket errors"),
    ("objects_are_readable", "s3.conf", "store_as gzip", "store_as gzip\nstorage_class GLACIER"),
    ("tls_is_verified", "s3.conf", "store_as gzip", "store_as gzip\nssl_verify_peer false"),
    ("buffers_hold_chunks", "events.conf", "'16g'", "'100m'"),
    ("chunks_are_large", "buffer.conf", "'64m'", "'64'"),
    ("unwritable_chunks_are_kept", "buffer.conf", "timekey 1h", "timekey 1h\ndisable_chunk_backup true"),
    ("parsed_as_written", "events.conf", "reserve_data false", "reserve_data true"),
    ("nothing_is_dropped", "events.conf", "<label @EVENTS>", "<label @EVENTS>\n  <filter **>\n    @type grep\n  </filter>"),
    ("fields_are_kept", "events.conf", "remove_keys __event_time", "remove_keys __event_time,userId"),
    ("files_are_read_once", "sources.conf", "/auth_events.jsonl", "/auth_events*"),
    ("starts_once", "fluent.conf", "<system>", "<system>\n  workers 2"),
    ("error_records_complete", "errors.conf", "tag_key __tag", ""),
    ("errors_are_filed_by_the_clock", "errors.conf", "    enable_ruby true\n    renew_record", "    renew_record"),
]  # fmt: skip


def _lint(folder: Path, environment: dict[str, str] | None = None) -> list[Finding]:
    return lint(parse_configuration(folder / "fluent.conf", environment or {}))


@pytest.mark.parametrize("environment", _SWITCHES, ids=lambda environment: ", ".join(environment) or "defaults")
def test_the_project_s_configuration_keeps_every_rule(environment: dict[str, str]) -> None:
    assert [str(finding) for finding in _lint(_FOLDER, environment)] == []


@pytest.mark.parametrize(("rules", "file", "text", "instead"), _BROKEN)
def test_a_broken_configuration_is_found(rules: str, file: str, text: str, instead: str, tmp_path: Path) -> None:
    folder = shutil.copytree(_FOLDER, tmp_path / "fluentd")
    content = (folder / file).read_text()
    assert text in content
    (folder / file).write_text(content.replace(text, instead, 1))
    findings = _lint(folder)
    assert {finding.rule for finding in findings} == set(rules.split())
    for finding in findings:
        assert finding.place.line <= len(finding.place.file.read_text().splitlines())


def test_every_rule_is_broken_by_some_change() -> None:
    broken = {rule for rules, *_ in _BROKEN for rule in rules.split()}
    assert broken == {rule.name for rule in RULES}
    assert all(rule.description.endswith(".") for rule in RULES)


def test_a_finding_names_file_line_and_what_to_do(tmp_path: Path) -> None:
    folder = shutil.copytree(_FOLDER, tmp_path / "fluentd")
    content = (folder / "s3.conf").read_text().replace("check_object false", "check_object true")
    (folder / "s3.conf").write_text(content)
    line = content.splitlines().index("check_object true") + 1
    [finding] = _lint(folder)  # both outputs include the line; it is told once
    assert str(finding).startswith(f"{folder / 's3.conf'}:{line}: keys_are_not_probed: ")
    assert "set check_object false" in finding.message


def test_a_loop_of_labels_ends() -> None:
    configuration = parse_configuration(_FOLDER / "fluent.conf", {})
    [raw] = [label for label in configuration.root.children("label") if label.argument == "@RAW"]
    [relabel] = raw.children("match")
    relabel.parameters["@label"] = relabel.parameters["@label"].__class__("@BODIES", relabel.place, False)
    assert any("in circles" in finding.message for finding in lint(configuration))


def test_the_command_tells_findings_and_fails(tmp_path: Path) -> None:
    runner = CliRunner()
    good = runner.invoke(app, ["fluentd", "lint", str(_FOLDER / "fluent.conf"), "--set", "COLLECTOR_SHARED_KEY=x"])
    assert good.exit_code == 0, good.output
    assert f"keeps all {len(RULES)} rules" in good.output
    folder = shutil.copytree(_FOLDER, tmp_path / "fluentd")
    buffer = folder / "buffer.conf"
    buffer.write_text(buffer.read_text().replace("retry_forever true", ""))
    broken = runner.invoke(app, ["fluentd", "lint", str(folder / "fluent.conf")])
    assert broken.exit_code == 1
    assert "tried_for_ever: a chunk is dropped" in broken.output
    absent = runner.invoke(app, ["fluentd", "lint", str(tmp_path / "absent.conf")])
    assert absent.exit_code == 1
    assert "cannot read the configuration" in absent.output
    assert runner.invoke(app, ["fluentd", "lint", "--set", "COLLECTOR_STATE"]).exit_code == 2


def test_the_configuration_that_was_measured_keeps_the_rules(sample_folder: Path) -> None:
    """It was written before this linter, and lost no event in any of its trials."""
    environment = {"FL_STATE": "/state", "FL_DATA": "/data", "S3_KEY": "k", "S3_SECRET": "s"}
    findings = lint(parse_configuration(sample_folder / "fluentd" / "fluent.conf", environment))
    # Its mistakes: one hour alone is open there, an unknown tag is filed by its own time, and what the output of errors cannot
    # write comes back to it without end.
    assert {finding.rule for finding in findings} == {
        "queue_is_long", "errors_are_filed_by_the_clock", "error_path_ends",
    }  # fmt: skip
