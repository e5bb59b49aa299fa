{{/* The permissions of the operator in a namespace that it watches, for both scopes: a ClusterRole, or a Role in each namespace. */}}
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
  verbs: [get, list, watch, create, patch] # patch: to resume a Job, and to let it expire after its operation was recorded
- apiGroups: [""]
  resources: [pods]
  verbs: [list] # to find out why the pod of a job does not start, and how it ended
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch, delete] # sources; requests and reports of jobs; snapshots, of which the newest are kept
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, create, patch] # the account of the jobs of a project
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, create, patch] # the permissions of that account: to patch its own reports
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, list, create, patch]
{{- end -}}

{{/* Leader election, in the release's namespace only. */}}
{{- define "flo.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create] # resourceNames cannot restrict create
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
