"""MLflow over REST: the registry as one shared view, ops runs that converge, tags.

    registry.MLflowRegistry     what a host holds per server and credential; the only way in
    ├── view.SharedView         one reading for all resources, single-flight
    │   ├── reading             which pages to ask for, and when a reading is whole
    │   ├── sources             which run made a version that names none
    │   └── training            training runs, kept for good once finished
    ├── ops.OpsRuns             exactly one run per operation, and the timeline read back from them
    ├── tags                    one tag, one call
    └── client.MLflowClient     the calls needed, typed
        ├── wire                JSON to facts
        ├── http.Http           deadlines, retries, size caps
        ├── circuit.Circuit     one probe at a time while a server is out
        └── answers             what an answer means, as an error of `errors`

Nothing here imports mlflow: its client takes 1.5 s and 77 MB to import, four minutes to give up on
a closed port, and reads its credential from the process's environment on every request.
"""

from feature_lineage.tracking.registry import MLflowRegistry
from feature_lineage.tracking.server import BasicAuth, BearerToken, Credential, MLflowServer

__all__ = ["BasicAuth", "BearerToken", "Credential", "MLflowRegistry", "MLflowServer"]
