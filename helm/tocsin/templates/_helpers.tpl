{{/* The name of every object: the release, shortened so that a role's name fits behind it. */}}
{{- define "tocsin.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of an object. Takes a dict with root and role (empty for what belongs to all roles). */}}
{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | quote }}
{{- end -}}

{{/* Labels that select a role's pods. They never change, since a selector cannot. */}}
{{- define "tocsin.selector" -}}
app.kubernetes.io/name: tocsin
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .role }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* The image: a digest wins over a tag. */}}
{{- define "tocsin.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The whole configuration as TOML. Helm's own toToml writes every number of a values file as a float, which a count is not. */}}
{{- define "tocsin.config" -}}
{{- include "tocsin.table" (dict "path" "" "table" .Values.config) | trim -}}
{{- end -}}

{{/* One table of TOML and the tables below it. Takes a dict with path and table. */}}
{{- define "tocsin.table" -}}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (include "tocsin.tables" $value)) }}
{{ toJson $key }} = {{ include "tocsin.scalar" $value }}
{{- end }}
{{- end }}
{{- $path := .path }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- $below := ternary (toJson $key) (printf "%s.%s" $path (toJson $key)) (eq $path "") }}

[{{ $below }}]
{{- include "tocsin.table" (dict "path" $below "table" $value) }}
{{- else if include "tocsin.tables" $value }}
{{- $below := ternary (toJson $key) (printf "%s.%s" $path (toJson $key)) (eq $path "") }}
{{- range $value }}

[[{{ $below }}]]
{{- include "tocsin.table" (dict "path" $below "table" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether a value is a list of tables: followed lists are one. Nothing where it is not. */}}
{{- define "tocsin.tables" -}}
{{- if and (kindIs "slice" .) . -}}
{{- if kindIs "map" (first .) -}}
yes
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A value of TOML: JSON writes text, switches and lists the same way; a whole number loses its fraction. */}}
{{- define "tocsin.scalar" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . }}
{{- else -}}
{{ toJson . }}
{{- end -}}
{{- end -}}

{{/* Environment of a container: secrets by reference, the name of the instance from the pod's (stable for a StatefulSet). */}}
{{- define "tocsin.environment" -}}
- name: TOCSIN_CONFIG
  value: /etc/tocsin/tocsin.toml
- name: TOCSIN_LOG__INSTANCE
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: TOCSIN_KEYS__DEPLOYMENT_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.deploymentKey.name }}
      key: {{ .Values.secrets.deploymentKey.key }}
- name: TOCSIN_STORE__URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.postgres.name }}
      key: {{ .Values.secrets.postgres.key }}
{{- if .Values.secrets.kafka.name }}
- name: TOCSIN_LOG__PROPERTIES__SASL_USERNAME
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.kafka.name }}
      key: {{ .Values.secrets.kafka.usernameKey }}
- name: TOCSIN_LOG__PROPERTIES__SASL_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.kafka.name }}
      key: {{ .Values.secrets.kafka.passwordKey }}
{{- end }}
{{- with .Values.authorities }}
{{- if and (or .configMap .secret) .systemKey }}
- name: SSL_CERT_FILE
  value: /etc/tocsin-authorities/{{ .systemKey }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where a container finds the authorities of those that it calls. Nothing where there are none, nor where the values are of a chart from before them. */}}
{{- define "tocsin.authoritiesMount" -}}
{{- with .Values.authorities -}}
{{- if or .configMap .secret -}}
- name: authorities
  mountPath: /etc/tocsin-authorities
  readOnly: true
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The volume for it: of a Secret the named keys alone, since it may hold a private key beside the authorities. */}}
{{- define "tocsin.authoritiesVolume" -}}
{{- with .Values.authorities -}}
{{- if and .systemKey .keys (not (has .systemKey .keys)) -}}
{{- fail (printf "authorities.systemKey: %s is not among authorities.keys, so it would not be mounted" .systemKey) -}}
{{- end -}}
{{- if or .configMap .secret -}}
- name: authorities
  {{- if .configMap }}
  configMap:
    name: {{ .configMap }}
  {{- else }}
  secret:
    secretName: {{ .secret }}
  {{- end }}
    {{- with .keys }}
    items:
      {{- range . }}
      - key: {{ . | quote }}
        path: {{ . | quote }}
      {{- end }}
    {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a container may do: nothing beyond its own process. */}}
{{- define "tocsin.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "tocsin.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The pod of a role. Takes a dict with root, role and values (the role's own). */}}
{{- define "tocsin.pod" -}}
{{- $caches := and (eq .role "detector") .root.Values.roles.detector.cache.enabled -}}
{{- $scheme := ternary "HTTPS" "HTTP" (ne .root.Values.secrets.tls.name "") -}}
metadata:
  labels:
    {{- include "tocsin.labels" . | nindent 4 }}
  annotations:
    # Pods roll when the configuration changes: a role reads it once.
    tocsin/config-checksum: {{ include "tocsin.config" .root | sha256sum }}
    {{- with .root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tocsin.name" .root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    {{- include "tocsin.podSecurity" . | nindent 4 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "tocsin.selector" . | nindent 10 }}
  containers:
    - name: {{ .role }}
      image: {{ include "tocsin.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [{{ .role }}]
      env:
        {{- include "tocsin.environment" .root | nindent 8 }}
        - name: TOCSIN_HTTP__LISTEN
          value: "0.0.0.0:8080"
        {{- if dig "limits" "memory" "" .values.resources }}
        - name: TOCSIN_MEMORY__LIMIT_BYTES
          valueFrom:
            resourceFieldRef:
              resource: limits.memory
        {{- end }}
        {{- if and (eq .role "dispatcher") .root.Values.secrets.signIn.name }}
        - name: TOCSIN_DISPATCHER__SIGN_IN__CLIENT_SECRET
          valueFrom:
            secretKeyRef:
              name: {{ .root.Values.secrets.signIn.name }}
              key: {{ .root.Values.secrets.signIn.key }}
        {{- end }}
        {{- if and (eq .role "dispatcher") .root.Values.secrets.mail.name }}
        - name: TOCSIN_DISPATCHER__MAIL__PASSWORD
          valueFrom:
            secretKeyRef:
              name: {{ .root.Values.secrets.mail.name }}
              key: {{ .root.Values.secrets.mail.key }}
        {{- end }}
        {{- with .root.Values.secrets.tls }}
        {{- if .name }}
        - name: TOCSIN_HTTP__TLS__CERTIFICATE
          value: /etc/tocsin-tls/{{ .certificateKey }}
        - name: TOCSIN_HTTP__TLS__KEY
          value: /etc/tocsin-tls/{{ .keyKey }}
        {{- if .clientCaKey }}
        - name: TOCSIN_HTTP__TLS__CLIENT_CA
          value: /etc/tocsin-tls/{{ .clientCaKey }}
        {{- end }}
        {{- end }}
        {{- end }}
        {{- if and (eq .role "dispatcher") .root.Values.sealedStore.claim }}
        - name: TOCSIN_DISPATCHER__SEALED_STORE
          value: /var/lib/tocsin-sealed/store
        {{- end }}
        {{- if $caches }}
        - name: TOCSIN_DETECTOR__CACHE_DIRECTORY
          value: /var/cache/tocsin
        {{- end }}
      ports:
        - name: http
          containerPort: 8080
          protocol: TCP
      # Restoring a detector takes as long as its state is large: a role is alive while it restores and ready when it is done.
      startupProbe:
        httpGet: { path: /healthz, port: http, scheme: {{ $scheme }} }
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /healthz, port: http, scheme: {{ $scheme }} }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: http, scheme: {{ $scheme }} }
        periodSeconds: 5
        timeoutSeconds: 3
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        {{- include "tocsin.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/tocsin
          readOnly: true
        {{- include "tocsin.authoritiesMount" .root | nindent 8 }}
        {{- if and (has .role (list "intake" "dispatcher")) .root.Values.secrets.ospreyMappings.name }}
        - name: osprey
          mountPath: /etc/tocsin-osprey
          readOnly: true
        {{- end }}
        {{- if and (eq .role "dispatcher") .root.Values.secrets.followCredentials.name }}
        - name: follow
          mountPath: /etc/tocsin-follow
          readOnly: true
        {{- end }}
        {{- if .root.Values.secrets.tls.name }}
        - name: tls
          mountPath: /etc/tocsin-tls
          readOnly: true
        {{- end }}
        {{- if and (eq .role "dispatcher") .root.Values.sealedStore.claim }}
        - name: sealed
          mountPath: /var/lib/tocsin-sealed
        {{- end }}
        {{- if $caches }}
        - name: cache
          mountPath: /var/cache/tocsin
        {{- end }}
        - name: scratch
          mountPath: /tmp
  volumes:
    - name: config
      configMap:
        name: {{ include "tocsin.name" .root }}
    {{- include "tocsin.authoritiesVolume" .root | nindent 4 }}
    {{- if and (has .role (list "intake" "dispatcher")) .root.Values.secrets.ospreyMappings.name }}
    - name: osprey
      secret:
        secretName: {{ .root.Values.secrets.ospreyMappings.name }}
    {{- end }}
    {{- if and (eq .role "dispatcher") .root.Values.secrets.followCredentials.name }}
    - name: follow
      secret:
        secretName: {{ .root.Values.secrets.followCredentials.name }}
    {{- end }}
    {{- if .root.Values.secrets.tls.name }}
    - name: tls
      secret:
        secretName: {{ .root.Values.secrets.tls.name }}
    {{- end }}
    {{- if and (eq .role "dispatcher") .root.Values.sealedStore.claim }}
    - name: sealed
      persistentVolumeClaim:
        claimName: {{ .root.Values.sealedStore.claim }}
    {{- end }}
    {{- if $caches }}
    - name: cache
      emptyDir:
        sizeLimit: {{ .root.Values.roles.detector.cache.sizeLimit }}
    {{- end }}
    - name: scratch
      emptyDir:
        sizeLimit: 64Mi
  {{- with .root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
