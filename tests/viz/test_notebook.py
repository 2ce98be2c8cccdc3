from __future__ import annotations

import numpy as np

from maskrcnn.viz.notebook import notebook_html


def test_names_are_escaped_and_the_picture_fits_the_page() -> None:
    html = notebook_html("1 < 2", {"<b>": 2, "cell": 1}, np.zeros((20, 30, 3), np.uint8))
    assert "1 &lt; 2: 2 &lt;b&gt;, 1 cell" in html and "max-width:100%" in html and "data:image/jpeg;base64," in html
    assert "nothing found" in notebook_html("x", {}, np.zeros((2, 2, 3), np.uint8))
