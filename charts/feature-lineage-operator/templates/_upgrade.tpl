{{/*
An upgrade from a version that allowed every namespace, tracking URI and Git host: it stops before it changes anything, until the values say what is
allowed. If the installed configuration cannot be read (a dry run without a cluster), the values have to say it as well.
*/}}
{{- define "flo.checkUpgrade" -}}
{{- if .Release.IsUpgrade -}}
{{- $installed := lookup "v1" "ConfigMap" .Release.Namespace (include "flo.fullname" .) -}}
{{- $config := fromYaml (dig "data" "config.yaml" "{}" (default dict $installed)) -}}
{{- if not (hasKey $config "allowAnyTrackingUri") -}}
{{- $same := dict -}}
{{- $servers := list -}}
{{- range .Values.mlflowServers -}}
{{- if hasKey . "access" -}}
{{- $servers = append $servers . -}}
{{- else -}}
{{- $all := list "*" -}}
{{- $entry := dict "namespaces" $all "feastProjects" $all "models" $all "allow" (list "Tags" "OpsRuns") -}}
{{- $servers = append $servers (merge (dict "access" (list $entry)) .) -}}
{{- $_ := set $same "mlflowServers" true -}}
{{- end -}}
{{- end -}}
{{- if $same.mlflowServers -}}{{- $_ := set $same "mlflowServers" $servers -}}{{- end -}}
{{- if and (not .Values.allowedTrackingUris) (kindIs "invalid" .Values.allowAnyTrackingUri) -}}
{{- $_ := set $same "allowAnyTrackingUri" true -}}
{{- end -}}
{{- if and (not .Values.allowedGitHosts) (kindIs "invalid" .Values.allowAnyGitHost) -}}
{{- $_ := set $same "allowAnyGitHost" true -}}
{{- end -}}
{{- if $same -}}
{{- fail (printf "nothing was changed: the values have to say who may use the MLflow servers, and which addresses projects may name; before, everything was allowed. These values keep that:\n\n%s\n\nTo allow less, write narrower access, lists of addresses, or false; see docs/access.md." (toYaml $same)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
