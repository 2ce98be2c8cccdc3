from __future__ import annotations

from pathlib import Path

import pytest

from maskrcnn.errors import UserError
from maskrcnn.loading import bundled_models, find_model


def test_a_run_gives_its_best_model_or_else_its_last(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected a model file, or the folder of a training run with best\.safetens"):
        find_model(str(tmp_path))
    (tmp_path / "last.safetensors").touch()
    assert find_model(str(tmp_path)) == tmp_path / "last.safetensors"
    (tmp_path / "best.safetensors").touch()
    assert find_model(str(tmp_path)) == tmp_path / "best.safetensors"


def test_a_bundled_name_goes_before_a_folder_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuclei").mkdir()
    assert find_model("nuclei") == bundled_models()["nuclei"]
