/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd is asked about a unit, over D-Bus. Private to cgroup_systemd*.c. */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct err;

enum unit_operation {
	UNIT_START, /* StartTransientUnit, and the end of its job */
	UNIT_SET,   /* SetUnitProperties */
	UNIT_STOP,  /* StopUnit, and the end of its job; a unit that is not there is fine */
	UNIT_DEVICES,
};

struct unit_request {
	enum unit_operation operation;
	const char *doing; /* for errors: "start" */
	const char *unit;
	bool user;                    /* the bus of the user, else that of the system */
	const struct str *properties; /* of systemd_property_add(); NULL: none */
};

/* Asks, and waits for at most four seconds. answer may be NULL; it gets, for UNIT_DEVICES:
 * DevicePolicy, and a line "PATH ACCESS" for each of DeviceAllow. */
int unit_ask(const struct unit_request *r, struct str *answer, struct err *e);

/* Appends "a(sv)", the words of systemd_property_add() as D-Bus has them. Properties whose type
 * begins with "?" are left out unless `optional`; *has_optional tells whether there are any. -1: a
 * value is none of its type. */
int unit_properties_put(struct str *body, const struct str *words, bool optional,
                        bool *has_optional);
/* The object path of a unit. The caller frees. */
char *unit_path(const char *unit);
