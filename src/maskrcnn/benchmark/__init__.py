"""`maskrcnn benchmark`: what a prediction costs on this machine, stage by stage: time, arithmetic, memory.

Comparisons with other libraries, for developers, are not part of the package: they lie in `benchmarks/` beside `src`.

`meter` and `memory` need nothing but torch, so that another library's model can be measured in its own environment.
"""
