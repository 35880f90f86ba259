/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For clang-tidy, which sees one file at a time and does not know what these return. */
#pragma once

#include "base/err.h"

#define fail(...)        (fail(__VA_ARGS__), -1)
#define fail_prefix(...) (fail_prefix(__VA_ARGS__), -1)
#define fail_at(...)     (fail_at(__VA_ARGS__), -1)
