{{- define "controlPlane.env" -}}
{{- $env := dict
  "CONTROL_PLANE_PORT" "8443"
  "CONTROL_PLANE_PUBLIC_URL" (include "controlPlane.publicUrl" .)
  "CONTROL_PLANE_DATA_DIR" "/data"
  "CONTROL_PLANE_WAIT_SECONDS" .Values.waitSeconds
  "CONTROL_PLANE_HEARTBEAT_SECONDS" .Values.heartbeatSeconds
  "HEALTH_PORT" "8083"
  "SHUTDOWN_GRACE_SECONDS" .Values.shutdownGraceSeconds
  "PIPEOPS_LOG_LEVEL" .Values.config.logging.level
  "PIPEOPS_INSTANCE" "$(PIPEOPS_POD_NAME)" }}
{{- if .Values.tls.existingSecret }}
{{- $_ := set $env "CONTROL_PLANE_TLS_CERT_FILE" "/run/secrets/tls/tls.crt" }}
{{- $_ := set $env "CONTROL_PLANE_TLS_KEY_FILE" "/run/secrets/tls/tls.key" }}
{{- end }}
{{- if .Values.users.existingSecret }}
{{- $_ := set $env "CONTROL_PLANE_TOKENS_FILE" "/run/secrets/users/tokens.csv" }}
{{- end }}
{{- if .Values.nats.existingSecret }}
{{- $key := dict "name" .Values.nats.existingSecret "key" .Values.nats.existingSecretKey }}
{{- $_ := set $env "CONTROL_PLANE_NATS_URL" (dict "valueFrom" (dict "secretKeyRef" $key)) }}
{{- else if .Values.nats.url }}
{{- $_ := set $env "CONTROL_PLANE_NATS_URL" .Values.nats.url }}
{{- end }}
{{- $env = mergeOverwrite $env (include "controlPlane.ctlEnv" . | fromYaml) (.Values.env | default dict) }}
- { name: PIPEOPS_POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
{{- range $name, $value := $env }}
{{- if kindIs "map" $value }}
- name: {{ $name }}
  {{- toYaml $value | nindent 2 }}
{{- else }}
- name: {{ $name }}
  {{- /* YAML's numbers arrive as floats, which print as 1e+06. */}}
  value: {{ ternary (int64 $value) $value (kindIs "float64" $value) | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* For `kubectl exec … node /app/ctl.mjs`. */}}
{{- define "controlPlane.ctlEnv" -}}
CONTROL_PLANE_TOKEN_FILE: /data/admin.token
{{- if .Values.tls.existingSecret }}
CONTROL_PLANE_URL: {{ include "controlPlane.publicUrl" . }}
{{- else }}
CONTROL_PLANE_URL: https://localhost:8443
CONTROL_PLANE_CA_FILE: /data/ca.crt
{{- end }}
{{- end }}

{{- define "controlPlane.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "controlPlane.podSecurity" -}}
runAsNonRoot: true
{{- range $name, $id := .Values.podSecurityContext }}
{{- if not (kindIs "invalid" $id) }}
{{ $name }}: {{ int64 $id }}
{{- end }}
{{- end }}
{{- if (.Values.podSecurityContext | default dict).fsGroup }}
{{- /* Only where the volume is new: done each time, it would open the private keys in it to the group. */}}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: { type: RuntimeDefault }
{{- end }}
