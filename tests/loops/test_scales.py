"""Scales in other formats than fp32: powers of two, fp16, integers with a scale of their own."""

import ctypes

import pytest
import torch

from qdemo.loops import floats, machine, product
from qdemo.loops.form import ADDRESSES, Form
from qdemo.numerics.packing import Panels

GROUP, LENGTH = 32, 256
GROUPS = LENGTH // GROUP
LEVELS = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def drawn(scales, n):
    """Scales as they lie, (groups, n), those of scales, and what they are worth in fp64."""
    generator = torch.Generator().manual_seed(n)
    match scales:
        case "e8m0":
            held = torch.randint(100, 140, (GROUPS, n), generator=generator, dtype=torch.uint8)
            held[0, 0] = 0  # 2^−127
            return held, None, torch.exp2(held.double() - 127)
        case "fp16":
            held = torch.rand(GROUPS, n, generator=generator).half()
            held[0, 0] = 2.0**-24  # a subnormal
            return held, None, held.double()
    held = torch.randint(-128, 128, (GROUPS, n), generator=generator, dtype=torch.int8)
    outer = torch.rand(GROUPS // 4, n, generator=generator).half()
    return held, outer, held.double() * outer.double().repeat_interleave(4, 0)


def numbers(form, n):
    """Codes as they lie, and the numbers that they mean."""
    generator = torch.Generator().manual_seed(7)
    if form.planes:
        codes = torch.randint(0, 16, (n, LENGTH), generator=generator, dtype=torch.uint8)
        return Panels(4, n, LENGTH).pack(codes), LEVELS[codes.long()].double()
    codes = torch.randint(-127, 128, (n, LENGTH), generator=generator, dtype=torch.int8)
    return codes, codes.double()


@pytest.mark.parametrize("n", [5, 16, 70])
@pytest.mark.parametrize("planes", [(4,), ()], ids=["panels", "rows"])
@pytest.mark.parametrize("scales", ["e8m0", "fp16", "nested"])
def test_the_product_and_the_floats(scales, planes, n, here):
    if scales in ("fp16", "nested") and here.kind == "portable":
        pytest.skip("a CPU that does not convert fp16 has no such scales")
    form = Form(planes, "table" if planes else "integer", scales=scales, several=4)
    held, outer, worth = drawn(scales, n)
    codes, values = numbers(form, n)
    exact = values * worth.repeat_interleave(GROUP, 0).t()
    read = {"codes": codes, "scales": held, "table": LEVELS, "outer": outer}
    addresses = (0 if read.get(at) is None else read[at].data_ptr() for at in ADDRESSES)
    told = (n, LENGTH, GROUP, *addresses)
    for rows in (1, 3):
        x, y = torch.randn(rows, LENGTH), torch.empty(rows, n)
        work = machine.work(n, product.chunk(n, 2, here, form), told)
        kernel = machine.kernel(product.product, form)
        kernel.briefly(ctypes.addressof(work), x.data_ptr(), y.data_ptr(), rows, 0, 1)
        sizes = x.double().abs() @ exact.abs().t()
        assert ((y.double() - x.double() @ exact.t()).abs() <= 2.0**-20 * sizes).all()
    made, work = torch.empty(n * LENGTH), machine.work(n, 16, told)
    kernel = machine.kernel(floats.floats, form, False)
    kernel.briefly(ctypes.addressof(work), made.data_ptr(), 0, n, 0, 1)
    found = made.view(LENGTH, n).t() if planes else made.view(n, LENGTH)
    assert torch.allclose(found.double(), exact, rtol=2.0**-22, atol=1e-40)
