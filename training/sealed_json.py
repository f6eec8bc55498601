"""JSON that ends with its own SHA-256 sum, so that damage to the file is noticed when it is read."""

import hashlib
import json
import re
from typing import Any


def sealed(content: dict[str, Any]) -> str:
    """Values as JSON, followed by the SHA-256 sum of what the JSON is without it."""
    return dumped(content | {"sha256": sum_of(content)})


def dumped(content: dict[str, Any]) -> str:
    """Values as JSON on lines of their own; NaN and infinity, which are no JSON, raise ValueError."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def sum_of(content: dict[str, Any]) -> str:
    """The SHA-256 sum of values as `dumped` writes them, hexadecimal."""
    return hashlib.sha256(dumped(content).encode("utf-8", "surrogateescape")).hexdigest()


_SEAL = re.compile(rb',?\n  "sha256": "([0-9a-f]{64})"\n}\n\Z')


def is_sealed(raw: bytes) -> bool:
    """Whether a text ends with the SHA-256 sum of what it was before its sum was added, as `sealed` adds it."""
    seal = _SEAL.search(raw, max(0, len(raw) - 100))
    if seal is None:
        return False
    digest = hashlib.sha256(memoryview(raw)[: seal.start()])
    digest.update(b"}\n" if seal.start() == 1 else b"\n}\n")
    return digest.hexdigest().encode() == seal[1]
