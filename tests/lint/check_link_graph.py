#!/usr/bin/env python3
"""Proves from the compiled files that the trusted part links no libevent and opens no file.

Two proofs, on a finished build without sanitizers:
- no trusted library has an undefined symbol of libevent, files, sockets, TLS, threads, clocks or the environment
  (an inlined header can't hide a call: in the end it needs the symbol); the KMS client has TLS, over memory alone;
- coffer-enclave's link inputs hold no object of the host, and coffer-host's none of the enclave's actors.
"""
import re
import subprocess
import sys
from pathlib import Path

import sources

FORBIDDEN = {
    "libevent": r"(?:ev(?:ent|buffer|http|dns|util|timer|signal)_|bufferevent_)\w+",
    "files": r"(?:f?open|creat|openat|fdopen|freopen|opendir|fdopendir|unlink|rename|mkstemp|ftruncate|truncate)(?:64)?"
             r"|std::filesystem::.*|std::(?:__cxx11::)?basic_(?:[io]?fstream|filebuf)<.*",
    "sockets": r"socket|socketpair|connect|bind|listen|accept4?|getaddrinfo|send(?:to|msg)|recv(?:from|msg)"
               r"|SSL_set_[rw]?fd|BIO_new_(?:socket|connect|accept|dgram|fd)|BIO_s_(?:socket|connect|accept|datagram|fd)",
    "TLS": r"SSL_\w+",
    "threads": r"pthread_create|std::thread::.*",
    "clocks": r"time|clock_gettime|gettimeofday|std::chrono::.*_clock::now\(\).*|absl(?:::\w+)?::Now\(\)",
    "environment": r"(?:secure_)?getenv|system|popen|exec[lv]\w*|posix_spawnp?|dlopen",
}
PATTERNS = {name: re.compile(f"(?:{pattern})(?:@.*)?") for name, pattern in FORBIDDEN.items()}
MAY = {"libcoffer_kms.a": {"TLS"}}
HOST_OBJECT = re.compile(r"^(?:host_proxy|tools)/|^actors/.*(?:/host/|lib\w*host\w*\.a$)")
ENCLAVE_ACTOR = re.compile(r"^actors/.*(?:/enclave/|lib\w*enclave\w*\.a$)")


def check_library(library):
    """Forbidden symbols that a static library leaves for others to define."""
    listing = subprocess.run(["nm", "-A", "-C", "--undefined-only", str(library)],
                             capture_output=True, text=True, check=True).stdout
    findings = set()
    for line in listing.splitlines():
        match = re.match(r"[^:]+:([^:]+):\s+[Uvw]\s+(.*)$", line)
        if not match:
            continue
        member, symbol = match.groups()
        for name, pattern in PATTERNS.items():
            if pattern.fullmatch(symbol) and name not in MAY.get(library.name, ()):
                findings.add(f"{library}({member}): uses {symbol}: the trusted part has no {name} of its own")
    return sorted(findings)


def check_program(build, program, refused, reason):
    graph = subprocess.run(["ninja", "-C", str(build), "-t", "inputs", program], capture_output=True, text=True, check=False)
    if graph.returncode != 0:
        return []  # not a target of this build
    return [f"{program}: links {name}: {reason}" for name in graph.stdout.splitlines()
            if refused.search(name) and name.endswith((".o", ".a"))]


def check(build):
    findings = []
    libraries = sorted((build / "enclave_core").rglob("*.a"))
    if not libraries:
        return [f"{build}/enclave_core: no library was found; build first"]
    for library in libraries:
        findings += check_library(library)
    findings += check_program(build, "bin/coffer-enclave", HOST_OBJECT, "nothing trusted links anything of the host")
    findings += check_program(build, "bin/coffer-host", ENCLAVE_ACTOR, "the host reaches the enclave through the boundary alone")
    return findings


if __name__ == "__main__":
    sources.finish("check_link_graph", check(Path(sys.argv[1] if len(sys.argv) > 1 else sources.ROOT / "build/dev")))
