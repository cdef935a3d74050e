"""The qdemo dashboard: python app.py, then open the address that it prints."""

import contextlib

from qdemo.engine import heap

with heap.for_good():
    with contextlib.suppress(ImportError):
        import spaces  # noqa: F401 - on ZeroGPU it has to come before torch

    from qdemo.ui.dashboard import build, serve

    demo = build()

if __name__ == "__main__":
    serve(demo)
