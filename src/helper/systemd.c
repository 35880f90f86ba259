/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Talks to systemd over D-Bus for davit, which is static and cannot carry libsystemd. davit runs
 *this program from memory, kills it when it takes too long, and never trusts it to have ended well
 *without an answer.
 *
 * Standard input: words, each ended by a NUL:
 *
 *	OPERATION BUS MILLISECONDS UNIT {TYPE NAME VALUE}
 *
 * OPERATION is start, set, stop or devices; BUS is system or user. TYPE is a D-Bus type: s, b, t, u
 * and i; "as" with a newline between the strings; "au" and "ay" with a blank between the numbers;
 * "a(ss)" and "a(st)" with a newline between the pairs and a blank within. "?" before the type: a
 * systemd that refuses the request is asked again without the property.
 *
 * Standard output: "ok\n", or "error\nNAME\nTEXT\n" where NAME is that of the D-Bus error. After
 * the "ok" of devices: DevicePolicy, and a line "PATH ACCESS" for each of DeviceAllow. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define MANAGER_NAME  "org.freedesktop.systemd1"
#define MANAGER_PATH  "/org/freedesktop/systemd1"
#define MANAGER_IFACE "org.freedesktop.systemd1.Manager"
#define UNIT_PATH     MANAGER_PATH "/unit"
#define SCOPE_IFACE   MANAGER_NAME ".Scope"
#define SLICE_IFACE   MANAGER_NAME ".Slice"
#define PRIVATE_BUS   "unix:path=/run/systemd/private"
#define INPUT_MAX     (1u << 20)

struct request {
	char *operation, *bus, *unit;
	uint64_t deadline; /* CLOCK_MONOTONIC, microseconds */
	char *properties, *end;
	bool optional, without_optional;
};

struct wait {
	bool replied, removed;
	char *job;    /* path that the reply named; NULL: none to wait for */
	char *result; /* of the job */
	sd_bus_message *reply;
	sd_bus_error error;
	int errnum;
};

static int answer_error(const char *name, const char *text)
{
	printf("error\n%s\n%s\n", name ? name : "", text ? text : "");
	return 1;
}

static int answer_errno(int errnum, const char *doing)
{
	printf("error\n%s\n%s: %s\n", errnum == ETIMEDOUT ? "timeout" : "", doing,
	       strerror(errnum));
	return 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- the request */

static char *word_next(char **p, char *end)
{
	char *word = *p;

	if (word >= end)
		return NULL;
	*p = word + strlen(word) + 1; /* the buffer ends with a NUL */
	return word;
}

static int request_read(struct request *r)
{
	static char buf[INPUT_MAX + 1];
	size_t len = 0;
	char *p = buf, *ms;

	while (len < INPUT_MAX) {
		ssize_t n = read(STDIN_FILENO, buf + len, INPUT_MAX - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	r->end = buf + len;
	r->operation = word_next(&p, r->end);
	r->bus = word_next(&p, r->end);
	ms = word_next(&p, r->end);
	r->unit = word_next(&p, r->end);
	r->properties = p;
	if (!r->unit)
		return -1;
	r->deadline = now_us() + strtoull(ms, NULL, 10) * 1000;
	return 0;
}

/* ---- properties */

static int append_strings(sd_bus_message *m, char *value)
{
	int rc = sd_bus_message_open_container(m, 'a', "s");

	for (char *save, *s = strtok_r(value, "\n", &save); rc >= 0 && s;
	     s = strtok_r(NULL, "\n", &save))
		rc = sd_bus_message_append_basic(m, 's', s);
	return rc < 0 ? rc : sd_bus_message_close_container(m);
}

static int append_pairs(sd_bus_message *m, const char *type, char *value)
{
	int rc = sd_bus_message_open_container(m, 'a', type);

	for (char *save, *s = strtok_r(value, "\n", &save); rc >= 0 && s;
	     s = strtok_r(NULL, "\n", &save)) {
		char *blank = strrchr(s, ' ');

		if (!blank)
			return -EINVAL;
		*blank = '\0';
		rc = type[2] == 's' ? sd_bus_message_append(m, type, s, blank + 1)
		                    : sd_bus_message_append(
					      m, type, s, (uint64_t)strtoull(blank + 1, NULL, 10));
	}
	return rc < 0 ? rc : sd_bus_message_close_container(m);
}

static int append_numbers(sd_bus_message *m, char type, char *value)
{
	char element[2] = {type, '\0'};
	int rc = sd_bus_message_open_container(m, 'a', element);

	for (char *save, *s = strtok_r(value, " ", &save); rc >= 0 && s;
	     s = strtok_r(NULL, " ", &save)) {
		uint32_t number = (uint32_t)strtoul(s, NULL, 10);
		uint8_t byte = (uint8_t)number;

		rc = sd_bus_message_append_basic(m, type,
		                                 type == 'y' ? (void *)&byte : (void *)&number);
	}
	return rc < 0 ? rc : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const char *type, char *value)
{
	uint64_t number = strtoull(value, NULL, 10);
	uint32_t small = (uint32_t)number;
	int32_t signed_number = (int32_t)strtol(value, NULL, 10);
	int truth = strcmp(value, "true") == 0;

	if (!strcmp(type, "as"))
		return append_strings(m, value);
	if (!strcmp(type, "a(ss)") || !strcmp(type, "a(st)"))
		return append_pairs(m, type + 1, value);
	if (!strcmp(type, "au") || !strcmp(type, "ay"))
		return append_numbers(m, type[1], value);
	if (strlen(type) != 1)
		return -EINVAL;
	switch (type[0]) {
	case 's':
		return sd_bus_message_append_basic(m, 's', value);
	case 'b':
		return sd_bus_message_append_basic(m, 'b', &truth);
	case 't':
		return sd_bus_message_append_basic(m, 't', &number);
	case 'u':
		return sd_bus_message_append_basic(m, 'u', &small);
	case 'i':
		return sd_bus_message_append_basic(m, 'i', &signed_number);
	default:
		return -EINVAL;
	}
}

static int append_property(sd_bus_message *m, char *type, char *name, char *value)
{
	int rc = sd_bus_message_open_container(m, 'r', "sv");

	if (rc >= 0)
		rc = sd_bus_message_append_basic(m, 's', name);
	if (rc >= 0)
		rc = sd_bus_message_open_container(m, 'v', type);
	if (rc >= 0)
		rc = append_value(m, type, value);
	if (rc >= 0)
		rc = sd_bus_message_close_container(m);
	return rc < 0 ? rc : sd_bus_message_close_container(m);
}

/* The words stay as they are: a request may have to be sent twice. */
static int append_properties(sd_bus_message *m, struct request *r)
{
	int rc = sd_bus_message_open_container(m, 'a', "(sv)");

	for (char *p = r->properties; rc >= 0 && p < r->end;) {
		char *type = word_next(&p, r->end), *name = word_next(&p, r->end);
		char *value = word_next(&p, r->end);
		char *copy = NULL;

		if (value && type[0] == '?') {
			type++;
			r->optional = true;
			if (r->without_optional)
				continue;
		}
		copy = value ? strdup(value) : NULL;
		rc = copy ? append_property(m, type, name, copy) : -EINVAL;
		free(copy);
	}
	return rc < 0 ? rc : sd_bus_message_close_container(m);
}

/* ---- calls */

static int on_reply(sd_bus_message *m, void *data, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct wait *w = data;
	const char *job;

	(void)unused;
	w->replied = true;
	w->reply = sd_bus_message_ref(m);
	if (error)
		sd_bus_error_copy(&w->error, error);
	else if (sd_bus_message_has_signature(m, "o") && sd_bus_message_read(m, "o", &job) > 0)
		w->job = strdup(job);
	return 0;
}

static int on_removed(sd_bus_message *m, void *data, sd_bus_error *unused)
{
	struct wait *w = data;
	const char *job, *unit, *result;
	uint32_t id;

	(void)unused;
	if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0 || !w->job ||
	    strcmp(job, w->job) != 0)
		return 0;
	w->removed = true;
	free(w->result);
	w->result = strdup(result);
	return 0;
}

/* One loop for everything, so that one deadline holds for everything, the connection too. */
static int loop(sd_bus *bus, struct wait *w, bool job, uint64_t deadline)
{
	while (!w->replied || (job && w->job && !w->removed)) {
		int rc = sd_bus_process(bus, NULL);
		uint64_t now;

		if (rc < 0)
			return rc;
		if (rc > 0)
			continue;
		now = now_us();
		if (now >= deadline)
			return -ETIMEDOUT;
		rc = sd_bus_wait(bus, deadline - now);
		if (rc < 0 && rc != -EINTR)
			return rc;
	}
	return 0;
}

static void wait_clear(struct wait *w)
{
	free(w->job);
	free(w->result);
	sd_bus_message_unref(w->reply);
	sd_bus_error_free(&w->error);
	memset(w, 0, sizeof(*w));
}

static int call(sd_bus *bus, sd_bus_message *m, struct wait *w, bool job, uint64_t deadline)
{
	int rc = sd_bus_call_async(bus, NULL, m, on_reply, w, UINT64_MAX);

	return rc < 0 ? rc : loop(bus, w, job, deadline);
}

static int method_new(sd_bus *bus, sd_bus_message **m, const char *method)
{
	return sd_bus_message_new_method_call(bus, m, MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE,
	                                      method);
}

static int reset_failed(sd_bus *bus, const struct request *r)
{
	sd_bus_message *m = NULL;
	struct wait w = {0};
	int rc = method_new(bus, &m, "ResetFailedUnit");

	if (rc >= 0)
		rc = sd_bus_message_append(m, "s", r->unit);
	if (rc >= 0)
		rc = call(bus, m, &w, false, r->deadline);
	wait_clear(&w);
	sd_bus_message_unref(m);
	return rc;
}

static int start(sd_bus *bus, struct request *r, struct wait *w)
{
	sd_bus_message *m = NULL;
	int rc = method_new(bus, &m, "StartTransientUnit");

	if (rc >= 0)
		rc = sd_bus_message_append(m, "ss", r->unit, "fail");
	if (rc >= 0)
		rc = append_properties(m, r);
	if (rc >= 0)
		rc = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (rc >= 0)
		rc = call(bus, m, w, true, r->deadline);
	sd_bus_message_unref(m);
	return rc;
}

static int set(sd_bus *bus, struct request *r, struct wait *w)
{
	sd_bus_message *m = NULL;
	int rc = method_new(bus, &m, "SetUnitProperties");

	if (rc >= 0)
		rc = sd_bus_message_append(m, "sb", r->unit, 1);
	if (rc >= 0)
		rc = append_properties(m, r);
	if (rc >= 0)
		rc = call(bus, m, w, false, r->deadline);
	sd_bus_message_unref(m);
	return rc;
}

static int stop(sd_bus *bus, const struct request *r, struct wait *w)
{
	sd_bus_message *m = NULL;
	int rc = method_new(bus, &m, "StopUnit");

	if (rc >= 0)
		rc = sd_bus_message_append(m, "ss", r->unit, "replace");
	if (rc >= 0)
		rc = call(bus, m, w, true, r->deadline);
	sd_bus_message_unref(m);
	return rc;
}

/* Asks for a property of the unit: the reply is one variant. */
static int property_get(sd_bus *bus, const struct request *r, const char *name, struct wait *w)
{
	const char *suffix = strrchr(r->unit, '.');
	const char *iface = suffix && !strcmp(suffix, ".slice") ? SLICE_IFACE : SCOPE_IFACE;
	sd_bus_message *m = NULL;
	char *path = NULL;
	int rc = sd_bus_path_encode(UNIT_PATH, r->unit, &path);

	if (rc >= 0)
		rc = sd_bus_message_new_method_call(bus, &m, MANAGER_NAME, path,
		                                    "org.freedesktop.DBus.Properties", "Get");
	if (rc >= 0)
		rc = sd_bus_message_append(m, "ss", iface, name);
	if (rc >= 0)
		rc = call(bus, m, w, false, r->deadline);
	sd_bus_message_unref(m);
	free(path);
	return rc;
}

static int devices_print(sd_bus_message *policy, sd_bus_message *list)
{
	const char *word, *access;
	int rc = sd_bus_message_read(policy, "v", "s", &word);

	if (rc >= 0)
		rc = sd_bus_message_enter_container(list, 'v', "a(ss)");
	if (rc >= 0)
		rc = sd_bus_message_enter_container(list, 'a', "(ss)");
	if (rc < 0)
		return rc;
	printf("ok\n%s\n", word);
	while ((rc = sd_bus_message_read(list, "(ss)", &word, &access)) > 0)
		printf("%s %s\n", word, access);
	return rc;
}

static int act_devices(sd_bus *bus, const struct request *r, struct wait *w)
{
	struct wait policy = {0};
	int rc = property_get(bus, r, "DevicePolicy", &policy);

	if (rc >= 0)
		rc = property_get(bus, r, "DeviceAllow", w);
	if (rc >= 0 && policy.error.name)
		sd_bus_error_copy(&w->error, &policy.error);
	if (rc >= 0 && !w->error.name)
		rc = devices_print(policy.reply, w->reply);
	wait_clear(&policy);
	return rc;
}

static bool error_is(const struct wait *w, const char *name)
{
	return w->error.name && !strcmp(w->error.name, name);
}

/* Whether it refused a property; it has changed nothing then. */
static bool is_refused(const struct wait *w)
{
	return error_is(w, "org.freedesktop.DBus.Error.InvalidArgs") ||
	       error_is(w, "org.freedesktop.DBus.Error.PropertyReadOnly");
}

static int act_stop(sd_bus *bus, const struct request *r, struct wait *w)
{
	int rc = stop(bus, r, w);

	if (rc >= 0 && error_is(w, "org.freedesktop.systemd1.NoSuchUnit")) {
		wait_clear(w);
		w->replied = true;
		return 0;
	}
	return rc < 0 ? rc : reset_failed(bus, r);
}

static int act(sd_bus *bus, struct request *r, struct wait *w)
{
	int (*send)(sd_bus *, struct request *, struct wait *) = start;
	int rc;

	if (!strcmp(r->operation, "stop"))
		return act_stop(bus, r, w);
	if (!strcmp(r->operation, "devices"))
		return act_devices(bus, r, w);
	if (!strcmp(r->operation, "set"))
		send = set;
	rc = send(bus, r, w);
	if (rc >= 0 && r->optional && is_refused(w)) {
		wait_clear(w);
		r->without_optional = true;
		rc = send(bus, r, w);
	}
	/* A unit of the same name that failed is still known to systemd. */
	if (rc >= 0 && send == start && error_is(w, "org.freedesktop.systemd1.UnitExists")) {
		wait_clear(w);
		rc = reset_failed(bus, r);
		if (rc >= 0)
			rc = start(bus, r, w);
	}
	return rc;
}

/* ---- the connection */

static int connect_private(sd_bus **bus)
{
	int rc = sd_bus_new(bus);

	if (rc >= 0)
		rc = sd_bus_set_address(*bus, PRIVATE_BUS);
	return rc < 0 ? rc : sd_bus_start(*bus);
}

/* The system bus, or without one, systemd's own socket, which root may use. */
static int connect_bus(const struct request *r, sd_bus **bus)
{
	int rc;

	if (!strcmp(r->bus, "user"))
		return sd_bus_open_user(bus);
	rc = sd_bus_open_system(bus);
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		rc = connect_private(bus);
	return rc;
}

int main(void)
{
	struct request r = {0};
	struct wait w = {0};
	sd_bus *bus = NULL;
	int rc;

	if (request_read(&r) < 0)
		return answer_error(NULL, "request is too short");
	rc = connect_bus(&r, &bus);
	if (rc < 0)
		return answer_errno(-rc, "connect to the bus");
	/* The answers to this one are not waited for. */
	rc = sd_bus_match_signal_async(bus, NULL, MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE,
	                               "JobRemoved", on_removed, NULL, &w);
	if (rc < 0)
		return answer_errno(-rc, "watch the bus");
	rc = act(bus, &r, &w);
	if (rc < 0)
		return answer_errno(-rc, w.replied ? "wait for the job" : "wait for the answer");
	if (w.error.name)
		return answer_error(w.error.name, w.error.message);
	if (w.result && strcmp(w.result, "done") != 0)
		return answer_error("job", w.result);
	if (strcmp(r.operation, "devices") != 0)
		printf("ok\n");
	return 0;
}
