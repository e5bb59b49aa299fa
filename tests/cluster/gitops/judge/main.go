// Judge says what GitOps tools make of objects: kstatus, which Helm and others wait with, Argo CD's
// health scripts, and Flux's health check expressions.
//
// It reads one JSON object a line from standard input and writes one judgement a line, in the same
// order. The scripts and expressions are read from the manifests that users are handed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// Largest object that an API server keeps, with room for what JSON adds.
const maxLine = 4 << 20

// Verdict is what one tool says of one object.
type Verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Judgement is what each tool says of one object.
type Judgement struct {
	Kstatus Verdict `json:"kstatus"`
	Argo    Verdict `json:"argo"`
	Flux    Verdict `json:"flux"`
}

func main() {
	argocd := flag.String("argocd-cm", "", "file: ConfigMap argocd-cm with health scripts")
	kustomization := flag.String("flux", "", "file: Flux Kustomizations with healthCheckExprs")
	flag.Parse()
	if err := run(*argocd, *kustomization, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(argocd, kustomization string, in io.Reader, out io.Writer) error {
	health, err := loadHealth(argocd)
	if err != nil {
		return err
	}
	checks, err := loadChecks(kustomization)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(lines.Bytes()); err != nil {
			return err
		}
		judgement := Judgement{Argo: health.of(object), Flux: checks.of(context.Background(), object)}
		if judgement.Kstatus, err = kstatus(object); err != nil {
			return err
		}
		if err := encoder.Encode(judgement); err != nil {
			return err
		}
	}
	return lines.Err()
}

func kstatus(object *unstructured.Unstructured) (Verdict, error) {
	result, err := status.Compute(object)
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Status: result.Status.String(), Message: result.Message}, nil
}

// load reads every document of a YAML file.
func load[T any](path string) ([]T, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
	var documents []T
	for {
		var document T
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		documents = append(documents, document)
	}
}
