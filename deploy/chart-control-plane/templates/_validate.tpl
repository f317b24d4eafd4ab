{{/* What a schema cannot say: every problem at once, each with what to do. */}}
{{- define "controlPlane.validate" -}}
{{- $problems := list }}
{{- if and .Values.nats.url .Values.nats.existingSecret }}
{{- $problems = append $problems "nats.url, nats.existingSecret: give one of them" }}
{{- end }}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled }}
{{- $problems = append $problems "metrics.podMonitor, metrics.serviceMonitor: both would scrape everything twice; enable one of them" }}
{{- end }}
{{- if and .Values.tls.existingSecret (not .Values.publicUrl) }}
{{- $problems = append $problems "publicUrl: is required with tls.existingSecret; agents and users must reach a name that the certificate is made out for" }}
{{- end }}
{{- if and .Values.service.nodePort (eq .Values.service.type "ClusterIP") }}
{{- $problems = append $problems "service.nodePort: has no meaning for a Service of type ClusterIP; set service.type" }}
{{- end }}
{{- if regexMatch "^[0-9]" (include "controlPlane.fullname" .) }}
{{- $problems = append $problems (printf "fullnameOverride: is required for a release named %s; a Service's name begins with a letter" .Release.Name) }}
{{- end }}
{{- $ownLabels := include "controlPlane.labels" . | fromYaml | keys | sortAlpha }}
{{- range $path, $labels := dict "podLabels" .Values.podLabels "metrics.podMonitor.labels" .Values.metrics.podMonitor.labels "metrics.serviceMonitor.labels" .Values.metrics.serviceMonitor.labels }}
{{- range $label, $_ := $labels }}
{{- if has $label $ownLabels }}
{{- $problems = append $problems (printf "%s: %s is set by the chart; take it out" $path $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- $problems = concat $problems (include "controlPlane.envProblems" . | fromJsonArray) }}
{{- if $problems }}
{{- fail (printf "\n\nThese values cannot be installed:\n  %s\n" (join "\n  " $problems)) }}
{{- end }}
{{- end }}
