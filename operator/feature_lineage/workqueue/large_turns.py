"""Who may hold large parsed texts: one key of a namespace at a time, of few namespaces.

A key that waits for its turn has no worker and no memory, so it delays no other key. The namespace
whose turn was longest ago comes first, so that many keys of one namespace do not delay another one.
"""

from typing import Final

from feature_lineage.decide.facts import Key

LARGE_AT_ONCE: Final = 2
"""Namespaces that have a turn at once. A turn holds a snapshot and the reports of two operations:
up to 64 and two times 40 MiB, as `parse_bytes` estimates them."""


class LargeTurns:
    """The turns of all keys.

    Args:
        most: how many namespaces have a turn at once.
    """

    def __init__(self, most: int = LARGE_AT_ONCE) -> None:
        self._most = most
        self._held: dict[str, Key] = {}
        self._waiting: dict[str, dict[Key, None]] = {}

    def has(self, key: Key) -> bool:
        """Whether it is the turn of this key."""
        return self._held.get(key.namespace) == key

    def ask(self, key: Key) -> bool:
        """Ask for a turn; False: `give_back` of another key returns this one when it has a turn."""
        self._waiting.setdefault(key.namespace, {})[key] = None
        self._next()
        return self.has(key)

    def give_back(self, key: Key) -> list[Key]:
        """End the turn of a key, or its waiting; the keys whose turn begins.

        A key that has no turn and does not wait is no error.
        """
        waiting = self._waiting.get(key.namespace, {})
        waiting.pop(key, None)
        if not waiting:
            self._waiting.pop(key.namespace, None)
        if self.has(key):
            del self._held[key.namespace]
            if waiting:  # the others come first
                self._waiting[key.namespace] = self._waiting.pop(key.namespace)
        return self._next()

    def _next(self) -> list[Key]:
        begun = []
        for namespace in list(self._waiting):
            if len(self._held) >= self._most:
                break
            if namespace in self._held:
                continue
            key = next(iter(self._waiting[namespace]))
            del self._waiting[namespace][key]
            if not self._waiting[namespace]:
                del self._waiting[namespace]
            self._held[namespace] = key
            begun.append(key)
        return begun
