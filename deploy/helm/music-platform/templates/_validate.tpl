{{/* What no schema can say: values that contradict each other. */}}
{{- define "music-platform.validate" -}}
{{- if and .Values.s3.enabled (not .Values.lake.secret) -}}
{{- fail "s3.enabled: lake.secret must name the Secret with the administrator of that server (access-key-id, secret-access-key)" -}}
{{- end -}}
{{- if and .Values.s3.enabled .Values.lake.endpoint -}}
{{- fail "s3.enabled and lake.endpoint name two S3 servers: leave one out" -}}
{{- end -}}
{{- if and (not .Values.postgres.enabled) (not .Values.postgres.host) -}}
{{- fail "postgres.host: name the server, or enable the bundled one by postgres.enabled" -}}
{{- end -}}
{{- if and .Values.postgres.enabled .Values.postgres.host -}}
{{- fail "postgres.enabled and postgres.host name two servers: leave one out" -}}
{{- end -}}
{{- if and .Values.druid.enabled .Values.druid.url -}}
{{- fail "druid.enabled and druid.url name two Druids: leave one out" -}}
{{- end -}}
{{- if and .Values.superset.enabled (not (or .Values.druid.enabled .Values.druid.url)) -}}
{{- fail "superset.enabled: its dashboards need Druid; set druid.enabled or druid.url, or switch Superset off" -}}
{{- end -}}
{{- if and .Values.eventsim.enabled (not .Values.collector.enabled) -}}
{{- fail "eventsim.enabled: it sends to the collector; set collector.enabled" -}}
{{- end -}}
{{- range $name, $_ := .Values.settings -}}
{{- if hasKey (include "music-platform.ownSettings" $ | fromYaml) $name -}}
{{- fail (printf "settings.%s: another value of the chart sets it" $name) -}}
{{- end -}}
{{- end -}}
{{- end }}
