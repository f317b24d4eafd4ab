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
{{- if or $gateway.enabled $gateway.gatewayApi.enabled $gateway.istio.enabled $gateway.istio.service.create }}
{{- $problems = append $problems "agent.gateway: this version has no sidecar for TCP and UDP exposure yet; leave enabled, gatewayApi.enabled, istio.enabled and istio.service.create false" }}
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
{{- if $problems }}
{{- fail (printf "\n\nThese values cannot be installed:\n  %s\n" (join "\n  " $problems)) }}
{{- end }}
{{- end }}
