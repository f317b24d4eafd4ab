{{/* The control connection. The only one that holds the agent's token. */}}
{{- define "sidecar.link" -}}
{{- $pipeops := .Values.agent.pipeops }}
port: 8081
portVariable: HEALTH_PORT
livePath: /healthz
readyPath: /readyz
usesKubernetes: true
env:
  PIPEOPS_API_URL: {{ include "agent.fromConfig" (list . "PIPEOPS_API_URL") }}
  PIPEOPS_CLUSTER_NAME: {{ include "agent.fromConfig" (list . "PIPEOPS_CLUSTER_NAME") }}
  PIPEOPS_TOKEN_FILE: /run/secrets/pipeops/token
  PIPEOPS_STATE: kubernetes
  PIPEOPS_STATE_NAMESPACE: {{ .Release.Namespace }}
  PIPEOPS_STATE_CONFIGMAP_NAME: {{ include "agent.stateConfigMapName" . }}
  PIPEOPS_STATE_SECRET_NAME: {{ include "agent.stateSecretName" . }}
  {{- with .Values.agent.id }}
  PIPEOPS_AGENT_ID: {{ . | quote }}
  {{- end }}
  {{- include "agent.uplinkEnv" . | nindent 2 }}
mounts:
  agent-token: /run/secrets/pipeops
  {{- include "agent.uplinkMounts" . | nindent 2 }}
volumes:
  agent-token:
    secret:
      secretName: {{ include "agent.tokenSecretName" . }}
      defaultMode: 0440
      items: [{ key: {{ ternary "token" $pipeops.existingSecretKey (empty $pipeops.existingSecret) | quote }}, path: token }]
  {{- include "agent.uplinkVolumes" . | nindent 2 }}
clusterRules:
  {{- if ne .Values.rbac.profile "namespaced" }}
  - apiGroups: ['']
    resources: [nodes, pods]
    verbs: [list, watch]
  - apiGroups: [metrics.k8s.io]
    resources: [nodes]
    verbs: [list]
  {{- end }}
rules:
  - apiGroups: ['']
    resources: [configmaps]
    resourceNames: [{{ include "agent.stateConfigMapName" . }}]
    verbs: [get, update, patch]
  - apiGroups: ['']
    resources: [secrets]
    resourceNames: [{{ include "agent.stateSecretName" . }}]
    verbs: [get, update, patch]
  {{- /* Of pods that start together one must win: link tries to make the ids' ConfigMap. The API server does not know a
         new object's name when it authorizes that. Whoever could make any Secret could make a token of any account. */}}
  - apiGroups: ['']
    resources: {{ ternary "[configmaps]" "[configmaps, secrets]" .Values.agent.state.create }}
    verbs: [create]
{{- end }}
