#!/usr/bin/env python3
"""Fails when a core crate depends on anything outside its allow list, or its sources mention what a pure state machine must not have.

The core is handed time, seeds and inputs and hands back outputs; that is what makes a replay bit-exact. Tests inside the crates
(`#[cfg(test)]` modules, tests/, benches/) may use more.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What each core crate may depend on. A new entry needs a reason that holds on every machine and in every replay.
ALLOWED = {
    "model": {"siphasher", "thiserror"},
    "sketch": {"tocsin-model", "libm", "thiserror", "xxhash-rust"},
    "velocity": {"tocsin-model", "tocsin-sketch", "tocsin-family", "libm", "thiserror", "xxhash-rust"},
    "family": {"tocsin-model", "tocsin-sketch", "thiserror", "libm", "xxhash-rust"},
    # Addresses of tools are filled in: text to text.
    "casework": {"tocsin-model", "percent-encoding", "thiserror"},
    # serde and toml turn the text of a protocol, which is an argument, into values.
    "protocol": {"tocsin-model", "serde", "thiserror", "toml"},
    "suppression": {"tocsin-model"},
    # sha2 and ring make digests and Ed25519 signatures, which follow from their arguments alone: keys and salts are handed in.
    "audit": {"tocsin-model", "ring", "sha2", "thiserror"},
    # The same, and serde with JSON spells what is signed.
    "evidence": {"tocsin-model", "tocsin-casework", "hex", "ring", "serde", "serde_json", "sha2", "thiserror"},
    # serde names the parts of events as they are kept.
    "incident": {"tocsin-model", "tocsin-casework", "tocsin-protocol", "serde", "thiserror"},
    # serde names the parts of a report as it is written.
    "report": {"tocsin-model", "tocsin-casework", "serde", "thiserror"},
    # serde names the parts of a day as it is published.
    "research": {"tocsin-model", "tocsin-casework", "tocsin-report", "tocsin-suppression", "serde"},
}

# These constructors exist for the standard library's random hasher alone.
RANDOM_ORDER = r"\b(HashMap|HashSet)\s*(::\s*<[^>]*>\s*)?::\s*(new|with_capacity|from)\b"

# The finder looks up by key and never iterates, and what it finds becomes an ordered input before any state machine sees it.
EXEMPT = {("family", RANDOM_ORDER)}

FORBIDDEN = {
    r"\bstd\s*::\s*(time|thread|fs|env|net|io|process)\b": "the outside world",
    r"\b(SystemTime|Instant)\b": "a clock",
    r"\b(tokio|rdkafka|tracing|async_trait|futures)\s*::": "a runtime, a client or a logger",
    r"\brand\s*::|\b(thread_rng|RandomState|getrandom)\b": "randomness",
    RANDOM_ORDER: "a map whose order is random on each run",
    r"\b(println|eprintln|print|eprint|dbg)!": "output",
    r"\basync\s+(fn|move)\b|\.await\b": "async",
    r"\.(ln|exp|ln_1p|exp_m1|log2|log10|powf|log)\(": "a float function that differs between machines (use libm)",
}


def production_text(source: str) -> str:
    """The source without comments, strings that cannot matter and the `#[cfg(test)]` module at its end."""
    source = re.split(r"#\[cfg\(test\)\]\s*(?:#!?\[[^\]]*\]\s*)*mod\s+\w+\s*\{", source)[0]
    return re.sub(r"//[^\n]*", "", source)


def is_test_file(path: Path, crate: Path) -> bool:
    """Whether a file is compiled for tests alone: its module, or one it lies in, is declared under `#[cfg(test)]`."""
    names = path.relative_to(crate / "src").with_suffix("").parts
    declaration = r"#\[cfg\(test\)\]\s*(?:#!?\[[^\]]*\]\s*)*(?:pub\S*\s+)?mod\s+(?:" + "|".join(map(re.escape, names)) + r")\s*;"
    return any(re.search(declaration, other.read_text()) for other in (crate / "src").rglob("*.rs") if other != path)


def problems() -> list[str]:
    """Every breach, as one line each."""
    found = []
    for name, allowed in ALLOWED.items():
        crate = ROOT / "services/lib" / name
        manifest = tomllib.loads((crate / "Cargo.toml").read_text())
        for section in ("dependencies", "build-dependencies"):
            for dependency in manifest.get(section, {}):
                if dependency not in allowed:
                    found.append(f"services/lib/{name}/Cargo.toml: {dependency} is not in the core's allow list")
        if "target" in manifest or (crate / "build.rs").exists():
            found.append(f"services/lib/{name}: a core crate is the same on every target and has no build script")
        for path in sorted((crate / "src").rglob("*.rs")):
            if is_test_file(path, crate):
                continue
            text = production_text(path.read_text())
            for pattern, what in FORBIDDEN.items():
                if (name, pattern) in EXEMPT:
                    continue
                for match in re.finditer(pattern, text):
                    found.append(f"{path.relative_to(ROOT)}: `{match.group(0).strip()}` is {what}")
    return found


def self_test() -> None:
    """The patterns find what they are for: a lint that matches nothing would pass for ever."""
    breaches = [
        "use std::time::Instant;", "std::thread::spawn(f)", "std :: env::var(x)", "tokio::spawn(f)", "rand::rng()", "HashMap::new()",
        "println!(\"x\")", "async fn f()", "x.ln()", "tracing::info!(x)", "rdkafka::client",
    ]
    for breach in breaches:
        assert any(re.search(pattern, production_text(breach)) for pattern in FORBIDDEN), breach
    assert production_text("fn a() {}\n#[cfg(test)]\nmod tests { use std::time::Instant; }") == "fn a() {}\n"


def main() -> int:
    """Runs the check; prints each problem; 1 when there is one."""
    self_test()
    found = problems()
    print("\n".join(found) or f"{len(ALLOWED)} core crates are pure")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
