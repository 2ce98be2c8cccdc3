from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskrcnn.kernels import winograd
from maskrcnn.kernels.convolution import ConvolutionOptions, convolve_reference
from maskrcnn.kernels.winograd import (
    ROUGH_TILES,
    TILES,
    WinogradWeight,
    convolve_winograd,
    matrices,
    tile_side,
    transformed,
)

EVERY_TILE = pytest.mark.parametrize("tile", sorted({*TILES, *ROUGH_TILES}))
ROUNDING = {4: 1e-5, 5: 1e-5, 6: 1e-5, 7: 4e-5}
"""Bounds of the error's norm, as a share of the result's."""


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


def test_the_matrices_of_lavin_and_gray() -> None:
    """F(4, 3) as printed in section 4.3 of the paper."""
    b_t, g, a_t = matrices(4)
    assert b_t.round(decimals=9).tolist() == [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
    assert (24 * g).round(decimals=9).tolist() == [
        [6, 0, 0],
        [-4, -4, -4],
        [-4, 4, -4],
        [1, 2, 4],
        [1, -2, 4],
        [0, 0, 24],
    ]
    assert a_t.tolist() == [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def test_which_tile() -> None:
    """The largest on large maps, the one with smaller weights on others, the least beyond the edge on many small ones.

    Tiles of 7 are taken where they are allowed, and only if there are many.
    """
    for expected, *shape in (
        (6, 1, 200, 304),
        (6, 1, 100, 152),
        (4, 1, 50, 76),
        (4, 1, 4, 99),
        (6, 100, 12, 12),
        (4, 100, 7, 7),
        (5, 100, 14, 14),
    ):
        n, height, width = shape
        assert tile_side(torch.Size((n, 256, height, width))) == expected
    assert [tile_side(torch.Size((n, 256, 14, 14)), ROUGH_TILES) for n in (12, 100)] == [5, 7]


def test_weights_for_a_single_block_stay_as_they_are() -> None:
    weight = torch.randn(16, 16, 3, 3)
    assert not transformed(weight, torch.Size((1, 16, 36, 48))).packed  # 108 tiles
    assert transformed(weight, torch.Size((1, 16, 36, 49))).packed == winograd._can_pack(weight)


@EVERY_TILE
def test_a_single_pixel(tile: int) -> None:
    """Only the middle weight meets the pixel; the frame around it is zero."""
    weight = WinogradWeight.transform(torch.arange(9.0).view(1, 1, 3, 3), tile)
    y = convolve_winograd(torch.full((1, 1, 1, 1), 3.0), weight, torch.tensor([-1.0]))
    rounding = {4: 2e-6, 5: 4e-6, 6: 2e-6, 7: 1e-5}[tile]
    torch.testing.assert_close(y, torch.full((1, 1, 1, 1), 11.0), atol=0, rtol=rounding)


@EVERY_TILE
@pytest.mark.parametrize(
    "shape",
    [
        (1, 8, 4, 4),  # one tile
        (2, 8, 5, 7),  # tiles that reach over the edge
        (1, 8, 3, 400),  # a row of several blocks
        (1, 8, 90, 50),  # several blocks, the last ones smaller
        (30, 8, 14, 14),  # several blocks of images, the last one shorter
        (3, 8, 70, 90),  # both
        (1, 8, 60, 60),  # blocks that touch no edge
    ],
)
@pytest.mark.parametrize(("dtype", "packed"), [(torch.float32, True), (torch.float32, False), (torch.float64, False)])
@pytest.mark.parametrize(("with_bias", "relu"), [(True, True), (False, False)])
def test_computes_the_convolution(
    tile: int, shape: tuple[int, ...], dtype: torch.dtype, packed: bool, with_bias: bool, relu: bool
) -> None:
    """With oneDNN's products, in single precision, and with torch's own."""
    torch.manual_seed(0)
    x, weight = randn(*shape).to(dtype), torch.randn(4, 8, 3, 3).to(dtype) / 8
    bias = torch.randn(4).to(dtype) if with_bias else None
    expected = convolve_reference(x, weight, bias, None, ConvolutionOptions(padding=(1, 1), relu=relu))
    actual = convolve_winograd(x, WinogradWeight.transform(weight, tile, packed), bias, relu=relu)
    assert actual.shape == expected.shape and actual.is_contiguous(memory_format=torch.channels_last)
    tolerance = 10 * ROUNDING[tile] if dtype == torch.float32 else 1e-11
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_pointwise_convolution_follows(with_bias: bool) -> None:
    torch.manual_seed(0)
    x, weight, bias = randn(2, 6, 70, 50), torch.randn(8, 6, 3, 3) / 7, torch.randn(8)
    then = torch.randn(3, 8), torch.randn(3) if with_bias else None
    before = convolve_reference(x, weight, bias, None, ConvolutionOptions(padding=(1, 1), relu=True))
    actual = convolve_winograd(x, WinogradWeight.transform(weight, 6), bias, relu=True, then=then)
    expected = F.conv2d(before, then[0][:, :, None, None], then[1])
    assert actual.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_weights_are_packed_where_their_order_is_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    """In another order, they would be sorted anew at every call."""
    for capability, widths, packed in (
        ("AVX512", (32, 16), True),
        ("AVX512", (48, 16), False),
        ("AVX2", (32, 16), False),
    ):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda capability=capability: capability)
        torch.manual_seed(0)
        x, weight = randn(1, widths[0], 70, 90), torch.randn(widths[1], widths[0], 3, 3) / 17
        own = WinogradWeight.transform(weight, 6)
        assert own.packed == (packed and torch.backends.mkldnn.is_available())
        torch.testing.assert_close(
            convolve_winograd(x, own, None), F.conv2d(x, weight, padding=1), atol=1e-4, rtol=1e-4
        )


@EVERY_TILE
def test_the_rounding_error_is_bounded(tile: int) -> None:
    """At a width it is used for, with inputs as after a ReLU: the norm of the error, and the worst single value."""
    torch.manual_seed(0)
    x, weight = randn(1, 256, 64, 48).relu(), torch.randn(256, 256, 3, 3) / 48
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    error = convolve_winograd(x, WinogradWeight.transform(weight, tile), None).double() - exact
    assert error.norm() / exact.norm() < ROUNDING[tile]
    assert error.abs().max() / exact.abs().max() < 5 * ROUNDING[tile]


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    torch.manual_seed(0)
    x, weight = randn(2, 32, 100, 100), WinogradWeight.transform(torch.randn(16, 32, 3, 3), 6)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(convolve_winograd(x, weight, None))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
