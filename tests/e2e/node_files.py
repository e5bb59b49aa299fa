"""Configuration files of containerd, kubelet, kube-proxy and CoreDNS, and the pause image."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any, Final

import yaml
from tests.cluster.binaries import binary

NODE: Final = "node1"
ADDRESS: Final = "10.251.0.1"
PODS: Final = "10.250.0.0/24"
DNS: Final = "10.96.0.10"
PAUSE: Final = "localhost/pause:dev"
POD_LOGS: Final = "pod-logs"
CGROUP: Final = "FEATURE_LINEAGE_E2E_CGROUP"
"""Environment variable with the cgroup that the sandbox created for the node."""


def write_files(folder: Path, plane: Path, admin: Path) -> None:
    """Write the files into the node's folder.

    Args:
        plane: folder of the control plane.
        admin: kubeconfig of an administrator.
    """
    for name in ("cni", "kubelet", POD_LOGS):
        (folder / name).mkdir(parents=True)
    for name, content in (
        ("Corefile", _COREFILE.format(kubeconfig=admin)),
        ("cni/10-bridge.conflist", json.dumps(_cni(folder))),
        ("containerd.toml", _containerd(folder)),
        ("kubelet.yaml", yaml.safe_dump(_kubelet(folder, plane))),
        ("kube-proxy.yaml", yaml.safe_dump(_kube_proxy(admin))),
    ):
        (folder / name).write_text(content)


_COREFILE: Final = """\
.:53 {{
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local {{
    kubeconfig {kubeconfig}
  }}
}}
"""


def _cni(folder: Path) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(folder / "ipam"),
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd(folder: Path) -> str:
    # Root itself may not be allowed to lower oom_score_adj, and then no container starts.
    return f"""\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def _kubelet(folder: Path, plane: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{os.environ[CGROUP]}",
        "podLogsDir": str(folder / POD_LOGS),
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(plane / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS],
        "resolvConf": "",
        # The time until a pod sees a changed Secret; a minute by default.
        "syncFrequency": "10s",
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "tlsCertFile": str(folder / "kubelet.crt"),
        "tlsPrivateKeyFile": str(folder / "kubelet.key"),
        "evictionHard": {
            "imagefs.available": "1%",
            "nodefs.available": "1%",
            "memory.available": "100Mi",
        },
        "imageGCHighThresholdPercent": 100,
    }


def _kube_proxy(admin: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(admin)},
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "nodePortAddresses": ["primary"],
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def pause_archive(folder: Path) -> Path:
    """The program that keeps the namespaces of a pod open, as an image with one file."""
    shutil.copy(binary("pause"), folder / "pause")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as packed:
        packed.add(folder / "pause", "pause")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE], "Layers": ["layer.tar"]}]
    archive = folder / "pause.tar"
    with tarfile.open(archive, "w") as packed:
        for name, content in (
            ("manifest.json", json.dumps(manifest).encode()),
            ("config.json", json.dumps(config).encode()),
            ("layer.tar", layer.getvalue()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return archive
