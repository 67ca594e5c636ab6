"""The ledger of a migration for tests: which keys may differ, and when it has become empty.

    ledger = Ledger(sidecar, "m")
    ledger.until_empty()
    ledger.keys()           # {0: {b"k", …}} by database
"""

import base64

from children import wait_until

EMPTY_S = 30     # for repair to settle what is noted when the load ends
PAGE = 1000      # entries asked for at once


def key_of(entry):
    """Its bytes: JSON has those that are no text in another form."""
    return base64.b64decode(entry["key_base64"]) if "key_base64" in entry else entry["key"].encode()


class Ledger:
    def __init__(self, sidecar, migration):
        self._sidecar = sidecar
        self._migration = migration

    def page(self, query=""):
        """`data` of one answer: entries, entries_total, next_cursor, needs_full_verification, reasons, …"""
        return self._sidecar.must("GET", f"/migrations/{self._migration}/divergence{query}")

    @property
    def total(self):
        return self.page()["entries_total"]

    @property
    def needs_full_verification(self):
        return self.page()["needs_full_verification"]

    def reasons(self):
        """Why any key may differ; empty: only those with an entry may."""
        return [one["reason"] for one in self.page()["reasons"]]

    def entries(self):
        """All entries: db, key, reason, right, …"""
        found, query = [], f"?limit={PAGE}"
        while True:
            data = self.page(query)
            found += data["entries"]
            if data["next_cursor"] is None:
                return found
            query = f"?limit={PAGE}&cursor={data['next_cursor']}"

    def keys(self):
        """The keys in it: database (0 where the client chose none) -> names."""
        found = {}
        for entry in self.entries():
            found.setdefault(entry["db"] or 0, set()).add(key_of(entry))
        return found

    def noted(self, **labels):
        """Entries ever made, by metric; `reason` as a label."""
        return self._sidecar.metric("crossfade_ledger_noted_total", migration=self._migration, **labels)

    def until_empty(self, limit_s=EMPTY_S):
        """Waits for repair; AssertionError says what is left."""
        try:
            wait_until(lambda: self.total == 0, limit_s, "the ledger is empty")
        except TimeoutError as error:
            left = self.entries()
            reasons = {}
            for entry in left:
                reasons[entry["reason"]] = reasons.get(entry["reason"], 0) + 1
            raise AssertionError(f"{error}; left {len(left)}: {reasons}, e.g. {left[:4]}") from None

    def verify(self, limit_s=120):
        """POST …/verify, again while something happened meanwhile that it may not have seen, until the
        migration needs it no longer."""
        def verified():
            data = self.page()
            running = (data["verification"] or {}).get("state") == "running"
            if data["needs_full_verification"] and not running:
                self._sidecar.must("POST", f"/migrations/{self._migration}/verify")
            return not data["needs_full_verification"]
        try:
            wait_until(verified, limit_s, "everything is verified")
        except TimeoutError as error:
            raise AssertionError(f"{error}; {self.page('?limit=1')}") from None
