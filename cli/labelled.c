#include "cli/labelled.h"

#include "base/err.h"
#include "cli/shown.h"
#include "inspect/index.h"

#include <stdio.h>
#include <string.h>

int labelled_open(const char *folder, const struct subject *subject, struct labels *labels)
{
    struct index_facts facts;
    struct index index;
    int result = index_open(folder, &index);
    if (result != ERR_OK) return result;
    facts = index.facts;
    index_close(&index);
    if (facts.fingerprint != subject->fingerprint)
        return err_set(ERR_USAGE,
                       "%s is the index of another SAE than %s; HINT: `sluice inspect` makes this "
                       "one's",
                       folder, subject->name);
    return labels_read(folder, facts.features, labels);
}

void labelled_text(const struct labels *labels, uint32_t feature, char *out)
{
    char shown[LABELLED_BYTES - 4];
    const char *text = labels_of(labels, feature);
    out[0] = '\0';
    if (!text) return;
    shown_text(text, strlen(text), shown, sizeof shown);
    snprintf(out, LABELLED_BYTES, " (%s)", shown);
}
