/* What nobody can guess: 32 hexadecimal digits, by chance. */
#ifndef SLUICE_BROWSE_TOKEN_H
#define SLUICE_BROWSE_TOKEN_H

enum { TOKEN_BYTES = 33 };

/* Writes out[TOKEN_BYTES]. ERR_IO: the system gives no random numbers. */
int token_make(char out[TOKEN_BYTES]);

#endif
