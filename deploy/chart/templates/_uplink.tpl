{{/* What every sidecar needs that dials the control plane: whom to trust, and which way leads out. */}}

{{- define "agent.hasCa" -}}
{{- if or .Values.agent.pipeops.tls.caBundle .Values.agent.pipeops.tls.existingConfigMap }}true{{ end }}
{{- end }}

{{- define "agent.uplinkEnv" -}}
{{- if include "agent.hasCa" . }}
PIPEOPS_CA_FILE: /run/pipeops/ca/ca.crt
{{- end }}
{{- with .Values.agent.httpsProxy }}
HTTPS_PROXY: {{ . | quote }}
{{- end }}
{{- with .Values.agent.noProxy }}
NO_PROXY: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "agent.uplinkMounts" -}}
{{- if include "agent.hasCa" . }}
control-plane-ca: /run/pipeops/ca
{{- end }}
{{- end }}

{{- define "agent.uplinkVolumes" -}}
{{- if include "agent.hasCa" . }}
{{- $tls := .Values.agent.pipeops.tls }}
control-plane-ca:
  configMap:
    name: {{ $tls.existingConfigMap | default (printf "%s-ca" (include "agent.fullname" .)) }}
    items: [{ key: {{ ternary "ca.crt" $tls.existingConfigMapKey (empty $tls.existingConfigMap) | quote }}, path: ca.crt }]
{{- end }}
{{- end }}
