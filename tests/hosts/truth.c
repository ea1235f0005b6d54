#include "tests/hosts/truth.h"

void truth_token(FILE *file, int context, int call, int slot, int position, int32_t token)
{
    if (!file) return;
    fprintf(file, "{\"context\":%d,\"call\":%d,\"slot\":%d,\"position\":%d,\"token\":%d}\n",
            context, call, slot, position, token);
}

void truth_event(FILE *file, int context, const char *event, int slot, int from, int to, int by)
{
    if (!file) return;
    fprintf(file, "{\"context\":%d,\"event\":\"%s\",\"slot\":%d,\"from\":%d,\"to\":%d,\"by\":%d}\n",
            context, event, slot, from, to, by);
}

void truth_flush(FILE *file)
{
    if (file) fflush(file);
}
