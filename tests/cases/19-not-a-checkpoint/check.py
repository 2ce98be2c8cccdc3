import sys
from pathlib import Path

D = Path(__file__).resolve().parent
sys.path.insert(0, str(D.parent))
from helper import *

bad = []
import tempfile

T = Path(tempfile.mkdtemp())
for f, content, words in (
    ("a.pth", b"<!DOCTYPE html><html><body>Quota exceeded</body></html>", ("html", "web page")),
    ("b.safetensors", b"<html></html>", ("html", "web page")),
    ("c.pth", b"", ("empty",)),
    ("d.pkl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", ("lfs",)),
):
    (T / f).write_bytes(content)
    code, out = cli("import-weights", T / f, T / "x.safetensors")
    if code != 2 or "Traceback" in out:
        bad.append(f"{f}: exit {code}")
    if not any(w in out.lower() for w in words) or "valueerror" in out.lower():
        bad.append(f"{f}: does not say what it is: {out.strip()}")
done(bad)
