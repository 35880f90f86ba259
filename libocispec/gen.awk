# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Turns a .def file (its language is described in runtime-spec.def) into NAME.h and NAME_tables.c:
#
#   awk -v dir=OUTPUT_DIRECTORY [-v uses=OTHER.def] -f gen.awk FILE.def
#
# Objects of OTHER.def can be referred to by their plain names; its header is included.

function die(text)
{
	printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
	failed = 1
	exit 1
}

# oomScoreAdj -> oom_score_adj, execCPUAffinity -> exec_cpu_affinity, containerID -> container_id
function snake(json,    i, c, prev, following, out)
{
	for (i = 1; i <= length(json); i++) {
		c = substr(json, i, 1)
		prev = substr(json, i - 1, i > 1)
		following = substr(json, i + 1, 1)
		if (c ~ /[A-Z]/ && (prev ~ /[a-z0-9]/ || (prev ~ /[A-Z]/ && following ~ /[a-z]/)))
			out = out "_"
		out = out tolower(c)
	}
	return out
}

function name_offset(word)
{
	if (!(word in pool)) {
		pool[word] = pool_size
		pool_size += length(word) + 1
		pool_text = pool_text "\t\"" word "\\0\"\n"
	}
	return pool[word]
}

function rules_of(    i, out)
{
	for (i = 3; i <= NF; i++) {
		if ($i ~ /^c=/)
			continue
		if ($i !~ /^(required|absolute|nonempty|positive|natural|pagesize|cpulist)$/)
			die("unknown rule " $i)
		if ($i == "required")
			required = required (required ? " | " : "") "1ULL << " (count + 0)
		out = out (out ? " | " : "") "OCI_R_" toupper($i)
	}
	return out ? out : "0"
}

function object_close()
{
	if (current == "")
		return
	if (count > 64)
		die("more than 64 properties in " current)
	structs = structs "struct " prefix "_" current " {\n" body tail "};\n\n"
	objects = objects sprintf("\t{%s, %d, %d, %d, sizeof(struct %s_%s)},\n",
		required ? required : "0", name_offset(current), first, count, prefix, current)
	enums = enums "\t" toupper(prefix "_" current) ",\n"
	number[current] = n_objects++
	first += count
	count = 0
	current = body = tail = required = ""
}

BEGIN {
	ctype["str"] = "char *"
	ctype["bool"] = "bool "
	ctype["int"] = "int "
	ctype["i64"] = "int64_t "
	ctype["u16"] = "uint16_t "
	ctype["u32"] = "uint32_t "
	ctype["u64"] = "uint64_t "
	if (dir == "")
		dir = "."
	while (uses != "" && (getline line < uses) > 0) {
		split(line, word, " ")
		if (word[1] == "schema") {
			uses_schema = word[2]
			uses_prefix = word[3]
		} else if (word[1] == "object") {
			foreign[word[2]] = n_foreign++
		}
	}
	if (uses != "" && uses_schema == "") {
		printf "%s: cannot be read or has no schema line\n", uses > "/dev/stderr"
		failed = 1
		exit 1
	}
}

/^[ \t]*(#|$)/ { next }

$1 == "schema" {
	schema = $2
	prefix = $3
	source = FILENAME
	sub(/.*\//, "", source)
	next
}

$1 == "object" {
	object_close()
	if ($2 in number)
		die("object " $2 " is described twice")
	current = $2
	next
}

{
	if (current == "")
		die("a property outside of an object")
	type = $1
	json = $2
	shape = "ONE"
	if (sub(/\?$/, "", type))
		shape = "OPT"
	else if (sub(/\[\]$/, "", type))
		shape = "LIST"
	else if (sub(/\{\}$/, "", type))
		shape = "MAP"
	field = snake(json)
	for (i = 3; i <= NF; i++)
		if ($i ~ /^c=/)
			field = substr($i, 3)

	object = 0
	if (type in ctype) {
		row = toupper(type)
		member = ctype[type]
		if (shape == "MAP" && type != "str")
			die("only str{} and OBJECT{} exist")
		map = "oci_map"
	} else {
		row = "OBJECT"
		if (type in number) {
			member = "struct " prefix "_" type " "
			object = number[type]
			map = prefix "_" type "_map"
			if (shape == "MAP" && !(type in mapped)) {
				mapped[type] = 1
				structs = structs "struct " map " {\n\tchar **keys;\n"
				structs = structs "\t" member "*values;\n\tsize_t n;\n};\n\n"
			}
		} else if (type in foreign) {
			member = "struct " uses_prefix "_" type " "
			object = "OCI_FOREIGN | " foreign[type]
			if (shape == "MAP")
				die("a map of objects of another schema")
		} else {
			die("unknown type " type)
		}
		if (shape == "OPT")
			die("objects are pointers: drop the ?")
		if (shape == "ONE")
			member = member "*"
	}

	extra = "0"
	at = "offsetof(struct " prefix "_" current ", "
	if (shape == "ONE" && type == "str")
		member = "const " member # the writer is often given literals
	if (shape == "OPT") {
		body = body "\t" member field ";\n"
		tail = tail "\tbool has_" field ";\n"
		extra = at "has_" field ")"
	} else if (shape == "LIST") {
		body = body "\t" member "*" field ";\n\tsize_t n_" field ";\n"
		extra = at "n_" field ")"
	} else if (shape == "MAP") {
		body = body "\tstruct " map " " field ";\n"
	} else if (type == "bool") {
		tail = tail "\tbool " field ";\n"
	} else {
		body = body "\t" member field ";\n"
	}
	fields = fields sprintf("\t{%d, %d, OCI_T_%s, OCI_S_%s, %s,\n\t %s), %s, %s},\n",
		name_offset(json), length(json), row, shape, rules_of(), at field, extra, object)
	count++
}

END {
	if (failed)
		exit 1
	object_close()
	if (schema == "")
		die("no schema line")
	h = dir "/" schema ".h"
	printf "/* Made by gen.awk from %s. */\n#pragma once\n\n", source > h
	printf "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n" > h
	printf "#include \"schema.h\"\n" > h
	if (uses_schema)
		printf "#include \"%s.h\"\n", uses_schema > h
	printf "\n#undef linux /* gnu dialects define it as 1; it is a field name here */\n\n" > h
	printf "%s/* For oci_read() and oci_write(). */\n", structs > h
	printf "enum %s_object {\n%s};\n\n", schema, enums > h
	printf "extern const struct oci_schema %s_schema;\n", schema > h
	close(h)

	c = dir "/" schema "_tables.c"
	printf "/* Made by gen.awk from %s. */\n#include \"%s.h\"\n\n", source, schema > c
	printf "static const char names[] =\n%s\t\"\";\n\n", pool_text > c
	printf "static const struct oci_field fields[] = {\n%s};\n\n", fields > c
	printf "static const struct oci_object objects[] = {\n%s};\n\n", objects > c
	other = uses_schema ? "&" uses_schema "_schema" : "NULL"
	printf "const struct oci_schema %s_schema = {\n", schema > c
	printf "\tnames, fields, objects, %s,\n};\n", other > c
	close(c)
}
