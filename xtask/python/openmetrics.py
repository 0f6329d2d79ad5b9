"""Reads an OpenMetrics page from standard input with prometheus_client's parser and prints what it holds, as JSON.

Exits 1 when the parser refuses the page, or an exemplar names no trace and span.
"""

import collections
import json
import re
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

IDS = {"trace_id": re.compile("[0-9a-f]{32}"), "span_id": re.compile("[0-9a-f]{16}")}


def main(page):
    counts = collections.Counter()
    for family in text_string_to_metric_families(page):
        counts["families"] += 1
        for sample in family.samples:
            counts["samples"] += 1
            exemplar = sample.exemplar
            if exemplar is None:
                continue
            counts["exemplars"] += 1
            if set(exemplar.labels) != set(IDS) or exemplar.timestamp is None:
                raise ValueError(f"{sample.name}: {exemplar} lacks an id or a time")
            for name, form in IDS.items():
                if not form.fullmatch(exemplar.labels[name]):
                    raise ValueError(f"{sample.name}: {name} of {exemplar} is no id")
            if exemplar.value > float(sample.labels.get("le", "inf")):
                raise ValueError(f"{sample.name}: {exemplar} is not in its bucket {sample.labels}")
    print(json.dumps(counts))


if __name__ == "__main__":
    try:
        main(sys.stdin.buffer.read().decode("utf-8"))
    except ValueError as fault:
        sys.exit(f"{type(fault).__name__}: {fault}")
