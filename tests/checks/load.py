"""Figures of the load tests: whether all are there and can be true."""

import json
import sys
from pathlib import Path


def figures(path):
    document = json.loads(Path(path).read_text())
    assert document["machine"] and document["commit"], "the record says where and what"
    found = document["figures"]
    assert all(value >= 0 for value in found.values()), found
    return found


throughput, latency, matcher = map(figures, sys.argv[1:])
for name in ("core", "intake_core", "pipeline", "do_nothing"):
    assert throughput[f"{name}_events_per_second"] > 1_000, name
for suffix in ("", "_batched"):
    for process in ("intake", "detector"):
        assert throughput[f"cpu_ns_per_event_{process}{suffix}"] > 0, process + suffix
quantiles = [latency[f"alert_latency_ms_{name}"] for name in ("p50", "p99", "p999", "max")]
assert quantiles == sorted(quantiles) and quantiles[0] > 0.5, quantiles
assert latency["alert_latency_samples"] >= 200, "a new content every 20 ms for five seconds"
assert latency["latency_events"] > 0.9 * 8 * latency["latency_rate_events_per_second"], "the rate was not kept"
for kind in ("random", "random_tenfold", "clustered", "skewed"):
    assert matcher[f"lookups_per_second_{kind}"] > 1, kind
print(f"alerts after {quantiles[0]} ms in the median, {quantiles[1]} ms at the 99th percentile, {quantiles[3]} ms at most")
