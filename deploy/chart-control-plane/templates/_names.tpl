{{/* The full name: the release's, unless it would not say what this is. */}}
{{- define "controlPlane.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "controlPlane.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels that select the pod; they must never change. */}}
{{- define "controlPlane.selector" -}}
app.kubernetes.io/name: {{ include "controlPlane.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control-plane
{{- end }}

{{/* Of a pod: nothing that changes where the pod does not. */}}
{{- define "controlPlane.podLabels" -}}
{{ include "controlPlane.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: pipeops
{{- end }}

{{- define "controlPlane.labels" -}}
{{ include "controlPlane.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "controlPlane.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "controlPlane.fullname" .) "default") }}
{{- end }}

{{- define "controlPlane.publicUrl" -}}
{{- $port := int .Values.service.port }}
{{- $host := printf "%s.%s.svc" (include "controlPlane.fullname" .) .Release.Namespace }}
{{- .Values.publicUrl | trimSuffix "/" | default (eq $port 443 | ternary (printf "https://%s" $host) (printf "https://%s:%d" $host $port)) }}
{{- end }}

{{- define "controlPlane.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}
