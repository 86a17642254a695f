"""Fail when a dependency has a licence that does not suit this program's: licences.py reads a CycloneDX SBOM from stdin."""

import json
import sys

ALLOWED = {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "BSD-Source-Code", "ISC", "MPL-2.0"}
# What a detector takes the text of the documentation's licence for; the code's is Apache-2.0 (its LICENSE file).
JUDGED = {"github.com/opencontainers/go-digest": "Apache-2.0", "std": "BSD-3-Clause"}


def licences(component):
    """Give the names of a component's licences."""
    found = [entry.get("license", {}) for entry in component.get("licenses", [])]
    return [entry.get("id") or entry.get("name") for entry in found]


wrong = 0
for component in json.load(sys.stdin)["components"]:
    names = [JUDGED[component["name"]]] if component["name"] in JUDGED else licences(component)
    if not names or not set(names) <= ALLOWED:
        print("%s %s: licence %s" % (component["name"], component.get("version"), names or "not found"), file=sys.stderr)
        wrong += 1
sys.exit(wrong > 0)
