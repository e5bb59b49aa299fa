"""Servers outside the cluster, with DNS names for the pods."""

import yaml
from tests.cluster.controlplane import ControlPlane

Ports = dict[str, tuple[str, int, int]]
"""By name: protocol, port of the Service, port of the server."""


def host_service(
    plane: ControlPlane,
    namespace: str,
    name: str,
    ports: Ports,
    address: str,
    cluster_ip: str | None = None,
) -> None:
    """Apply a Service for a server with an address outside the pod network."""
    metadata = {"name": name, "namespace": namespace}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            **({"clusterIP": cluster_ip} if cluster_ip else {}),
            "ports": [
                {"name": each, "protocol": protocol, "port": port, "targetPort": target}
                for each, (protocol, port, target) in ports.items()
            ],
        },
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-host",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [
            {"name": each, "protocol": protocol, "port": target}
            for each, (protocol, _, target) in ports.items()
        ],
        "endpoints": [{"addresses": [address]}],
    }
    plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([service, endpoints]))
