"""Sets of values that together render every line of every template."""

from typing import Final

SERVERS: Final = [
    {
        "name": "prod",
        "trackingUri": "https://mlflow.example.org/base",
        "workspace": "ml",
        "secretName": "mlflow-prod",
        "caConfigMap": {"name": "corporate-ca"},
        "access": [
            {
                "namespaces": ["ml-*"],
                "feastProjects": ["driver_*"],
                "models": ["driver_*", "shared"],
                "allow": ["Tags", "OpsRuns"],
            }
        ],
    },
    {
        "name": "lab",
        "trackingUri": "http://mlflow.lab:5000",
        "caSecret": {"name": "lab-ca", "key": "bundle.pem"},
    },
    {"name": "open", "trackingUri": "http://mlflow.open:5000"},
]

SETS: Final = {
    "defaults": {},
    "namespaces": {
        "watch": {"namespaces": ["team-a", "team-b"]},
        "rbac": {"aggregate": False},
        "crds": {"install": False},
    },
    "secrets": {"rbac": {"secrets": "WatchedNamespaces"}},
    "secrets-of-namespaces": {
        "rbac": {"secrets": "WatchedNamespaces"},
        "watch": {"namespaces": ["team-a"]},
    },
    "bare": {
        "replicaCount": 1,
        "rbac": {"create": False, "aggregate": False},
        "serviceAccount": {"create": False, "name": "somebody"},
        "crds": {"keep": False},
        "podDisruptionBudget": {"enabled": False},
    },
    "everything": {
        "replicaCount": 3,
        "image": {"registry": "registry.example.org", "digest": f"sha256:{'0' * 64}"},
        "imagePullSecrets": [{"name": "regcred"}],
        "serviceAccount": {"annotations": {"example.org/role": "operator"}},
        "mlflowServers": SERVERS,
        "allowedTrackingUris": ["https://mlflow.*.example.org", "http://*.svc:5000"],
        "allowedGitHosts": ["*.example.org", "git.corp:8443"],
        "allowAnyGitHost": False,
        "allowedFeatureServerUrls": ["http://features.*.svc:6566"],
        "api": {
            "enabled": True,
            "tls": {"secretName": "lineage-tls"},
            "feastUiWithoutToken": ["ml/driver-ranking"],
        },
        "runner": {
            "image": {"tag": "nightly", "pullPolicy": "Always"},
            "imagePullSecrets": [{"name": "regcred"}],
            "resources": {"limits": {"cpu": 2, "memory": "4Gi"}},
        },
        "workers": 8,
        "resyncInterval": "1h30m",
        "leaderElection": {"leaseName": "lineage-leader"},
        "extraArgs": ["--verbose"],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"}],
        "extraVolumes": [{"name": "netrc", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "netrc", "mountPath": "/netrc"}],
        "service": {"port": 80, "annotations": {"example.org/scrape": "true"}},
        "metrics": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        },
        "networkPolicy": {
            "enabled": True,
            "ingressFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}],
        },
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
            }
        ],
        "terminationGracePeriodSeconds": 60,
        "podLabels": {"team": "ml-platform"},
        "podAnnotations": {"example.org/owner": "ml-platform"},
        "commonLabels": {"cost-center": "ml"},
    },
    "open": {
        "allowAnyTrackingUri": True,
        "allowAnyGitHost": True,
        "allowAnyFeatureServerUrl": True,
    },
    "closed": {"networkPolicy": {"enabled": True, "egressPorts": []}},
    "stopped": {"replicaCount": 0, "fullnameOverride": "lineage", "nameOverride": "flo"},
}
