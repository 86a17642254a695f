"""Draw how time and memory grow with the number of connections: plot.py OUT.svg reads the numbers, as JSON, from stdin."""

import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "ecr-refresh"
import matplotlib.pyplot as plt  # noqa: E402

figure, (time, memory) = plt.subplots(1, 2, figsize=(9, 3.4))
for mark, data in zip("os", json.load(sys.stdin)):
    time.plot(data["n"], data["one_by_one_s"], mark + "--", label="one by one, " + data["database"])
    time.plot(data["n"], data["ours_s"], mark + "-", label="ecr-refresh, " + data["database"])
    memory.plot(data["n"], [m / 2**20 for m in data["memory"]], mark + "-", label=data["database"])
time.set(xscale="log", yscale="log", xlabel="connections", ylabel="seconds", title="update on real Airflow")
time.legend(fontsize="small")
memory.set(xscale="log", ylim=(0, None), xlabel="connections", ylabel="MiB", title="peak memory of step 2")
memory.legend(fontsize="small")
figure.tight_layout()
figure.savefig(sys.argv[1], metadata={"Date": None})
