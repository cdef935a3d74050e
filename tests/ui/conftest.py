import asyncio

import pytest


@pytest.fixture(scope="package", autouse=True)
def _nothing_is_left(tmp_path_factory):
    """Laying out a page, gradio fills a cache, and makes event loops that it leaves open."""
    loops, make = [], asyncio.new_event_loop

    def kept():
        loops.append(make())
        return loops[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(asyncio, "new_event_loop", kept)
        yield
    asyncio.set_event_loop(None)
    for loop in loops:
        loop.close()
