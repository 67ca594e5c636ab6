"""docs/metrics.md against a sidecar's /metrics: every metric with its type and its labels, both ways."""

import os
import re
import unittest

from harness import TREE, RawConn, RedisServer, Sidecar


def page():
    """{metric: (type, labels)} as documented."""
    with open(os.path.join(TREE, "docs", "metrics.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| `(crossfade_\w+)` \| (\w+) \| ([^|]*)\|", file.read(), re.M)
    return {name: (kind, set(re.findall(r"\w+", labels))) for name, kind, labels in rows}


def scraped(text):
    """The same, as served; `le` of histograms' buckets is theirs by nature."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    found = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.M):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        family = base if types.get(base) == "histogram" else name
        kind, seen = found.setdefault(family, (types[family], set()))
        seen |= set(re.findall(r'(\w+)="', labels)) - {"le"}
    return found


class MetricsPage(unittest.TestCase):
    def test_page_and_sidecar_name_the_same_metrics_with_the_same_types_and_labels(self):
        with RedisServer() as old, RedisServer() as new, Sidecar() as sidecar:
            sidecar.add_endpoint("old", old)
            sidecar.add_endpoint("new", new)
            port = sidecar.add_interlay("cache", "old")
            bindings = {"bindings": [{"template": "get"}]}
            sidecar.must("POST", "/templates", {"id": "get", "endpoint": "old", "query": "GET {{key}}"})
            sidecar.must("POST", "/apis", {"id": "all", **bindings})
            sidecar.create_migration("m", {"type": "canary", "read_percentage": 0.5, "write_mode": {
                "mode": "dual_write", "policy": "old_authoritative"}}, "cache", "new")
            sidecar.must("POST", "/migrations/m/api/all", bindings)
            sidecar.must("POST", "/migrations/m/migrate?force=true")
            with RawConn(port) as client:
                client.call("SET", "k", "v")
            _, _, text = sidecar.http("GET", "/metrics", token=None)
        self.assertGreater(len(page()), 40)
        self.assertEqual(scraped(text.decode()), page())


if __name__ == "__main__":
    unittest.main()
