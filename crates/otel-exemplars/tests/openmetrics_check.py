"""Reads pages with prometheus_client's OpenMetrics parser and compares them with what their writer meant.

Usage: openmetrics_check.py FOLDER
FOLDER holds pages `good-N.om`, each with `good-N.json` (a list of [name, labels, value, exemplar]), and `bad-N.om`,
which the parser has to refuse. Exits 1 at the first page that is not as it should be.
"""

import json
import math
import pathlib
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families


def number(text):
    return float(text)


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


def samples_of(page):
    samples = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in samples:
                raise ValueError(f"series twice: {key}")
            samples[key] = sample
    return samples


def check(page, expected):
    samples = samples_of(page)
    for name, labels, value, exemplar in expected:
        key = (name, tuple(sorted(labels.items())))
        sample = samples.pop(key, None)
        if sample is None:
            raise ValueError(f"missing: {key}")
        if not same(float(sample.value), number(value)):
            raise ValueError(f"{key}: {sample.value} is not {value}")
        if (sample.exemplar is None) != (exemplar is None):
            raise ValueError(f"{key}: exemplar {sample.exemplar} is not {exemplar}")
        if exemplar is not None:
            labels, value, time = exemplar
            found = sample.exemplar
            if found.labels != labels or not same(found.value, number(value)) or float(found.timestamp) != number(time):
                raise ValueError(f"{key}: exemplar {found} is not {exemplar}")
    if samples:
        raise ValueError(f"unexpected: {list(samples)}")


def main(folder):
    counts = {"good": 0, "bad": 0, "samples": 0, "exemplars": 0}
    for path in sorted(folder.glob("good-*.om")):
        page = path.read_bytes().decode("utf-8")
        expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        try:
            check(page, expected)
        except Exception as fault:
            sys.exit(f"{path}: {type(fault).__name__}: {fault}\n{page}")
        counts["good"] += 1
        counts["samples"] += len(expected)
        counts["exemplars"] += sum(1 for sample in expected if sample[3] is not None)
    for path in sorted(folder.glob("bad-*.om")):
        page = path.read_bytes().decode("utf-8")
        try:
            samples_of(page)
        except Exception:
            counts["bad"] += 1
            continue
        sys.exit(f"{path}: the parser takes a broken page, so its word is worth nothing\n{page}")
    print(" ".join(f"{name}={count}" for name, count in counts.items()))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
