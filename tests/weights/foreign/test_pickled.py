from __future__ import annotations

import pickle
import random
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.weights.foreign.files import read_foreign
from maskrcnn.weights.foreign.pickled import read_pickle
from weights.foreign import malicious

CONTENT: dict[str, Any] = {
    "model": OrderedDict(
        float=np.arange(6, dtype=np.float32).reshape(2, 3),
        other_byte_order=np.arange(6, dtype=">f8"),
        fortran=np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        half=np.arange(3, dtype=np.float16),
        empty=np.zeros((0, 3), np.float32),
        number=np.array(7),
        bools=np.array([True, False]),
        latin=np.array([0x80, 0xFF, 0x0A], np.uint8),
    ),
    "__author__": "Detectron2 Model Zoo",
    "matching_heuristics": True,
    "other": [1, -2, 2**70, 0.5, None, (), (1,), (1, 2, 3, 4), b"\x00\xff", "ä", np.float32(1.5), {"x": []}],
}


@pytest.mark.parametrize("protocol", range(6))
def test_equals_pickle_on_arrays_and_plain_data(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol))
    read = read_pickle(path)
    assert read.keys() == CONTENT.keys() and read["matching_heuristics"] is True
    for name, array in CONTENT["model"].items():
        ours = read["model"][name]
        assert np.array_equal(ours, array) and ours.shape == array.shape and ours.dtype == array.dtype, name
    expected = list(CONTENT["other"])
    expected[8] = "\x00\xff" if protocol < 3 else b"\x00\xff"  # the older protocols write bytes as Latin-1 text
    assert read["other"] == expected


def test_arrays_that_python_2_wrote(tmp_path: Path) -> None:
    """Protocol 2 with byte strings, as in the files of 2017."""
    raw = np.array([1.5, -2.0], np.float32).tobytes()
    state = (
        b"(K\x01K\x02\x85cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    state += b"\x89U" + bytes([len(raw)]) + raw + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR" + state
    path = tmp_path / "R-50.pkl"
    path.write_bytes(b"\x80\x02}U\x07conv1_w" + array + b"s.")
    assert read_pickle(path)["conv1_w"].tolist() == [1.5, -2.0]
    assert read_foreign(path).tensors["conv1_w"].tolist() == [1.5, -2.0]


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.mark.parametrize("name", malicious.calls("m"))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_call_is_carried_out(tmp_path: Path, marker: Path, name: str, protocol: int) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(malicious.dumps(malicious.model(malicious.calls(str(marker))[name]), protocol))
    with pytest.raises(UserError, match=r"refused, nothing of it was executed|cut short or damaged") as caught:
        read_foreign(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert not marker.exists()


@pytest.mark.parametrize("name", malicious.assembled("m"))
def test_no_instruction_gets_through(tmp_path: Path, marker: Path, name: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(malicious.assembled(str(marker))[name])
    with pytest.raises(UserError) as caught:
        read_foreign(path)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value) and len(str(caught.value)) < 400
    assert not marker.exists()


def test_these_pickles_are_dangerous_indeed(tmp_path: Path, marker: Path) -> None:
    """Python's own loader does make the file: the tests above would notice a reader that runs things."""
    for name in ("os.system", "eval", "open", "map", "timeit", "pickle in a pickle"):
        pickle.loads(malicious.dumps(malicious.model(malicious.calls(str(marker))[name])))
        assert marker.exists(), name
        marker.unlink()
    assert len(malicious.calls("m")) + len(malicious.assembled("m")) >= 100


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_a_damaged_pickle_never_ends_in_another_exception(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    originals = [pickle.dumps(CONTENT, protocol) for protocol in range(6)]
    rng = random.Random(0)
    for number in range(200):
        content = bytearray(originals[number % 6])
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(content))
            content[place : place + rng.randrange(4)] = bytes(rng.randrange(256) for _ in range(rng.randrange(4)))
        path.write_bytes(content)
        try:
            read_pickle(path)
        except UserError as error:
            assert "\n" not in str(error)
