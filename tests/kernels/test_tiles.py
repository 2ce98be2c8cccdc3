from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskrcnn.kernels.tiles import BLOCK_TILES, Block, TileTransform, WindowTransform, block_sizes, blocks, tile_grid


@pytest.mark.parametrize(("rows", "columns"), [(34, 51), (17, 26), (1, 300), (9, 13), (2, 3)])
def test_blocks_cover_every_tile_once(rows: int, columns: int) -> None:
    seen = torch.zeros(5, rows, columns, dtype=torch.int64)
    for images, tile_rows, tile_columns in blocks(5, rows, columns):
        assert seen[images, tile_rows, tile_columns].numel() <= BLOCK_TILES
        seen[images, tile_rows, tile_columns] += 1
    assert (seen == 1).all()


def windows_by_copying(x: torch.Tensor, block: Block, tile: int, margin: int) -> torch.Tensor:
    """(tiles, w, w, C), of a map that is padded on all sides beforehand."""
    rows, columns = tile_grid(*x.shape[1:3], tile)
    below, right = rows * tile - x.shape[1], columns * tile - x.shape[2]
    padded = F.pad(x, (0, 0, margin, margin + right, margin, margin + below))
    side = tile + 2 * margin
    windows = padded.unfold(1, side, tile).unfold(2, side, tile)[block]
    return windows.permute(0, 1, 2, 4, 5, 3).flatten(0, 2)


@pytest.mark.parametrize("margin", [0, 1, 2])
@pytest.mark.parametrize("size", [(3, 14, 14), (1, 40, 57), (1, 1, 1), (2, 5, 90)])
def test_windows_are_transformed(size: tuple[int, int, int], margin: int) -> None:
    """Every block of a map, beside one that copies every window; what lies outside the map is zero."""
    torch.manual_seed(0)
    tile, matrix = 4, torch.randn(3, 4 + 2 * margin).double()
    x = torch.randn(*size, 2).double()
    transform = WindowTransform(matrix, tile, margin)
    for block in blocks(size[0], *tile_grid(*size[1:], tile)):
        windows = windows_by_copying(x, block, tile, margin)
        expected = torch.einsum("ik,tklc,jl->tijc", matrix, windows, matrix).flatten(1, 2)
        actual = transform(x, block, num_zeros=2)
        torch.testing.assert_close(actual, F.pad(expected, (0, 0, 0, 0, 0, 2)), atol=1e-12, rtol=1e-12)


def test_a_window_reads_nothing_but_its_own_pixels() -> None:
    """Whatever else the map holds: a plan that multiplied other pixels by zero would spread their NaN."""
    x = torch.full((1, 30, 30, 1), torch.nan)
    x[:, :5, :5] = 1.0
    sums = WindowTransform(torch.ones(1, 6), tile=4, margin=1)(x, (slice(0, 1), slice(0, 1), slice(0, 1)))
    assert sums.flatten().tolist() == [25.0]


@pytest.mark.parametrize("by_element", [True, False])
def test_tiles_become_pixels(by_element: bool) -> None:
    torch.manual_seed(0)
    sizes, matrix = (2, 3, 4), torch.randn(3, 5).double()
    squares = torch.randn(2 * 3 * 4 + 1, 25, 2).double()  # one more than asked for
    if by_element:
        squares = squares.transpose(0, 1).contiguous().transpose(0, 1)
    actual = TileTransform(matrix)(squares, sizes)
    tiles = torch.einsum("yi,nrtijc,xj->nrytxc", matrix, squares[:-1].view(*sizes, 5, 5, 2), matrix)
    torch.testing.assert_close(actual, tiles.reshape(2, 9, 12, 2), atol=1e-12, rtol=1e-12)


def test_there_and_back_by_the_identity() -> None:
    x = torch.arange(2.0 * 12 * 15).view(2, 12, 15, 1)
    identity, whole = torch.eye(3).double(), (slice(0, 2), slice(0, 4), slice(0, 5))
    squares = WindowTransform(identity, tile=3, margin=0)(x, whole)
    assert torch.equal(TileTransform(identity)(squares, block_sizes(whole)), x)
