/* What the tap says on the stderr of somebody's program: seldom, and never at the program's cost. */
#ifndef SLUICE_TAP_TELL_H
#define SLUICE_TAP_TELL_H

/* A sentence, "sluice: ...", the first time that this `once` is 0. Not where it would have to wait, or
 * nobody hears it: a write into a pipe that nobody reads ends a program. Any thread. */
void tell_once(int *once, const char *text);

#endif
