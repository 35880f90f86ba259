/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that this tree does not use, as compile errors; forced in by the build. They overflow,
 * hide a shell, lose errors, read the locale or load code from the file system. */
#pragma once

#include <alloca.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll
#undef alloca
#pragma GCC poison system popen tmpnam tempnam mktemp alloca
#pragma GCC poison getpwnam getpwuid getgrnam getgrgid getgrouplist initgroups gethostbyname
#pragma GCC poison localtime gmtime asctime ctime
