"""What takes seconds to import is imported late, one module at a time.

A page is there before torch and transformers are: what needs them imports them when it is first
asked for, and holds `IMPORTING` meanwhile; who asks at the same time waits. Without it a second
thread may find a module half made: those of torch import each other in circles, and transformers
finds its parts only when they are asked for.
"""

from __future__ import annotations

from threading import RLock

IMPORTING = RLock()
