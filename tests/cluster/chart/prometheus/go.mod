// The CRDs of the Prometheus Operator, for the objects that the chart makes for it.
module tools/prometheus

go 1.24

require github.com/prometheus-operator/prometheus-operator v0.85.0
