/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ociVersion (spec.md, SemVer 2.0.0): any 1.x.y is accepted. */
#pragma once

struct err;

int version_check(const char *text, struct err *e);
