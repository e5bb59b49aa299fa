{{- define "flo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "flo.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "flo.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "flo.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names of cluster-scoped objects contain the namespace of the release: two releases with the same name in two namespaces do not collide. */}}
{{- define "flo.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "flo.fullname" .) -}}
{{- end -}}

{{- define "flo.serviceAccountName" -}}
{{- default (ternary (include "flo.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "flo.leaseName" -}}
{{- default (include "flo.fullname" . | replace "." "-") .Values.leaderElection.leaseName -}}
{{- end -}}

{{- define "flo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "flo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "flo.labels" -}}
{{ include "flo.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: feature-lineage-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with omit .Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image from the values, with the appVersion as its tag if neither tag nor digest is given. */}}
{{- define "flo.image" -}}
{{- $image := .image -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{/* The mount paths of a server's credentials and CA. */}}
{{- define "flo.credentialDir" -}}/etc/feature-lineage/servers/{{ .name }}{{- end -}}
{{- define "flo.caDir" -}}/etc/feature-lineage/ca/{{ .name }}{{- end -}}

{{/* The operator's configuration file. */}}
{{- define "flo.config" -}}
{{- $servers := list -}}
{{- $seen := dict -}}
{{- range .Values.mlflowServers -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "mlflowServers: %q is defined twice; give each server a name of its own" .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- $server := dict "name" .name "trackingUri" .trackingUri -}}
{{- with .workspace -}}{{- $_ := set $server "workspace" . -}}{{- end -}}
{{- if .secretName -}}{{- $_ := set $server "credentialDir" (include "flo.credentialDir" .) -}}{{- end -}}
{{- if or .caConfigMap .caSecret -}}{{- $_ := set $server "caFile" (printf "%s/ca.crt" (include "flo.caDir" .)) -}}{{- end -}}
{{- $_ := set $server "access" (default list .access) -}}
{{- $servers = append $servers $server -}}
{{- end -}}
{{- $pullSecrets := list -}}
{{- range .Values.runner.imagePullSecrets -}}{{- $pullSecrets = append $pullSecrets .name -}}{{- end -}}
namespaces: {{ toJson .Values.watch.namespaces }}
allowedTrackingUris: {{ toJson .Values.allowedTrackingUris }}
allowAnyTrackingUri: {{ default false .Values.allowAnyTrackingUri }}
allowedGitHosts: {{ toJson .Values.allowedGitHosts }}
allowAnyGitHost: {{ default false .Values.allowAnyGitHost }}
allowedFeatureServerUrls: {{ toJson .Values.allowedFeatureServerUrls }}
allowAnyFeatureServerUrl: {{ default false .Values.allowAnyFeatureServerUrl }}
mlflowServers:
{{- if $servers }}
{{ toYaml $servers }}
{{- else }} []
{{- end }}
runner:
  image: {{ include "flo.image" (dict "image" .Values.runner.image "root" .) }}
  imagePullPolicy: {{ .Values.runner.image.pullPolicy }}
  imagePullSecrets: {{ toJson $pullSecrets }}
  resources: {{ toJson .Values.runner.resources }}
workers: {{ .Values.workers }}
resyncInterval: {{ .Values.resyncInterval }}
port: 8080
{{- if .Values.api.enabled }}
{{- if not (or .Values.api.tls.secretName .Values.api.allowPlainHttp) }}
{{- fail "api: tokens are sent in the requests; set api.tls.secretName, or api.allowPlainHttp behind a proxy with TLS" }}
{{- end }}
api:
  enabled: true
  port: 8443
  allowPlainHttp: {{ .Values.api.allowPlainHttp }}
  feastUiWithoutToken: {{ toJson .Values.api.feastUiWithoutToken }}
  {{- if .Values.api.tls.secretName }}
  tlsDir: /etc/feature-lineage/tls
  {{- end }}
{{- end }}
leaderElection:
  leaseName: {{ include "flo.leaseName" . }}
{{- end -}}
