{{/* What the operator may do in a namespace that it watches: the one list, for both scopes. */}}
{{- define "flo.rules" -}}
- apiGroups: [featurelineage.io]
  resources: [featurestoreprojects]
  verbs: [get, list, watch, patch] # patch: the finalizer
- apiGroups: [featurelineage.io]
  resources: [trainedmodels]
  verbs: [get, list, watch]
- apiGroups: [featurelineage.io]
  resources: [featurestoreprojects/status, trainedmodels/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch] # patch: the TTL, once all is on record
- apiGroups: [""]
  resources: [pods]
  verbs: [list] # why a job's pod does not start, and its termination message
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch, delete] # sources; requests and reports of jobs; snapshots: only the newest stay
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, create, patch] # whom a project's jobs run as
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, create, patch] # what they may do: to patch their own reports
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, list, create, patch]
{{- end -}}

{{/* Leader election, in the release's namespace only. */}}
{{- define "flo.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create] # a name cannot bind a create
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "flo.leaseName" . }}]
  verbs: [get, patch]
{{- end -}}

{{- define "flo.subject" -}}
- kind: ServiceAccount
  name: {{ include "flo.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
