{{/* What is wrong with the sidecars' `env`, as JSON: a list of problems. */}}

{{/* Variables that the chart sets, each with the value they follow, if any. A sidecar may have its own PIPEOPS_LOG_LEVEL, HTTPS_PROXY and NO_PROXY. */}}
{{- define "agent.ownVariables" -}}
BUS_TOKEN_FILE: ''
BUS_URL: ''
CONSOLE_AUTH: console.auth
CONSOLE_EXPECTS: ''
CONSOLE_TOKEN_FILE: console.existingSecret
EDGE_SIDECARS: ''
HEALTH_PORT: ''
PIPEOPS_AGENT_ID: agent.id
PIPEOPS_API_URL: agent.pipeops.apiUrl
PIPEOPS_CA_FILE: agent.pipeops.tls
PIPEOPS_CLUSTER_NAME: agent.cluster.name
PIPEOPS_INSTANCE: ''
PIPEOPS_NODE_NAME: ''
PIPEOPS_POD_NAME: ''
PIPEOPS_POD_NAMESPACE: ''
PIPEOPS_PORT: ''
PIPEOPS_STATE: agent.state
PIPEOPS_STATE_CONFIGMAP_NAME: agent.state.configMapName
PIPEOPS_STATE_NAMESPACE: ''
PIPEOPS_STATE_SECRET_NAME: agent.state.secretName
PIPEOPS_TOKEN_FILE: agent.pipeops.existingSecret
PROXY_ALLOWED_SERVICES: proxy.allowedServices
PROXY_CONNECTIONS: proxy.connections
SHUTDOWN_GRACE_SECONDS: shutdownGraceSeconds
{{- end }}

{{- define "agent.envProblems" -}}
{{- $problems := list }}
{{- $own := include "agent.ownVariables" . | fromYaml }}
{{- $seen := dict }}
{{- range $sidecar := append (include "agent.enabledSidecars" . | fromJsonArray) "nats" }}
{{- $set := dict }}
{{- if ne $sidecar "nats" }}
{{- $set = omit ((include (printf "sidecar.%s" $sidecar) $ | fromYaml).env | default dict) "HTTPS_PROXY" "NO_PROXY" }}
{{- end }}
{{- range $name, $value := (index $.Values $sidecar).env }}
{{- $path := printf "%s.env.%s" $sidecar $name }}
{{- if or (hasKey $own $name) (hasKey $set $name) }}
{{- $problems = append $problems (printf "%s: is set by the chart; %s" $path (get $own $name | empty | ternary "take it out" (printf "use %s" (get $own $name)))) }}
{{- end }}
{{- if and (kindIs "string" $value) (regexMatch "(?s)://.*@" (toString $value)) }}
{{- $problems = append $problems (printf "%s: has credentials in it, for everybody to read who may read pods; take it from a Secret with valueFrom.secretKeyRef" $path) }}
{{- end }}
{{- if and (eq $.Values.profile "edge") (ne $sidecar "nats") }}
{{- $first := get $seen $name | default (dict "path" $path "value" $value) }}
{{- if ne (toJson $first.value) (toJson $value) }}
{{- $problems = append $problems (printf "%s, %s: differ, and profile=edge has one process for both; give them the same value" $first.path $path) }}
{{- end }}
{{- $_ := set $seen $name $first }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}
