/* `sluice steer`: what a model says with features clamped, beside what it says by itself. */
#include "cli/steer.h"

#include "base/err.h"
#include "base/fileio.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- files that are written ---- */

int steer_check_free(const char *option, const char *file)
{
    struct stat st;
    if (!file || lstat(file, &st) != 0) return ERR_OK;
    return err_set(ERR_USAGE, "--%s %s: it is there already; HINT: another name", option, file);
}

int steer_write(const char *option, const char *file, const char *data, size_t bytes)
{
    int result = file_create(file, data, bytes);
    if (result != ERR_EXISTS) return result;
    return err_set(ERR_USAGE, "--%s %s: it is there already; HINT: another name", option, file);
}

/* ---- progress ---- */

static void tell_progress(void *arg)
{
    struct steer_clock *c = arg;
    c->done++;
    if (!pace_due(&c->pace, 1, 0)) return;
    pace_tell(&c->pace, 0, "%" PRIu64 " of at most %" PRIu64 " tokens, %.1f per second", c->done,
              c->all, (double)c->done / pace_seconds(&c->pace));
}

void steer_progress_begin(struct steer *s, uint64_t tokens)
{
    s->clock = (struct steer_clock){.all = tokens, .pace.begun = time(NULL)};
    s->how.progress = tell_progress;
    s->how.arg = &s->clock;
}

void steer_progress_end(struct steer *s)
{
    pace_end(&s->clock.pace);
}

/* ---- what is asked for ---- */

/* all, generated, every, or positions A-B of the sequence. */
static int read_positions(struct steer *s)
{
    const char *told = options_get(s->options, "positions");
    unsigned first = 0, last = UINT32_MAX;
    int used = 0;
    s->is_every = options_get(s->options, "export") != NULL;
    if (told && strcmp(told, "every") == 0)
        s->is_every = 1;
    else if (told && s->is_every)
        return err_set(ERR_USAGE,
                       "a control vector is added at every position, the first one too; HINT: "
                       "--export without --positions");
    else if (told && strcmp(told, "generated") == 0)
        first = s->how.prompt_tokens;
    else if (told && strcmp(told, "all") != 0 &&
             (sscanf(told, "%u-%u%n", &first, &last, &used) != 2 || told[used] || first > last))
        return err_set(ERR_USAGE, "--positions %s: HINT: all, generated, every, or A-B, as 5-20",
                       told);
    steering_set(&s->steering, first, last, s->is_every ? NULL : s->spared,
                 options_get(s->options, "additive") != NULL);
    return ERR_OK;
}

static int read_how(struct steer *s)
{
    long long tokens, seed;
    int is_sweep = options_get(s->options, "sweep") != NULL;
    long long most = is_sweep ? READING_MOST_TOKENS - 1 : STEER_MOST_TOKENS / 2;
    const char *heat = options_get(s->options, "temperature");
    char *end = NULL;
    int result = options_number(s->options, "tokens", 1, most, 60, &tokens);
    if (result == ERR_OK) result = options_number(s->options, "seed", 0, INT64_MAX, 0, &seed);
    if (result != ERR_OK) return result;
    s->how.tokens = (uint32_t)tokens;
    s->how.seed = (uint64_t)seed;
    s->how.temperature = heat ? strtod(heat, &end) : 0.7;
    if (heat && (end == heat || *end || !(s->how.temperature >= 0) || s->how.temperature > 100))
        return err_set(ERR_USAGE, "--temperature %s is no number from 0 to 100", heat);
    if (is_sweep) return steer_check_free("svg", options_get(s->options, "svg"));
    static const char *const of_sweeps[] = {"svg", "text", "texts"};
    for (size_t i = 0; i < sizeof of_sweeps / sizeof *of_sweeps; i++)
        if (options_get(s->options, of_sweeps[i]))
            return err_set(ERR_USAGE, "--%s goes with --sweep; HINT: --sweep default",
                           of_sweeps[i]);
    return ERR_OK;
}

/* Position 0 and special tokens keep what they have: no SAE is trained on them unless told, and what
 * a feature's value is there means nothing. */
void steer_spare(const struct steer *s, const int32_t *tokens, uint32_t count, uint8_t *spared)
{
    const struct llama_runner *runner = llama_player_runner(s->player);
    for (uint32_t i = 0; i < count; i++)
        spared[i] = (uint8_t)(i == 0 || llama_runner_is_special(runner, tokens[i]));
}

static int read_prompt(struct steer *s)
{
    const char *text = options_get(s->options, "prompt");
    if (!text) return err_set(ERR_USAGE, "no prompt; HINT: --prompt TEXT");
    int result =
        firing_tokens(&s->subject[0], llama_player_runner(s->player), text,
                      STEER_MOST_TOKENS - s->how.tokens, &s->prompt, &s->how.prompt_tokens);
    if (result != ERR_OK) return result;
    s->how.prompt = s->prompt;
    steer_spare(s, s->prompt, s->how.prompt_tokens, s->spared);
    return read_positions(s);
}

int steer_command(const struct options *options, const struct config *config)
{
    struct steer s = {.options = options};
    (void)config;
    int result = read_how(&s);
    if (result != ERR_OK) return result;
    s.spared = calloc(STEER_MOST_TOKENS, 1);
    if (!s.spared) result = err_set(ERR_NOMEM, "no memory to steer");
    if (result == ERR_OK) result = steer_open(&s);
    if (result == ERR_OK) result = read_prompt(&s);
    if (result == ERR_OK) result = s.strengths.count ? steer_sweep(&s) : steer_texts(&s);
    steer_close(&s);
    return result;
}
