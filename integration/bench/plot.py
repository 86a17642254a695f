"""Draw how time and memory grow with the number of connections: plot.py OUT.svg reads the numbers, as JSON, from stdin."""

import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "ecr-refresh"
import matplotlib.pyplot as plt  # noqa: E402

data = json.load(sys.stdin)
figure, (time, memory) = plt.subplots(1, 2, figsize=(9, 3.4))
time.plot(data["n"], data["ours_s"], "o-", label="ecr-refresh (step 2)")
time.plot(data["n"], data["one_by_one_s"], "s--", label="one by one (Python)")
time.set(xscale="log", yscale="log", xlabel="connections", ylabel="seconds", title="update on real Airflow")
time.legend()
memory.plot(data["n"], [m / 2**20 for m in data["memory"]], "o-")
memory.set(xscale="log", ylim=(0, None), xlabel="connections", ylabel="MiB", title="peak memory of step 2")
figure.tight_layout()
figure.savefig(sys.argv[1], metadata={"Date": None})
