"""The cluster host: the same core as on one machine, on an API server.

kopf tells what changed, a keyed queue decides what is looked at next, `Controller` does the rest,
and everything goes to the API server through one client with a deadline on every request.
"""
