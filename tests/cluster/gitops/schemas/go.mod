// The CRDs of Argo CD and Flux, for the objects that examples/gitops has for them.
module tools/gitops

go 1.26.3

require (
	github.com/argoproj/argo-cd/v3 v3.5.7
	github.com/fluxcd/kustomize-controller v1.9.6
	github.com/fluxcd/source-controller v1.9.6
)
