/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_systemd_bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/proc.h"
#include "kernel/dbus.h"

#define ANSWER_MS 4000 /* for systemd to answer and to do the job */

#define MANAGER_NAME  "org.freedesktop.systemd1"
#define MANAGER_PATH  "/org/freedesktop/systemd1"
#define MANAGER_IFACE "org.freedesktop.systemd1.Manager"
#define JOB_RULE                                                                                   \
	"type='signal',sender='" MANAGER_NAME "',path='" MANAGER_PATH                              \
	"',interface='" MANAGER_IFACE "',member='JobRemoved'"
#define SYSTEM_BUS  "unix:path=/run/dbus/system_bus_socket"
#define PRIVATE_BUS "unix:path=/run/systemd/private"

/* ---- properties */

static void put_strings(struct str *b, const char *value)
{
	size_t array = dbus_array_begin(b, 4);

	for (const char *p = value; *p; p += *p == '\n') {
		size_t len = strcspn(p, "\n");
		autofree char *word = xstrndup(p, len);

		if (len)
			dbus_put_string(b, word);
		p += len;
	}
	dbus_array_end(b, array, 4);
}

/* Lines "WORD WORD" or "WORD NUMBER". */
static int put_pairs(struct str *b, const char *value, bool numbers)
{
	size_t array = dbus_array_begin(b, 8);

	for (const char *p = value; *p; p += *p == '\n') {
		size_t len = strcspn(p, "\n");
		autofree char *line = xstrndup(p, len);
		char *blank = strrchr(line, ' ');

		p += len;
		if (!len)
			continue;
		if (!blank)
			return -1;
		*blank = '\0';
		dbus_align(b, 8);
		dbus_put_string(b, line);
		if (numbers)
			dbus_put_u64(b, strtoull(blank + 1, NULL, 10));
		else
			dbus_put_string(b, blank + 1);
	}
	dbus_array_end(b, array, 8);
	return 0;
}

static void put_numbers(struct str *b, const char *value, bool bytes)
{
	size_t array = dbus_array_begin(b, bytes ? 1 : 4);

	for (const char *p = value; *p;) {
		char *end;
		unsigned long number = strtoul(p, &end, 10);

		if (end == p)
			break;
		if (bytes)
			dbus_put_u8(b, (uint8_t)number);
		else
			dbus_put_u32(b, (uint32_t)number);
		p = end;
	}
	dbus_array_end(b, array, bytes ? 1 : 4);
}

static int put_value(struct str *b, const char *type, const char *value)
{
	if (str_eq(type, "s"))
		dbus_put_string(b, value);
	else if (str_eq(type, "b"))
		dbus_put_u32(b, str_eq(value, "true"));
	else if (str_eq(type, "t"))
		dbus_put_u64(b, strtoull(value, NULL, 10));
	else if (str_eq(type, "u") || str_eq(type, "i"))
		dbus_put_u32(b, (uint32_t)strtoll(value, NULL, 10));
	else if (str_eq(type, "as"))
		put_strings(b, value);
	else if (str_eq(type, "au") || str_eq(type, "ay"))
		put_numbers(b, value, type[1] == 'y');
	else if (str_eq(type, "a(ss)") || str_eq(type, "a(st)"))
		return put_pairs(b, value, type[3] == 't');
	else
		return -1;
	return 0;
}

int unit_properties_put(struct str *body, const struct str *words, bool optional,
                        bool *has_optional)
{
	const char *p = words ? words->s : NULL, *end = p ? p + words->len : NULL;
	size_t array = dbus_array_begin(body, 8);

	while (p < end) {
		const char *type = p, *name = type + strlen(type) + 1;
		const char *value = name + strlen(name) + 1;

		p = value + strlen(value) + 1;
		if (type[0] == '?') {
			type++;
			*has_optional = true;
			if (!optional)
				continue;
		}
		dbus_align(body, 8);
		dbus_put_string(body, name);
		dbus_put_signature(body, type);
		TRY(put_value(body, type, value));
	}
	dbus_array_end(body, array, 8);
	return 0;
}

char *unit_path(const char *unit)
{
	autostr path = {0};

	str_add(&path, MANAGER_PATH "/unit/");
	for (const char *p = unit; *p; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');

		if (letter || (*p >= '0' && *p <= '9' && p > unit))
			str_addc(&path, *p);
		else
			str_addf(&path, "_%02x", (unsigned char)*p);
	}
	return str_steal(&path);
}

/* ---- a talk with systemd */

struct talk {
	const struct unit_request *r;
	struct dbus bus;
	uint32_t greeting, match; /* serial numbers of what must be agreed to before; 0: not sent */
	bool optional, has_optional;
	char *error, *text; /* of the answer; NULL: none */
	char *job;          /* what the answer named */
	char *ended;        /* the last job of the unit that ended, maybe before the answer */
	char *result;       /* of that */
};

static void talk_forget(struct talk *t)
{
	free(take_ptr(&t->error));
	free(take_ptr(&t->text));
	free(take_ptr(&t->job));
	free(take_ptr(&t->ended));
	free(take_ptr(&t->result));
}

static void talk_end(struct talk *t)
{
	talk_forget(t);
	dbus_close(&t->bus);
}

static uint32_t manager_call(struct talk *t, const char *member, const char *signature,
                             const struct str *body, bool no_reply)
{
	struct dbus_call call = {MANAGER_NAME, MANAGER_PATH, MANAGER_IFACE, member,
	                         signature,    body,         no_reply};

	return dbus_call(&t->bus, &call);
}

static uint32_t driver_call(struct talk *t, const char *member, const char *signature,
                            const struct str *body)
{
	static const char name[] = "org.freedesktop.DBus";
	struct dbus_call call = {name, "/org/freedesktop/DBus", name, member, signature, body,
	                         false};

	return dbus_call(&t->bus, &call);
}

static bool awaits_job(const struct unit_request *r)
{
	return r->operation == UNIT_START || r->operation == UNIT_STOP;
}

/* A bus must be greeted, and told what to pass on: the ends of jobs. Of everybody's: dbus-broker
 * compares arguments (arg2, the unit) only of messages that begin with a string; this does not. */
static void talk_begin(struct talk *t)
{
	autostr body = {0};

	t->greeting = driver_call(t, "Hello", NULL, NULL);
	if (!awaits_job(t->r))
		return;
	dbus_put_string(&body, JOB_RULE);
	t->match = driver_call(t, "AddMatch", "s", &body);
}

/* The user's bus where its address is not given; NULL: no place is known. */
static char *user_bus(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	autostr address = {0};

	if (!dir || !dir[0])
		return NULL;
	str_add(&address, "unix:path=");
	for (; *dir; dir++) { /* some characters end a value, or a list would */
		if (strchr(",;=%", *dir))
			str_addf(&address, "%%%02x", (unsigned char)*dir);
		else
			str_addc(&address, *dir);
	}
	str_add(&address, "/bus");
	return str_steal(&address);
}

/* The bus; where there is none, systemd's own socket, which root may use. It is not the first
 * choice: it passes on every change of every unit. */
static int talk_open(struct talk *t, struct err *e)
{
	const char *given =
		getenv(t->r->user ? "DBUS_SESSION_BUS_ADDRESS" : "DBUS_SYSTEM_BUS_ADDRESS");
	int64_t deadline = clock_ms() + ANSWER_MS;
	autofree char *address = NULL;

	if (given)
		address = xstrdup(given);
	else
		address = t->r->user ? user_bus() : xstrdup(SYSTEM_BUS);
	errno = ENOMEDIUM;
	if (address && dbus_open(&t->bus, address, deadline) == 0) {
		talk_begin(t);
		return 0;
	}
	if (!t->r->user && (errno == ENOENT || errno == ECONNREFUSED) &&
	    dbus_open(&t->bus, PRIVATE_BUS, deadline) == 0 && dbus_greet(&t->bus) == 0)
		return 0;
	fail(e, errno, "%s systemd unit \"%s\" over the %s bus: connect to the bus", t->r->doing,
	     t->r->unit, t->r->user ? "user" : "system");
	if (t->r->user)
		fail_hint(e, "a systemd user session is needed, with XDG_RUNTIME_DIR set");
	return -1;
}

static bool job_ended(const struct talk *t)
{
	return t->job && t->ended && str_eq(t->job, t->ended);
}

static void on_job(struct talk *t, struct dbus_message *m)
{
	const char *job, *unit, *result;

	(void)dbus_take_u32(&m->body);
	job = dbus_take_string(&m->body);
	unit = dbus_take_string(&m->body);
	result = dbus_take_string(&m->body);
	if (m->body.bad || !str_eq(unit, t->r->unit) || job_ended(t))
		return;
	free(t->ended);
	free(t->result);
	t->ended = xstrdup(job);
	t->result = xstrdup(result);
}

static void on_answer(struct talk *t, struct dbus_message *m)
{
	if (m->type == DBUS_ERROR) {
		t->error = xstrdup(m->error);
		t->text = xstrdup(str_starts(m->signature, "s") ? dbus_take_string(&m->body) : "");
	} else if (str_eq(m->signature, "o")) {
		t->job = xstrdup(dbus_take_string(&m->body));
	}
}

static int lost(const struct talk *t, bool job, struct err *e)
{
	const struct unit_request *r = t->r;
	const char *bus = r->user ? "user" : "system";

	if (errno == ETIMEDOUT)
		return fail(e, ETIMEDOUT, "%s systemd unit \"%s\": no %s on the %s bus in %d ms",
		            r->doing, r->unit, job ? "end of the job" : "answer", bus, ANSWER_MS);
	return fail(e, errno, "%s systemd unit \"%s\" over the %s bus: wait for the %s", r->doing,
	            r->unit, bus, job ? "job" : "answer");
}

/* Sends what there is and waits for the answer to the message `serial`, and for the job that it
 * names. The last answer stays in m, for those who want more of it. */
static int talk_wait(struct talk *t, uint32_t serial, struct dbus_message *m, struct err *e)
{
	bool answered = false, job = awaits_job(t->r);

	if (dbus_send(&t->bus) < 0)
		return lost(t, false, e);
	while (!answered || (job && t->job && !job_ended(t))) {
		bool answer;

		if (dbus_next(&t->bus, m) < 0)
			return lost(t, answered, e);
		answer = m->type == DBUS_RETURN || m->type == DBUS_ERROR;
		if (answer && m->reply_serial == serial) {
			on_answer(t, m);
			answered = true;
		} else if (m->type == DBUS_ERROR && m->reply_serial &&
		           (m->reply_serial == t->greeting || m->reply_serial == t->match)) {
			on_answer(t, m); /* the bus does not let us in */
			return 0;
		} else if (m->type == DBUS_SIGNAL && !m->destination[0] &&
		           str_eq(m->member, "JobRemoved") && str_eq(m->path, MANAGER_PATH) &&
		           str_eq(m->interface, MANAGER_IFACE)) {
			on_job(t, m);
		}
	}
	return 0;
}

static bool error_is(const struct talk *t, const char *name)
{
	return t->error && str_eq(t->error, name);
}

/* ---- the requests */

/* A unit of this name that has failed is forgotten. The serial number of the call. */
static uint32_t reset_failed(struct talk *t, bool no_reply)
{
	autostr body = {0};

	dbus_put_string(&body, t->r->unit);
	return manager_call(t, "ResetFailedUnit", "s", &body, no_reply);
}

static int change(struct talk *t, struct err *e)
{
	bool start = t->r->operation == UNIT_START;
	struct dbus_message m;
	autostr body = {0};
	uint32_t serial;

	talk_forget(t);
	dbus_put_string(&body, t->r->unit);
	if (start)
		dbus_put_string(&body, "fail");
	else
		dbus_put_u32(&body, true); /* for now, not for later starts of the unit */
	if (unit_properties_put(&body, t->r->properties, t->optional, &t->has_optional) < 0)
		return fail(e, EINVAL, "%s systemd unit \"%s\": make the request", t->r->doing,
		            t->r->unit);
	if (start)
		dbus_array_end(&body, dbus_array_begin(&body, 8), 8); /* other units: none */
	serial = start ? manager_call(t, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body, false)
	               : manager_call(t, "SetUnitProperties", "sba(sv)", &body, false);
	return talk_wait(t, serial, &m, e);
}

/* Each of the two cures is tried once, in whatever order they are needed. */
static int start_or_set(struct talk *t, struct err *e)
{
	bool reset = t->r->operation != UNIT_START;

	t->optional = true;
	for (;;) {
		TRY(change(t, e));
		if (t->optional && t->has_optional &&
		    (error_is(t, "org.freedesktop.DBus.Error.InvalidArgs") ||
		     error_is(t, "org.freedesktop.DBus.Error.PropertyReadOnly"))) {
			/* It refused a property; it has changed nothing then. */
			t->optional = false;
		} else if (!reset && error_is(t, MANAGER_NAME ".UnitExists")) {
			/* A unit of the same name that failed is still known to systemd. */
			(void)reset_failed(t, true);
			reset = true;
		} else {
			return 0;
		}
	}
}

/* What has come of the last request and its job. */
static int outcome(const struct talk *t, struct err *e)
{
	const struct unit_request *r = t->r;

	if (t->error)
		return fail(e, 0, "%s systemd unit \"%s\" over the %s bus: %s, %s", r->doing,
		            r->unit, r->user ? "user" : "system", t->text, t->error);
	if (job_ended(t) && !str_eq(t->result, "done"))
		return fail(e, 0, "%s systemd unit \"%s\": the job ended with \"%s\"", r->doing,
		            r->unit, t->result);
	return 0;
}

static int stop(struct talk *t, struct err *e)
{
	struct dbus_message m;
	autostr body = {0};

	dbus_put_string(&body, t->r->unit);
	dbus_put_string(&body, "replace");
	TRY(talk_wait(t, manager_call(t, "StopUnit", "ss", &body, false), &m, e));
	if (error_is(t, MANAGER_NAME ".NoSuchUnit")) {
		talk_forget(t);
		return 0;
	}
	TRY(outcome(t, e));
	/* systemd asks the bus who wants this, so we stay until it has answered, whatever. */
	talk_forget(t);
	TRY(talk_wait(t, reset_failed(t, false), &m, e));
	talk_forget(t);
	return 0;
}

static uint32_t property_get(struct talk *t, const char *path, const char *name)
{
	const char *suffix = strrchr(t->r->unit, '.');
	bool slice = str_eq(suffix, ".slice");
	struct dbus_call call = {MANAGER_NAME, path, "org.freedesktop.DBus.Properties", "Get", "ss",
	                         NULL,         false};
	autostr body = {0};

	dbus_put_string(&body, slice ? MANAGER_NAME ".Slice" : MANAGER_NAME ".Scope");
	dbus_put_string(&body, name);
	call.body = &body;
	return dbus_call(&t->bus, &call);
}

/* Both are asked for at once. */
static int devices(struct talk *t, struct str *answer, struct err *e)
{
	autofree char *path = unit_path(t->r->unit);
	uint32_t policy = property_get(t, path, "DevicePolicy");
	uint32_t allow = property_get(t, path, "DeviceAllow");
	struct dbus_message m;
	size_t end;

	TRY(talk_wait(t, policy, &m, e));
	if (t->error)
		return 0;
	if (str_eq(dbus_take_signature(&m.body), "s"))
		str_addf(answer, "%s\n", dbus_take_string(&m.body));
	TRY(talk_wait(t, allow, &m, e));
	if (t->error)
		return 0;
	m.body.bad |= !str_eq(dbus_take_signature(&m.body), "a(ss)") || !answer->len;
	end = dbus_take_array(&m.body, 8);
	while (!m.body.bad && m.body.at < end) {
		dbus_take_align(&m.body, 8);
		str_add(answer, dbus_take_string(&m.body));
		str_addf(answer, " %s\n", dbus_take_string(&m.body));
	}
	if (!m.body.bad)
		return 0;
	return fail(e, EPROTO, "%s systemd unit \"%s\": read its devices", t->r->doing, t->r->unit);
}

int unit_ask(const struct unit_request *r, struct str *answer, struct err *e)
{
	__attribute__((cleanup(talk_end))) struct talk t = {.r = r, .bus = DBUS_INIT};
	int rc;

	TRY(talk_open(&t, e));
	if (r->operation == UNIT_STOP)
		rc = stop(&t, e);
	else if (r->operation == UNIT_DEVICES)
		rc = devices(&t, answer, e);
	else
		rc = start_or_set(&t, e);
	TRY(rc);
	return outcome(&t, e);
}
