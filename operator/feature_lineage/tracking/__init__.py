"""MLflow over REST: one shared reading of the model registry, idempotent ops runs, tags.

    client_pool.ModelRegistryPool        one client per server and credential
    ├── platform_servers                 the servers of the platform
    │   └── place                        where an address leads, however it is spelled
    ├── access                           who may use them, for which projects and models
    ├── permitted_registry               a server as one namespace and Feast project may use it
    └── registry.MLflowRegistry          everything a host needs of one server with one credential
        ├── registry_cache.RegistryCache one reading for all resources, one refresh at a time
        │   ├── cache_budget             the memory of all readings
        │   ├── paging                   which pages to request, and when a reading is complete
        │   ├── registry_view            the view that a reading gives
        │   ├── run_resolver             finds the run of a version that names none
        │   └── training                 training runs, cached for good once finished
        ├── ops.OpsRuns                  exactly one run per operation
        ├── timeline.TimelineReader      the registry's history, read back from the ops runs
        ├── tags                         one tag per call
        └── client.MLflowClient          the REST calls, typed
            ├── parsing                  JSON to values
            ├── http.Http                deadlines, retries, size limits
            ├── circuit_breaker          one probe at a time while a server is down
            └── mlflow_errors            MLflow's error answers as errors of `errors`

Nothing here imports mlflow: its client takes 1.5 s and 77 MB to import, four minutes to give up on
a closed port, and reads its credential from the process's environment on every request.
"""

from feature_lineage.tracking.access import AccessEntry
from feature_lineage.tracking.mlflow_server import BasicAuth, BearerToken, Credential, MLflowServer
from feature_lineage.tracking.registry import MLflowRegistry

__all__ = [
    "AccessEntry",
    "BasicAuth",
    "BearerToken",
    "Credential",
    "MLflowRegistry",
    "MLflowServer",
]
