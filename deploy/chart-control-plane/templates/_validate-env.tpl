{{/* What is wrong with `env`, as JSON: a list of problems. */}}

{{/* Variables that the chart sets, each with the value they follow, if any. */}}
{{- define "controlPlane.ownVariables" -}}
CONTROL_PLANE_CA_FILE: ''
CONTROL_PLANE_DATA_DIR: ''
CONTROL_PLANE_HEARTBEAT_SECONDS: heartbeatSeconds
CONTROL_PLANE_NATS_URL: nats.url or nats.existingSecret
CONTROL_PLANE_PORT: service.port
CONTROL_PLANE_PUBLIC_URL: publicUrl
CONTROL_PLANE_TLS_CERT_FILE: tls.existingSecret
CONTROL_PLANE_TLS_KEY_FILE: tls.existingSecret
CONTROL_PLANE_TOKENS_FILE: users.existingSecret
CONTROL_PLANE_TOKEN_FILE: ''
CONTROL_PLANE_URL: ''
CONTROL_PLANE_WAIT_SECONDS: waitSeconds
HEALTH_PORT: ''
PIPEOPS_INSTANCE: ''
PIPEOPS_LOG_LEVEL: config.logging.level
PIPEOPS_POD_NAME: ''
SHUTDOWN_GRACE_SECONDS: shutdownGraceSeconds
{{- end }}

{{- define "controlPlane.envProblems" -}}
{{- $problems := list }}
{{- $own := include "controlPlane.ownVariables" . | fromYaml }}
{{- range $name, $value := .Values.env }}
{{- if hasKey $own $name }}
{{- $problems = append $problems (printf "env.%s: is set by the chart; %s" $name (get $own $name | empty | ternary "take it out" (printf "use %s" (get $own $name)))) }}
{{- end }}
{{- if and (kindIs "string" $value) (regexMatch "(?s)://.*@" (toString $value)) }}
{{- $problems = append $problems (printf "env.%s: has credentials in it, for everybody to read who may read pods; take it from a Secret with valueFrom.secretKeyRef" $name) }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}
