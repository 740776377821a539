"""How many were not seen at all: no estimate, and why. `bench/bench_unseen.py` measures it again."""

STATEMENT = (
    "no estimate: lists of trackers, DHT and peers depend on one another, and no method that was tried keeps its "
    "promised 95% then (docs/unseen.md)"
)
