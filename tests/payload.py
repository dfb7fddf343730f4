"""What a report carries, read back from its page."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any


def payload_of(page: str) -> Any:
    """{runs: [{label, blocks, cells, tables}]} of a page."""
    (packed,) = re.findall(r'id="payload">([^<]*)<', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))
