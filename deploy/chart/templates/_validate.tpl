{{/* What a schema cannot say: every problem at once, each with what to do. */}}
{{- define "agent.validate" -}}
{{- $problems := list }}
{{- $agent := .Values.agent }}
{{- $pipeops := $agent.pipeops }}
{{- $enabled := include "agent.enabledSidecars" . | fromJsonArray }}
{{- if not $agent.cluster.name }}
{{- $problems = append $problems "agent.cluster.name: is required; what this cluster is called at the control plane" }}
{{- end }}
{{- if and .Values.link.enabled (not $pipeops.token) (not $pipeops.existingSecret) }}
{{- $problems = append $problems "agent.pipeops.token: is required (or agent.pipeops.existingSecret); the control plane gives it out" }}
{{- end }}
{{- if and $pipeops.token $pipeops.existingSecret }}
{{- $problems = append $problems "agent.pipeops.token, agent.pipeops.existingSecret: give one of them" }}
{{- end }}
{{- if and $pipeops.tls.caBundle $pipeops.tls.existingConfigMap }}
{{- $problems = append $problems "agent.pipeops.tls.caBundle, agent.pipeops.tls.existingConfigMap: give one of them" }}
{{- end }}
{{- if not $enabled }}
{{- $problems = append $problems "link, proxy, console: all of them are off; turn on at least one, or uninstall" }}
{{- end }}
{{- if and (include "agent.hasBus" .) (not .Values.nats.enabled) }}
{{- $problems = append $problems "nats.enabled: must be true; the sidecars talk to each other over it (profile=edge needs none)" }}
{{- end }}
{{- if and .Values.proxy.enabled (not .Values.link.enabled) }}
{{- $problems = append $problems "link.enabled: must be true while proxy.enabled is; proxy connects with tickets that link gets for it" }}
{{- end }}
{{- if eq .Values.profile "edge" }}
{{- range $name := $enabled }}
{{- if gt (int (index $.Values $name).replicas) 1 }}
{{- $problems = append $problems (printf "%s.replicas: is 1 with profile=edge, which has one process; for more take podReplicas or proxy.connections" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $agent.enableIngressSync }}
{{- $problems = append $problems "agent.enableIngressSync: this version has no routes sidecar yet; leave it false" }}
{{- end }}
{{- if $agent.autoInstallComponents }}
{{- $problems = append $problems "agent.autoInstallComponents: this version has no monitoring sidecar yet; leave it false" }}
{{- end }}
{{- $gateway := $agent.gateway }}
{{- $api := $gateway.gatewayApi }}
{{- $istio := $gateway.istio }}
{{- $asked := dict "enabled" $gateway.enabled
  "environment.mode" (ne $gateway.environment.mode "managed") "environment.vmIP" $gateway.environment.vmIP
  "gatewayApi.enabled" $api.enabled "gatewayApi.listeners" $api.listeners
  "gatewayApi.tcpRoutes" $api.tcpRoutes "gatewayApi.udpRoutes" $api.udpRoutes
  "istio.enabled" $istio.enabled "istio.service.create" $istio.service.create
  "istio.gateway.selector" $istio.gateway.selector "istio.gateway.servers" $istio.gateway.servers
  "istio.virtualService.tcpRoutes" $istio.virtualService.tcpRoutes "istio.virtualService.tlsRoutes" $istio.virtualService.tlsRoutes }}
{{- range $path, $value := $asked }}
{{- if $value }}
{{- $problems = append $problems (printf "agent.gateway.%s: this version has no sidecar for TCP and UDP exposure yet; leave the default" $path) }}
{{- end }}
{{- end }}
{{- $rbac := .Values.rbac }}
{{- if and (ne $rbac.profile "default") (not $rbac.users) }}
{{- $problems = append $problems (printf "rbac.users: the profile %s gives rights to those who are listed; list at least one user" $rbac.profile) }}
{{- else if and $rbac.groups (not $rbac.users) }}
{{- $problems = append $problems "rbac.groups: let nobody in without rbac.users; every request is made as a user, who must be listed by name" }}
{{- end }}
{{- if and (eq $rbac.profile "namespaced") (not $rbac.namespaces) }}
{{- $problems = append $problems "rbac.namespaces: the profile namespaced needs some" }}
{{- end }}
{{- if and (ne $rbac.profile "namespaced") $rbac.namespaces }}
{{- $problems = append $problems (printf "rbac.namespaces: has no meaning in the profile %s; set rbac.profile=namespaced" $rbac.profile) }}
{{- end }}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled }}
{{- $problems = append $problems "metrics.podMonitor, metrics.serviceMonitor: both would scrape everything twice; enable one of them" }}
{{- end }}
{{- if and .Values.nats.enabled (not .Values.nats.image.tag) (not .Values.nats.image.digest) }}
{{- $problems = append $problems "nats.image.tag: is required, or nats.image.digest" }}
{{- end }}
{{- if regexMatch "^[0-9]" (include "agent.fullname" .) }}
{{- $problems = append $problems (printf "fullnameOverride: is required for a release named %s; a Service's name begins with a letter" .Release.Name) }}
{{- end }}
{{- $ownLabels := include "agent.labels" . | fromYaml | keys | sortAlpha }}
{{- range $path, $labels := dict "podLabels" .Values.podLabels "metrics.podMonitor.labels" .Values.metrics.podMonitor.labels "metrics.serviceMonitor.labels" .Values.metrics.serviceMonitor.labels }}
{{- range $label, $_ := $labels }}
{{- if has $label $ownLabels }}
{{- $problems = append $problems (printf "%s: %s is set by the chart; take it out" $path $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $note, $_ := .Values.podAnnotations }}
{{- if regexMatch "^(kubectl[.]kubernetes[.]io/default-container|checksum/(config|ca|bus))$" $note }}
{{- $problems = append $problems (printf "podAnnotations: %s is set by the chart; take it out" $note) }}
{{- end }}
{{- end }}
{{- $problems = concat $problems (include "agent.envProblems" . | fromJsonArray) }}
{{- if $problems }}
{{- fail (printf "\n\nThese values cannot be installed:\n  %s\n" (join "\n  " $problems)) }}
{{- end }}
{{- end }}
