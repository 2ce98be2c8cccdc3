"""What a prediction costs on this machine, stage by stage: time, arithmetic, memory.

`meter` and `memory` need nothing but torch, so that another library's model can be measured in its own environment.
"""
