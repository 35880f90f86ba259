#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every property of linux.resources with the cgroup manager systemd: see cgroup_table.py."""
from cgroup_case import *

if os.path.isdir("/run/systemd/system"):
    rows_main("systemd")
print("1..0 # SKIP PID 1 is not systemd")
