"""The cluster host: the reconciler of both hosts, on an API server.

kopf reports changes, the work queue orders the reconciles, and one client sends every request to
the API server, with a deadline.
"""
