package main

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fluxChecks evaluates expressions with the code of Flux's kustomize-controller.
type fluxChecks struct {
	reader *cel.StatusReader
}

func loadChecks(path string) (fluxChecks, error) {
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	if err := load(path, &kustomization); err != nil {
		return fluxChecks{}, err
	}
	create, err := cel.NewStatusReader(kustomization.Spec.HealthCheckExprs)
	if err != nil {
		return fluxChecks{}, fmt.Errorf("%s: %w", path, err)
	}
	// The mapper finds objects in a cluster; these are given.
	reader, ok := create(nil).(*cel.StatusReader)
	if !ok {
		return fluxChecks{}, fmt.Errorf("%T is no reader of expressions", create(nil))
	}
	return fluxChecks{reader}, nil
}

// of is empty for a kind without expressions: Flux then goes by kstatus.
func (f fluxChecks) of(ctx context.Context, object *unstructured.Unstructured) Verdict {
	if !f.reader.Supports(object.GroupVersionKind().GroupKind()) {
		return Verdict{}
	}
	read, err := f.reader.ReadStatusForObject(ctx, nil, object)
	if err != nil {
		return Verdict{"Unknown", err.Error()}
	}
	if read.Error != nil {
		return Verdict{read.Status.String(), read.Error.Error()}
	}
	return Verdict{read.Status.String(), read.Message}
}
