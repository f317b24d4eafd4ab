{{/* Diagnostics over HTTP; what it knows it learns from the bus. */}}
{{- define "sidecar.console" -}}
{{- $console := .Values.console }}
port: 8080
portVariable: PIPEOPS_PORT
livePath: /health
readyPath: /ready
usesKubernetes: false
env:
  CONSOLE_AUTH: {{ $console.auth }}
  CONSOLE_EXPECTS: {{ include "agent.enabledSidecars" . | fromJsonArray | join "," }}
  {{- if $console.existingSecret }}
  CONSOLE_TOKEN_FILE: /run/secrets/console/token
  {{- end }}
  {{- /* The port above answers for all of it. */}}
  HEALTH_HOST: 127.0.0.1
  HEALTH_PORT: "0"
mounts:
  {{- if $console.existingSecret }}
  console-token: /run/secrets/console
  {{- end }}
volumes:
  {{- if $console.existingSecret }}
  console-token:
    secret:
      secretName: {{ $console.existingSecret }}
      defaultMode: 0440
      items: [{ key: {{ $console.existingSecretKey | quote }}, path: token }]
  {{- end }}
clusterRules:
  {{- /* Proxy asks for the console, which has no credential: who is this, and does RBAC let them in? */}}
  {{- if and .Values.proxy.enabled (eq $console.auth "required") }}
  - apiGroups: [authentication.k8s.io]
    resources: [tokenreviews]
    verbs: [create]
  - apiGroups: [authorization.k8s.io]
    resources: [subjectaccessreviews]
    verbs: [create]
  {{- end }}
rules: []
{{- end }}
