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
{{- if $problems }}
{{- fail (printf "\n\nThese values cannot be installed:\n  %s\n" (join "\n  " $problems)) }}
{{- end }}
{{- end }}
