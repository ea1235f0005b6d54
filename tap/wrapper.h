/*
 * What the wrappers (calls*.c) share: the functions that the program calls in place of libllama's, by
 * their names. Each does what the real one does, and tells the tap of it.
 */
#ifndef SLUICE_TAP_WRAPPER_H
#define SLUICE_TAP_WRAPPER_H

#include "tap/library.h"

/* A wrapper: our name, under which the compiler knows it, and libllama's, under which others do. */
#define WRAPPER(type, name, ...)                                                                   \
    type tap_##name(__VA_ARGS__) __asm__(#name);                                                   \
    type tap_##name(__VA_ARGS__)

/* The real one, with another type than the header's. NULL as LIBRARY_REAL() may be. */
#define REAL_AS(type, name) ((type)library_get()->real[TAP_##name])

/* libllama calls itself, and such calls come to the wrappers too: above 0 while it runs. */
extern _Thread_local int wrapper_inside;
/* One of it, to the end of a block: also where an exception of the program's callback, or the end of its
 * thread, leaves libllama. */
#define WRAPPER_INSIDE int inside __attribute__((cleanup(wrapper_leave), unused)) = wrapper_inside++
void wrapper_leave(const int *before);

/* Whether this call is the program's, and there is a tap to be told. */
int wrapper_is_ours(void);

#endif
