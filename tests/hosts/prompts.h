/* Prompts out of a corpus, drawn by a seed: the same for everyone who asks with it. */
#ifndef SLUICE_TESTS_HOSTS_PROMPTS_H
#define SLUICE_TESTS_HOSTS_PROMPTS_H

struct prompts {
    char **texts;
    int count;
};

/* `count` beginnings of documents of a JSON-lines corpus ({"text": ...}), of `words` words each; no two
 * begin with the same word, while the corpus lasts, so that no prefix of one is another's. ERR_NOTFOUND,
 * ERR_FORMAT: fewer documents; ERR_NOMEM. */
int prompts_read(const char *path, int count, int words, unsigned seed, struct prompts *prompts);
void prompts_free(struct prompts *prompts);

#endif
