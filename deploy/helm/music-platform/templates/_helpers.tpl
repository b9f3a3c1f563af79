{{/* Labels that a pod keeps over upgrades: (list $ "component"). */}}
{{- define "music-platform.selectorLabels" -}}
app.kubernetes.io/name: music-platform
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* All labels: (list $ "component"). */}}
{{- define "music-platform.labels" -}}
{{ include "music-platform.selectorLabels" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{/* Reference of an image: (list $ "platform"). */}}
{{- define "music-platform.image" -}}
{{- $images := (index . 0).Values.images -}}
{{- $image := index $images (index . 1) -}}
{{- $name := $image.repository -}}
{{- if and $images.registry (not (has (index . 1) (list "postgres" "s3"))) -}}
{{- $name = printf "%s/%s" (trimSuffix "/" $images.registry) $image.repository -}}
{{- end -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $name $image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (default (index . 0).Chart.AppVersion $image.tag) }}
{{- end -}}
{{- end }}

{{/* Where a pod runs, and what all pods share: (list $ .Values.component). */}}
{{- define "music-platform.scheduling" -}}
{{- $all := (index . 0).Values.scheduling -}}
{{- $own := index . 1 -}}
# No variables of Services: COLLECTOR_PORT, SUPERSET_PORT and the like would be read as settings.
enableServiceLinks: false
{{- with $all.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" }}
{{- with default (index $all $field) (index $own $field) }}
{{ $field }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- with (index . 0).Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Pods of one component apart from each other, where there is room: (list $ "component"). */}}
{{- define "music-platform.spread" -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "music-platform.selectorLabels" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{/* The security context of a pod whose processes have this user and group. */}}
{{- define "music-platform.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "music-platform.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "music-platform.endpoint" -}}
{{ .Values.s3.enabled | ternary "http://s3:9000" .Values.lake.endpoint }}
{{- end }}

{{- define "music-platform.bucket" -}}
{{ (urlParse .Values.lake.url).host }}
{{- end }}

{{- define "music-platform.postgresHost" -}}
{{ .Values.postgres.enabled | ternary "postgres" .Values.postgres.host }}
{{- end }}

{{/* An environment variable from a key of a Secret: (list "VARIABLE" "secret" "key"). */}}
{{- define "music-platform.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom: {secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}}
{{- end }}


{{/* The secrets of every pod of the platform; the rest of its environment is the ConfigMap music-platform. */}}
{{- define "music-platform.environment" -}}
{{ include "music-platform.fromSecret" (list "DAGSTER_POSTGRES_PASSWORD" .Values.postgres.secret "dagster") }}
{{- with .Values.lake.secret }}
{{ include "music-platform.fromSecret" (list "MUSIC_PLATFORM_S3_ACCESS_KEY_ID" . "access-key-id") }}
{{ include "music-platform.fromSecret" (list "MUSIC_PLATFORM_S3_SECRET_ACCESS_KEY" . "secret-access-key") }}
{{- /* Dagster's compute logs know AWS's own variables alone. */}}
{{ include "music-platform.fromSecret" (list "AWS_ACCESS_KEY_ID" . "access-key-id") }}
{{ include "music-platform.fromSecret" (list "AWS_SECRET_ACCESS_KEY" . "secret-access-key") }}
{{- end }}
{{- if .Values.superset.enabled }}
{{ include "music-platform.fromSecret" (list "MUSIC_PLATFORM_SUPERSET_PASSWORD" .Values.superset.secret "admin-password") }}
{{- end }}
{{- end }}

{{- define "music-platform.environmentFrom" -}}
- configMapRef: {name: music-platform}
{{- with .Values.settingsSecret }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- end }}

{{/* The folders that a container of the platform writes to. */}}
{{- define "music-platform.writableMounts" -}}
- {name: home, mountPath: /opt/dagster/home}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "music-platform.writableVolumes" -}}
- {name: home, emptyDir: {}}
- {name: tmp, emptyDir: {}}
{{- end }}

{{/* A container of the platform, but for its command, ports, probes and resources. */}}
{{- define "music-platform.platformContainer" -}}
image: {{ include "music-platform.image" (list . "platform") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext: {{- include "music-platform.containerSecurity" . | nindent 2 }}
env:
  {{- include "music-platform.environment" . | nindent 2 }}
envFrom: {{- include "music-platform.environmentFrom" . | nindent 2 }}
volumeMounts:
  {{- include "music-platform.writableMounts" . | nindent 2 }}
  - {name: dagster, mountPath: /opt/dagster/home/dagster.yaml, subPath: dagster.yaml}
  - {name: dagster, mountPath: /opt/dagster/home/workspace.yaml, subPath: workspace.yaml}
{{- end }}

{{- define "music-platform.platformVolumes" -}}
{{ include "music-platform.writableVolumes" . }}
- {name: dagster, configMap: {name: dagster}}
{{- end }}

{{/* Of every pod that reads the ConfigMaps: it restarts when they change. */}}
{{- define "music-platform.checksums" -}}
checksum/settings: {{ include "music-platform.settings" . | sha256sum }}
checksum/dagster: {{ include "music-platform.dagster" . | sha256sum }}
{{- end }}

{{/* A volume claim of a StatefulSet: (list $ "name" "20Gi"). */}}
{{- define "music-platform.claim" -}}
- metadata: {name: {{ index . 1 }}}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with (index . 0).Values.persistence.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ index . 2 }}}}
{{- end }}
