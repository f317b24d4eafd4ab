{{/* The full name: the release's, unless it would not say what this is. A release may have dots in its name, a Service not. */}}
{{- define "controlPlane.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | replace "." "-" | trunc 40 | trimAll "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 40 | trimAll "-" }}
{{- end }}
{{- end }}

{{- define "controlPlane.name" -}}
{{- .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{/* Labels that select the pod; they must never change. */}}
{{- define "controlPlane.selector" -}}
app.kubernetes.io/name: {{ include "controlPlane.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control-plane
{{- end }}

{{/* Labels of the pod that `helm test` starts; a network policy lets it in. */}}
{{- define "controlPlane.testSelector" -}}
app.kubernetes.io/name: {{ include "controlPlane.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
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
{{- .Values.publicUrl | default "" | trimSuffix "/" | default (eq $port 443 | ternary (printf "https://%s" $host) (printf "https://%s:%d" $host $port)) }}
{{- end }}

{{- define "controlPlane.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}
