from tests.loops.machines import here

__all__ = ["here"]
