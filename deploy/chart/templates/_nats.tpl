{{/* The bus. A native sidecar: it is there before the others start and outlives them, so that they can drain. */}}

{{/* The token in the Secret; made on the first install, read back on upgrades. Fixed for one rendering. */}}
{{- define "agent.busToken" -}}
{{- if not (hasKey .Values.nats "token") }}
{{- $kept := lookup "v1" "Secret" .Release.Namespace (include "agent.busSecretName" .) }}
{{- $token := dig "data" "token" "" ($kept | default dict) | b64dec | default (randAlphaNum 40) }}
{{- $_ := set .Values.nats "token" $token }}
{{- end }}
{{- .Values.nats.token }}
{{- end }}

{{- define "agent.busConfig" -}}
listen: "127.0.0.1:4222"
authorization { token: "{{ . }}" }
{{ end }}

{{- define "agent.busContainers" -}}
{{- if eq .Values.nats.tokenFrom "pod" }}
- name: bus-token
  image: {{ include "agent.image" (dict "image" .Values.image "version" .Chart.AppVersion) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [node, --input-type=module, --eval]
  args:
    - |
      {{- .Files.Get "files/bus-token.mjs" | trim | nindent 6 }}
    - /run/bus
  resources:
    requests: { cpu: 10m, memory: 48Mi }
    limits: { memory: 128Mi }
  securityContext: {{- include "agent.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - { name: bus, mountPath: /run/bus }
{{- end }}
- name: nats
  image: {{ include "agent.image" (dict "image" .Values.nats.image "version" "") }}
  imagePullPolicy: {{ .Values.nats.image.pullPolicy }}
  command: [nats-server, -c, /etc/nats/nats.conf]
  restartPolicy: Always
  {{- with .Values.nats.env }}
  env: {{- include "agent.env" . | nindent 4 }}
  {{- end }}
  resources: {{- toYaml .Values.nats.resources | nindent 4 }}
  securityContext: {{- include "agent.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - { name: {{ ternary "bus" "bus-config" (eq .Values.nats.tokenFrom "pod") }}, mountPath: /etc/nats, readOnly: true }
{{- end }}

{{- define "agent.busVolumes" -}}
{{- if eq .Values.nats.tokenFrom "pod" }}
- name: bus
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- else }}
- name: bus
  secret:
    secretName: {{ include "agent.busSecretName" . }}
    defaultMode: 0440
    items: [{ key: token, path: token }]
- name: bus-config
  secret:
    secretName: {{ include "agent.busSecretName" . }}
    defaultMode: 0440
    items: [{ key: nats.conf, path: nats.conf }]
{{- end }}
{{- end }}
