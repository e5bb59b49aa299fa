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

type kustomization struct {
	Spec struct {
		HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
	} `json:"spec"`
}

func loadChecks(path string) (fluxChecks, error) {
	documents, err := load[kustomization](path)
	if err != nil {
		return fluxChecks{}, err
	}
	var checks []kustomize.CustomHealthCheck
	for _, document := range documents {
		checks = append(checks, document.Spec.HealthCheckExprs...)
	}
	create, err := cel.NewStatusReader(checks)
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
