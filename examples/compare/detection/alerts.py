# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""Prints the bans in CrowdSec's database, at the times of their log lines. Argument: the database."""

import datetime
import json
import sqlite3
import sys

rows = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True).execute(
    "SELECT a.scenario, d.value, a.stopped_at FROM alerts a JOIN decisions d ON d.alert_decisions = a.id WHERE d.type = 'ban'")
for scenario, ip, at in rows:
    at = datetime.datetime.fromisoformat(at.replace(" +0000 UTC", "+00:00").replace("Z", "+00:00"))
    if at.tzinfo is None:
        at = at.replace(tzinfo=datetime.timezone.utc)
    print(json.dumps({"block": ip, "at": at.timestamp(), "by": scenario}))
