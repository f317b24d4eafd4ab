{{/*
A sidecar is a values block and a template `sidecar.<name>` that yields YAML:
  port, portVariable      where it listens, and the variable that says so; each further replica takes the next ten
  livePath, readyPath     what kubelet asks
  usesKubernetes          whether the ServiceAccount token is mounted
  nodeFlags               besides those of every process
  env, mounts, volumes    maps by name
  clusterRules, rules     what its ServiceAccount may do, cluster-wide and in the release's namespace
Its name joins the list below; everything else follows.
*/}}
{{- define "agent.knownSidecars" -}}
link proxy console
{{- end }}

{{/* Names of the sidecars that are on, as JSON. */}}
{{- define "agent.enabledSidecars" -}}
{{- $names := list }}
{{- range $name := include "agent.knownSidecars" . | splitList " " }}
{{- if (index $.Values $name).enabled }}{{ $names = append $names $name }}{{ end }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{/* One list out of all enabled sidecars, as JSON. Takes root and the list's name. */}}
{{- define "agent.collect" -}}
{{- $all := list }}
{{- range $name := include "agent.enabledSidecars" .root | fromJsonArray }}
{{- $sidecar := include (printf "sidecar.%s" $name) $.root | fromYaml }}
{{- $all = concat $all (index $sidecar $.list | default list) }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{/* "true" if any enabled sidecar talks to Kubernetes. */}}
{{- define "agent.usesKubernetes" -}}
{{- $uses := false }}
{{- range $name := include "agent.enabledSidecars" . | fromJsonArray }}
{{- $sidecar := include (printf "sidecar.%s" $name) $ | fromYaml }}
{{- $uses = or $uses $sidecar.usesKubernetes }}
{{- end }}
{{- if $uses }}true{{ end }}
{{- end }}

{{/* Every container of the sidecars as {name, sidecar, port, readyPath}, as JSON. */}}
{{- define "agent.instances" -}}
{{- if eq .Values.profile "edge" }}
{{- $edge := include "sidecar.edge" . | fromYaml }}
{{- list (dict "name" "edge" "sidecar" "edge" "port" $edge.port "readyPath" $edge.readyPath) | toJson }}
{{- else }}
{{- $all := list }}
{{- range $name := include "agent.enabledSidecars" . | fromJsonArray }}
{{- $sidecar := include (printf "sidecar.%s" $name) $ | fromYaml }}
{{- range $index := until (int (index $.Values $name).replicas) }}
{{- $container := ternary $name (printf "%s-%d" $name (add1 $index)) (eq $index 0) }}
{{- $port := add (int $sidecar.port) (mul 10 $index) }}
{{- $all = append $all (dict "name" $container "sidecar" $name "port" $port "readyPath" $sidecar.readyPath) }}
{{- end }}
{{- end }}
{{- toJson $all }}
{{- end }}
{{- end }}

{{/* Every port that something listens on as {name, port, readyPath}, as JSON: each container's, and the console's in the one of `edge`. */}}
{{- define "agent.ports" -}}
{{- $all := include "agent.instances" . | fromJsonArray }}
{{- if and (eq .Values.profile "edge") .Values.console.enabled }}
{{- $console := include "sidecar.console" . | fromYaml }}
{{- $all = append $all (dict "name" "console" "sidecar" "edge" "port" $console.port "readyPath" $console.readyPath) }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{- define "agent.containers" -}}
{{- range $instance := include "agent.instances" . | fromJsonArray }}
{{- include "agent.container" (dict "root" $ "instance" $instance) }}
{{- end }}
{{- end }}

{{- define "agent.container" -}}
{{- $values := index .root.Values .instance.sidecar }}
{{- $sidecar := include (printf "sidecar.%s" .instance.sidecar) .root | fromYaml }}
{{- $mounts := $sidecar.mounts | default dict }}
{{- $port := int .instance.port }}
{{- $env := dict
  "PIPEOPS_LOG_LEVEL" (include "agent.fromConfig" (list .root "PIPEOPS_LOG_LEVEL") | fromYaml)
  "PIPEOPS_INSTANCE" (printf "$(PIPEOPS_POD_NAME)-%s" .instance.name)
  "SHUTDOWN_GRACE_SECONDS" .root.Values.shutdownGraceSeconds
  $sidecar.portVariable $port }}
{{- if include "agent.hasBus" .root }}
{{- $env = merge $env (dict "BUS_URL" "nats://127.0.0.1:4222" "BUS_TOKEN_FILE" "/run/secrets/bus/token") }}
{{- end }}
{{- $env = mergeOverwrite $env ($sidecar.env | default dict) ($values.env | default dict) }}
- name: {{ .instance.name }}
  image: {{ include "agent.image" (dict "image" .root.Values.image "version" .root.Chart.AppVersion) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: [{{ concat (list "node" "--max-semi-space-size=1" "--v8-pool-size=1") ($sidecar.nodeFlags | default list) | join ", " }}, /app/{{ .instance.sidecar }}.mjs]
  ports:
    {{- range include "agent.ports" .root | fromJsonArray }}
    {{- if or (eq .name $.instance.name) (eq .sidecar "edge") }}
    - { name: {{ .name }}, containerPort: {{ .port }} }
    {{- end }}
    {{- end }}
  env:
    {{- include "agent.podEnv" . | nindent 4 }}
    {{- include "agent.env" $env | trim | nindent 4 }}
  {{- include "agent.probes" (dict "probes" .root.Values.probes "port" $port "sidecar" $sidecar) | nindent 2 }}
  resources: {{- toYaml $values.resources | nindent 4 }}
  securityContext: {{- include "agent.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- if include "agent.hasBus" .root }}
    - { name: bus, mountPath: /run/secrets/bus, readOnly: true }
    {{- end }}
    {{- if $sidecar.usesKubernetes }}
    - { name: kubernetes, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
    {{- end }}
    {{- range $name, $path := $mounts }}
    - { name: {{ $name }}, mountPath: {{ $path }}, readOnly: true }
    {{- end }}
{{- end }}

{{/* Before all others, because those may refer to them. */}}
{{- define "agent.podEnv" -}}
- { name: PIPEOPS_POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: PIPEOPS_POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
- { name: PIPEOPS_NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
{{- end }}

{{/* A map of names to values or to a valueFrom, as a container's list. */}}
{{- define "agent.env" -}}
{{- range $name, $value := . }}
{{- if kindIs "map" $value }}
- name: {{ $name }}
  {{- toYaml $value | nindent 2 }}
{{- else }}
- name: {{ $name }}
  {{- /* YAML's numbers arrive as floats, which print as 1e+06. */}}
  value: {{ ternary (int64 $value) $value (kindIs "float64" $value) | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "agent.probes" -}}
startupProbe:
  httpGet: { path: {{ .sidecar.livePath }}, port: {{ .port }} }
  {{- toYaml .probes.startup | nindent 2 }}
livenessProbe:
  httpGet: { path: {{ .sidecar.livePath }}, port: {{ .port }} }
  {{- toYaml .probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: { path: {{ .sidecar.readyPath }}, port: {{ .port }} }
  {{- toYaml .probes.readiness | nindent 2 }}
{{- end }}

{{- define "agent.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "agent.podSecurity" -}}
runAsNonRoot: true
{{- range $name, $id := .Values.podSecurityContext }}
{{- if not (kindIs "invalid" $id) }}
{{ $name }}: {{ int64 $id }}
{{- end }}
{{- end }}
{{- if (.Values.podSecurityContext | default dict).fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "agent.volumes" -}}
{{- $volumes := dict }}
{{- range $name := include "agent.enabledSidecars" . | fromJsonArray }}
{{- $sidecar := include (printf "sidecar.%s" $name) $ | fromYaml }}
{{- $volumes = mergeOverwrite $volumes ($sidecar.volumes | default dict) }}
{{- end }}
{{- range $name, $volume := $volumes }}
- name: {{ $name }}
  {{- toYaml $volume | nindent 2 }}
{{- end }}
{{- if include "agent.usesKubernetes" . }}
- name: kubernetes
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: { path: token, expirationSeconds: 3600 }
      - configMap:
          name: kube-root-ca.crt
          items: [{ key: ca.crt, path: ca.crt }]
      - downwardAPI:
          items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }]
{{- end }}
{{- end }}
