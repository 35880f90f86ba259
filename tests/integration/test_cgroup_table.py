#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every property of linux.resources with the cgroup manager cgroupfs: see cgroup_table.py."""
from cgroup_case import rows_main

rows_main("cgroupfs")
