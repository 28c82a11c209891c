"""How fast it is, each figure beside a yardstick that ran in the same minutes.

Figures alone do not hold on a busy machine, ratios do: what is measured and its yardstick take
turns, round by round, and the medians count. Run ``python -m benchmarks``.
"""
