/*
 * llama.cpp answers some files by ending the process: an assertion aborts, an exception that nobody
 * catches terminates, a damaged number divides by zero. No file may do that to us.
 *
 * Two protections. What is not known to work is tried in a child process (llama_trial.h). What was
 * tried and fails later all the same, at a text that nobody foresaw, is turned into one log line
 * and exit code 2, which `sluice up` does not try again.
 */
#ifndef SLUICE_ENGINE_LLAMA_GUARD_H
#define SLUICE_ENGINE_LLAMA_GUARD_H

/* Around each call of llama.cpp that works on a file or a text; calls nest, on any thread. While
 * one is under way, SIGABRT, SIGSEGV, SIGBUS, SIGFPE and SIGILL of the process end it with exit
 * code 2 and a line on stderr (a signal that somebody else handles already is left to them). */
void llama_guard_enter(void);
void llama_guard_leave(void);

/* In a child process: let these signals end it, as they do by default. */
void llama_guard_off(void);

/* Called with what the assertion says when one fails, before the signal; may be NULL. */
void llama_guard_on_abort(void (*fn)(const char *reason));

#endif
