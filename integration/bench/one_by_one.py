"""Renew connections one by one through Airflow's REST API, as one would with requests: what `make bench` compares with.

    one_by_one.py BASE_URL LOGIN PREFIX N      passwords come from stdin; prints the seconds that the updates took
"""

import sys
import time

import requests

base, login, prefix, n = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
password, token = sys.stdin.read().split()
with requests.Session() as session:
    begin = time.monotonic()
    answer = session.post(base + "/auth/token", json={"username": login, "password": password}, timeout=10)
    session.headers["Authorization"] = "Bearer " + answer.json()["access_token"]
    for i in range(n):
        url = "%s/api/v2/connections/%s%04d" % (base, prefix, i)
        connection = session.get(url, timeout=10).json()
        body = {"connection_id": connection["connection_id"], "conn_type": connection["conn_type"], "password": token}
        session.patch(url, json=body, params={"update_mask": ["password"]}, timeout=10).raise_for_status()
    print(time.monotonic() - begin)
