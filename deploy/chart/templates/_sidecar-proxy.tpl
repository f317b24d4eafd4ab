{{/* Requests from the control plane, made as the user they came from. */}}
{{- define "sidecar.proxy" -}}
port: 8082
portVariable: HEALTH_PORT
livePath: /healthz
readyPath: /readyz
usesKubernetes: true
# Bodies pass through it (docs/adr/0006).
nodeFlags: [--initial-old-space-size=64]
env:
  PROXY_CONNECTIONS: {{ .Values.proxy.connections | quote }}
  {{- with .Values.proxy.allowedServices }}
  PROXY_ALLOWED_SERVICES: {{ join "," . | quote }}
  {{- end }}
  {{- include "agent.uplinkEnv" . | nindent 2 }}
mounts:
  {{- include "agent.uplinkMounts" . | nindent 2 }}
volumes:
  {{- include "agent.uplinkVolumes" . | nindent 2 }}
clusterRules:
  {{- range $resource, $names := dict "users" .Values.rbac.users "groups" .Values.rbac.groups }}
  {{- if $names }}
  - apiGroups: ['']
    resources: [{{ $resource }}]
    resourceNames: {{ toJson $names }}
    verbs: [impersonate]
  {{- end }}
  {{- end }}
rules: []
{{- end }}
