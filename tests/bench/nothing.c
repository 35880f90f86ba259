/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nothing: what a container can run to show the cost of the runtime alone. */
int main(void)
{
	return 0;
}
