"""The HTTP server of the operator process: the server itself, streamed answers, health probes."""
