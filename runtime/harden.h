/*
 * What a process that has activations or text in its memory does without: files for others, core
 * dumps, and other processes of this user that look into it.
 */
#ifndef SLUICE_RUNTIME_HARDEN_H
#define SLUICE_RUNTIME_HARDEN_H

/* From now on, for this process; the first two for its children as well. Never fails. */
void harden(void);

#endif
