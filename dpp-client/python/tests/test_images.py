"""What is random about an image is a function of seed, epoch and row, whoever decodes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpp
import jpeg
from processes import service

IMAGES = 1000
SIDE = 16


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two files of JPEGs of several sizes."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(3)
    sizes = random.integers(2, 7, (IMAGES, 2)).tolist()
    files = [jpeg.tiles(random, across, down) for across, down in sizes]
    for part, start in enumerate(range(0, IMAGES, IMAGES // 2)):
        column = pa.array(files[start : start + IMAGES // 2], pa.binary())
        pq.write_table(pa.table({"image": column}), Path(folder) / f"{part}.parquet", row_group_size=200)
    return str(folder)


def crops(url: str, *, seed: int = 5, epochs: int = 2, **settings) -> list[np.ndarray]:
    """Of every epoch the images by row: uint8 [rows, 3, SIDE, SIDE]."""
    image = dpp.col("image").decode_image().random_resized_crop(SIDE, SIDE, seed=seed).horizontal_flip(seed=seed)
    plan = dpp.Plan(vectors={"image": image}, extras=[dpp.row_id()])
    loader = dpp.DataLoader(url, plan, output="numpy", **settings)
    found = []
    for _ in range(epochs):
        epoch = np.zeros((IMAGES, 3, SIDE, SIDE), np.uint8)
        seen = np.zeros(IMAGES, int)
        for batch in loader:
            rows = np.asarray(batch.extras["row_id"])
            epoch[rows] = batch.vectors["image"]
            seen[rows] += 1
        assert (seen == 1).all()
        found.append(epoch)
    return found


def test_a_tile_has_its_colour():
    grey = jpeg.encode(np.full((2, 3, 3), [200, 128, 128]))
    plan = dpp.Plan(vectors={"image": dpp.col("image").decode_image().center_crop(8, 8)})
    pixels = plan.apply({"image": [grey, None]}, output="numpy").vectors["image"]
    assert pixels.shape == (2, 3, 8, 8)
    assert (pixels[0] == 200).all() and (pixels[1] == 0).all()


def test_crops_are_the_same_on_box_and_on_two_workers(images, processes):
    on_box = crops(images, batch_size=64)
    other_order = dpp.Shuffle(splits="epoch", rows=50)
    remote = crops(images, batch_size=37, shuffle=other_order, service=service(processes.workers(2)))
    for ours, theirs in zip(on_box, remote, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_crops_differ_by_row_epoch_and_seed(images):
    first, second = crops(images, batch_size=100)
    [other] = crops(images, batch_size=100, seed=6, epochs=1)
    for one, two in [(first, second), (first, other), (first[1:], first[:-1])]:
        same = (one == two).all(axis=(1, 2, 3)).sum()
        assert same < IMAGES / 100
