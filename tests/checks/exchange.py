#!/usr/bin/env python3
"""Reads what `tocsin watch export` writes with the libraries of those who read it. Ends with 77 where a library is not installed.

Usage: exchange.py stix FILE SIGHTINGS
       exchange.py local-file FILE SIGNALS
"""

import sys
from pathlib import Path

SKIPPED = 77


def stix(text: str) -> list[str]:
    """The ids of what was sighted, each with its count, once the library takes the whole bundle."""
    import stix2

    bundle = stix2.parse(text, version="2.1")
    by_id = {entry["id"]: entry for entry in bundle.objects}
    found = []
    for sighting in (entry for entry in bundle.objects if entry["type"] == "sighting"):
        assert sighting.first_seen <= sighting.last_seen and sighting.summary, sighting
        for reference in [sighting.sighting_of_ref, sighting.created_by_ref, *sighting.where_sighted_refs]:
            assert reference in by_id, f"{reference} is not in the bundle"
        assert sighting.object_marking_refs == [stix2.TLP_AMBER.id], sighting
        found.append(f"{by_id[sighting.sighting_of_ref].pattern} {sighting.count}")
    return found


def local_file(path: str) -> list[str]:
    """The signals that the library's own exchange reads, each of a type that its command line has without being told."""
    from threatexchange.cli.main import _DEFAULT_SIGNAL_TYPES
    from threatexchange.exchanges.impl.file_api import FileCollaborationConfig, LocalFileSignalExchangeAPI

    kinds = {kind.get_name(): kind for kind in _DEFAULT_SIGNAL_TYPES}
    config = FileCollaborationConfig(name="tocsin", api="local_file", enabled=True, filename=path)
    exchange = LocalFileSignalExchangeAPI.for_collab(config)
    found = []
    for delta in exchange.fetch_iter(list(kinds.values()), None):
        for kind, signal in delta.updates:
            found.append(f"{kind} {kinds[kind].validate_signal_str(signal)}")
    return found


def main() -> int:
    """Prints what was read and compares it with what is expected."""
    kind, path, *expected = sys.argv[1:]
    try:
        found = stix(Path(path).read_text()) if kind == "stix" else local_file(path)
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIPPED
    if sorted(found) == sorted(expected):
        return 0
    print(f"found {sorted(found)}, expected {sorted(expected)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
