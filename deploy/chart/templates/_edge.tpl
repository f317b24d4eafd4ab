{{/* The profile `edge`: all enabled sidecars in one process, with the settings, mounts and rights of all. */}}
{{- define "sidecar.edge" -}}
{{- $env := dict "EDGE_SIDECARS" (include "agent.enabledSidecars" . | fromJsonArray | join ",") }}
{{- $given := dict }}
{{- $mounts := dict }}
{{- range $name := include "agent.enabledSidecars" . | fromJsonArray }}
{{- $sidecar := include (printf "sidecar.%s" $name) $ | fromYaml }}
{{- if ne $sidecar.portVariable "HEALTH_PORT" }}
{{- $_ := set $env $sidecar.portVariable $sidecar.port }}
{{- end }}
{{- /* Health is answered by the process, for all of them. */}}
{{- $own := omit ($sidecar.env | default dict) "HEALTH_HOST" "HEALTH_PORT" }}
{{- $env = mergeOverwrite $env $own }}
{{- $given = mergeOverwrite $given ((index $.Values $name).env | default dict) }}
{{- $mounts = mergeOverwrite $mounts ($sidecar.mounts | default dict) }}
{{- end }}
port: 8081
portVariable: HEALTH_PORT
livePath: /healthz
readyPath: /readyz
usesKubernetes: {{ include "agent.usesKubernetes" . | default "false" }}
nodeFlags: {{ include "agent.collect" (dict "root" . "list" "nodeFlags") }}
env: {{- toYaml (mergeOverwrite $env $given) | nindent 2 }}
mounts: {{- toYaml $mounts | nindent 2 }}
{{- end }}

{{/* "true" where the sidecars are processes of their own, and need a bus between them. */}}
{{- define "agent.hasBus" -}}
{{- if ne .Values.profile "edge" }}true{{ end }}
{{- end }}
