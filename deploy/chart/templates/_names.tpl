{{/* The full name: the release's, unless it would not say what this is. A release may have dots in its name, a Service not. */}}
{{- define "agent.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | replace "." "-" | trunc 40 | trimAll "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 40 | trimAll "-" }}
{{- end }}
{{- end }}

{{- define "agent.name" -}}
{{- .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{/* Labels that select the agent's pods; they must never change. */}}
{{- define "agent.selector" -}}
app.kubernetes.io/name: {{ include "agent.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: agent
{{- end }}

{{/* Labels of the pod that `helm test` starts; a network policy lets it in. */}}
{{- define "agent.testSelector" -}}
app.kubernetes.io/name: {{ include "agent.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of a pod: nothing that changes where the pod does not. */}}
{{- define "agent.podLabels" -}}
{{ include "agent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: pipeops
{{- end }}

{{- define "agent.labels" -}}
{{ include "agent.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Of what stands beside the namespaces or in another one: releases of the same name may be in several namespaces. */}}
{{- define "agent.globalName" -}}
{{- printf "%s:%s" .Release.Namespace (include "agent.fullname" .) }}
{{- end }}

{{- define "agent.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "agent.fullname" .) "default") }}
{{- end }}

{{- define "agent.tokenSecretName" -}}
{{- .Values.agent.pipeops.existingSecret | default (printf "%s-token" (include "agent.fullname" .)) }}
{{- end }}

{{- define "agent.busSecretName" -}}
{{- printf "%s-bus" (include "agent.fullname" .) }}
{{- end }}

{{- define "agent.stateConfigMapName" -}}
{{- .Values.agent.state.configMapName | default (printf "%s-state" (include "agent.fullname" .)) }}
{{- end }}

{{- define "agent.stateSecretName" -}}
{{- .Values.agent.state.secretName | default (printf "%s-secrets" (include "agent.fullname" .)) }}
{{- end }}

{{/* An image by digest where one is given, else by tag. */}}
{{- define "agent.image" -}}
{{- if .image.digest }}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else }}
{{- printf "%s:%s" .image.repository (.image.tag | default .version) }}
{{- end }}
{{- end }}
