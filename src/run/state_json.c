/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What others are told about a container. */
#include "run/state.h"
#include "write.h"

char *state_oci_json(const struct rec_record *rec, pid_t pid, const char *status, struct arena *a,
                     size_t *len)
{
	struct oci_state s = {
		.oci_version = (char *)DAVIT_SPEC_VERSION,
		.id = rec->id,
		.status = (char *)status,
		.pid = pid,
		.bundle = rec->bundle,
		.annotations = rec->annotations,
	};

	return oci_write(&ocispec_schema, OCI_STATE, &s, OCI_WRITE_COMPACT, a, len);
}

char *state_full_json(const struct rec_record *rec, pid_t pid, const char *status,
                      const struct rec_exit *exit, bool pretty, struct arena *a)
{
	struct rec_status s = {
		.oci_version = (char *)DAVIT_SPEC_VERSION,
		.id = rec->id,
		.pid = pid,
		.status = (char *)status,
		.bundle = rec->bundle,
		.rootfs = rec->rootfs,
		.created = rec->created,
		.owner = rec->owner,
		.annotations = rec->annotations,
		.not_applied = rec->not_applied,
		.n_not_applied = rec->n_not_applied,
		.exit = (struct rec_exit *)exit,
	};

	return oci_write(&record_schema, REC_STATUS, &s,
	                 pretty ? OCI_WRITE_PRETTY : OCI_WRITE_COMPACT, a, NULL);
}
