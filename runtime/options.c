#include "runtime/options.h"

#include "base/err.h"
#include "config/config.h"
#include "config/man.h"
#include "config/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What every binary understands. */
static const struct option_spec common[] = {
    {"config", "FILE", "the pipeline's file; the same as giving FILE alone"},
    {"set", "SECTION.KEY=VALUE", "override one option of the file; may be given many times"},
    {"check", NULL, "validate the file and end"},
    {"print-config", NULL, "show every option with value, default, unit and meaning, and end"},
    {"log-level", "LEVEL", "debug, info (the default), warn or error"},
    {"help", NULL, "show this text and end"},
    {"version", NULL, "show the version and end"},
};
enum { COMMON = sizeof common / sizeof common[0] };

struct cursor_of_arguments {
    int argc;
    char **argv;
    int next;
};

static const struct option_spec *find_in(const struct option_spec *table, size_t count,
                                         const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
            return &table[i];
    return NULL;
}

static const struct option_spec *find(const struct program_spec *program,
                                      const struct command_spec *command, const char *name,
                                      size_t length)
{
    const struct option_spec *spec = find_in(common, COMMON, name, length);
    if (!spec) spec = find_in(program->options, program->options_count, name, length);
    if (!spec && command) spec = find_in(command->options, command->options_count, name, length);
    return spec;
}

static int fail_unknown(const struct program_spec *program, const struct command_spec *command,
                        const char *argument)
{
    char name[64];
    struct nearest nearest;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    nearest_begin(&nearest, name);
    for (size_t i = 0; i < COMMON; i++) nearest_offer(&nearest, common[i].name);
    for (size_t i = 0; i < program->options_count; i++)
        nearest_offer(&nearest, program->options[i].name);
    for (size_t i = 0; command && i < command->options_count; i++)
        nearest_offer(&nearest, command->options[i].name);
    const char *word = nearest_word(&nearest);
    if (argument[1] != '-' || !word)
        return err_set(ERR_USAGE, "unknown option %.80s; HINT: %s --help", argument, program->name);
    return err_set(ERR_USAGE, "unknown option %.80s; did you mean --%s?", argument, word);
}

/* Words of a command's name that stand at argv[next]; 0 if they do not. */
static int command_words(const struct command_spec *command, const struct cursor_of_arguments *c)
{
    char name[64];
    const char *space = strchr(command->name, ' ');
    if (c->next >= c->argc) return 0;
    if (!space) return strcmp(c->argv[c->next], command->name) == 0;
    if (c->next + 1 >= c->argc) return 0;
    snprintf(name, sizeof name, "%s %s", c->argv[c->next], c->argv[c->next + 1]);
    return strcmp(name, command->name) == 0 ? 2 : 0;
}

static int take_command(const struct program_spec *program, struct cursor_of_arguments *c,
                        struct options *options)
{
    if (!program->commands || c->next >= c->argc || c->argv[c->next][0] == '-') return ERR_OK;
    struct nearest nearest;
    const char *two_words = NULL; /* a command whose first word was given, and another second one */
    const char *given = c->argv[c->next];
    nearest_begin(&nearest, given);
    for (size_t i = 0; i < program->commands_count; i++) {
        const struct command_spec *command = &program->commands[i];
        int words = command_words(command, c);
        if (words > 0) {
            options->command = command;
            c->next += words;
            return ERR_OK;
        }
        size_t first = strcspn(command->name, " ");
        if (command->name[first] && strlen(given) == first &&
            memcmp(command->name, given, first) == 0)
            two_words = command->name;
        nearest_offer(&nearest, command->name);
    }
    if (two_words)
        return err_set(ERR_USAGE, "%s needs one more word, such as '%s'; HINT: %s --help", given,
                       two_words, program->name);
    const char *word = nearest_word(&nearest);
    if (word) return err_set(ERR_USAGE, "unknown command '%.40s'; did you mean '%s'?", given, word);
    return err_set(ERR_USAGE, "unknown command '%.40s'; HINT: %s --help", given, program->name);
}

static int may_repeat(const struct option_spec *spec)
{
    size_t length = spec->value ? strlen(spec->value) : 0;
    return length > 3 && strcmp(spec->value + length - 3, "...") == 0;
}

static int keep_value(struct options *options, const struct option_spec *spec, const char *value)
{
    const char *name = spec->name;
    if (options_get(options, name) && !may_repeat(spec))
        return err_set(ERR_USAGE, "--%s is given twice", name);
    if (options->values_count == OPTIONS_MAX_VALUES)
        return err_set(ERR_USAGE, "more than %d options", OPTIONS_MAX_VALUES);
    options->values[options->values_count++] = (struct option_value){name, value};
    return ERR_OK;
}

static int take_file(struct options *options, const char *file)
{
    if (options->file) return err_set(ERR_USAGE, "two files: %.80s and %.80s", options->file, file);
    options->file = file;
    return ERR_OK;
}

static int apply(const struct program_spec *program, struct options *options,
                 const struct option_spec *spec, const char *value, int *done)
{
    if (find_in(common, COMMON, spec->name, strlen(spec->name)) != spec)
        return keep_value(options, spec, value);
    if (strcmp(spec->name, "config") == 0) return take_file(options, value);
    if (strcmp(spec->name, "log-level") == 0) return log_level_parse(value, &options->log_level);
    if (strcmp(spec->name, "set") == 0) {
        if (options->sets_count == OPTIONS_MAX_SETS)
            return err_set(ERR_USAGE, "more than %d --set", OPTIONS_MAX_SETS);
        options->sets[options->sets_count++] = value;
        return ERR_OK;
    }
    if (strcmp(spec->name, "check") == 0) options->check = 1;
    if (strcmp(spec->name, "print-config") == 0) options->print_config = 1;
    if (strcmp(spec->name, "help") == 0) {
        *done = 1;
        return options_write_help(program, options->command, stdout);
    }
    if (strcmp(spec->name, "version") == 0) {
        *done = 1;
        printf("%s %s\n", program->name, SLUICE_VERSION);
    }
    return ERR_OK;
}

/* --name, --name=value, --name value. */
static int take_option(const struct program_spec *program, struct cursor_of_arguments *c,
                       struct options *options, int *done)
{
    const char *argument = c->argv[c->next++];
    if (strcmp(argument, "-h") == 0) argument = "--help";
    if (strcmp(argument, "--print-man") == 0) {
        *done = 1;
        return options_write_man(program, stdout);
    }
    if (strcmp(argument, "--print-markdown") == 0) {
        *done = 1;
        return config_write_markdown(stdout);
    }
    if (argument[1] != '-') return fail_unknown(program, options->command, argument);
    size_t length = strcspn(argument + 2, "=");
    const struct option_spec *spec = find(program, options->command, argument + 2, length);
    const char *value = argument[2 + length] ? argument + 2 + length + 1 : NULL;
    if (!spec) return fail_unknown(program, options->command, argument);
    if (!spec->value && value) return err_set(ERR_USAGE, "--%s takes no value", spec->name);
    if (spec->value && !value) {
        if (c->next == c->argc)
            return err_set(ERR_USAGE, "--%s needs a value: --%s %s", spec->name, spec->name,
                           spec->value);
        value = c->argv[c->next++];
    }
    return apply(program, options, spec, value ? value : "", done);
}

/* "; or tap list, tap on": commands of two words that begin with this one. */
static const char *longer_commands(const struct program_spec *program, const char *name)
{
    static char text[256];
    size_t length = strlen(name), used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < program->commands_count && used < sizeof text; i++) {
        const char *other = program->commands[i].name;
        if (strncmp(other, name, length) != 0 || other[length] != ' ') continue;
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? ", " : "; or ", other);
    }
    return text;
}

/* A program's own arguments, taken for this one's. */
static int fail_before_program(const struct program_spec *program, const struct options *options)
{
    return err_set(ERR_USAGE, "%s; what is to be run stands behind `--`: %s %s %s", err_text(),
                   program->name, options->command->name, options->command->usage);
}

/* Sort what is not an option into FILE and what follows it, and count it. */
static int settle(const struct program_spec *program, struct options *options, const char **plain,
                  size_t count)
{
    const struct command_spec *command = options->command;
    size_t low = command ? command->arguments_min : 0, high = command ? command->arguments_max : 0;
    size_t first = 0;
    if (program->commands && !command && !options->print_config)
        return err_set(ERR_USAGE, "a command is missing; HINT: %s --help", program->name);
    if (!options->file && count > 0 && !(command && command->file_optional && count <= low))
        options->file = plain[first++];
    if (count - first > high)
        return err_set(ERR_USAGE, "too many arguments: '%.80s'; HINT: %s --help",
                       plain[first + high], program->name);
    int free_standing = options->print_config || (command && command->file_optional);
    if (command && command->takes_program && !options->program && !options->print_config &&
        !options->check)
        return err_set(ERR_USAGE, "which program? HINT: %s %s %s%s", program->name, command->name,
                       command->usage, longer_commands(program, command->name));
    if (!options->file && !free_standing)
        return err_set(ERR_USAGE, "which pipeline? HINT: %s%s%s FILE", program->name,
                       command ? " " : "", command ? command->name : "");
    if (count - first < low && !options->print_config)
        return err_set(ERR_USAGE, "%s is missing; HINT: %s %s --help", command->arguments,
                       program->name, command->name);
    while (first < count) options->arguments[options->arguments_count++] = plain[first++];
    return ERR_OK;
}

int options_parse(const struct program_spec *program, int argc, char **argv,
                  struct options *options, int *done)
{
    struct cursor_of_arguments c = {argc, argv, 1};
    const char *plain[OPTIONS_MAX_ARGUMENTS];
    size_t count = 0;
    int only_plain = 0;
    *options = (struct options){.log_level = LOG_INFO};
    *done = 0;
    int result = take_command(program, &c, options);
    while (c.next < argc && result == ERR_OK && !*done) {
        const char *argument = argv[c.next];
        if (!only_plain && strcmp(argument, "--") == 0 && options->command &&
            options->command->takes_program) {
            options->program = c.next + 1 < argc ? argv + c.next + 1 : NULL;
            break;
        } else if (!only_plain && strcmp(argument, "--") == 0) {
            only_plain = 1;
            c.next++;
        } else if (!only_plain && argument[0] == '-' && argument[1]) {
            result = take_option(program, &c, options, done);
        } else if (count == OPTIONS_MAX_ARGUMENTS) {
            result = err_set(ERR_USAGE, "too many arguments");
        } else {
            plain[count++] = argument;
            c.next++;
        }
    }
    if (result == ERR_OK && !*done) result = settle(program, options, plain, count);
    int takes_program = options->command && options->command->takes_program;
    return result != ERR_OK && takes_program && !options->program && (count > 1 || c.next < argc)
               ? fail_before_program(program, options)
               : result;
}

const char *options_get_nth(const struct options *options, const char *name, size_t nth)
{
    for (size_t i = 0; i < options->values_count; i++)
        if (strcmp(options->values[i].name, name) == 0 && nth-- == 0)
            return options->values[i].value;
    return NULL;
}

const char *options_get(const struct options *options, const char *name)
{
    return options_get_nth(options, name, 0);
}

int options_number(const struct options *options, const char *name, long long low, long long high,
                   long long missing, long long *number)
{
    const char *text = options_get(options, name);
    if (!text) {
        *number = missing;
        return ERR_OK;
    }
    char *end;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (end == text || *end || errno || x < low || x > high)
        return err_set(ERR_USAGE, "--%s: '%.40s' is not allowed; a whole number from %lld to %lld",
                       name, text, low, high);
    *number = x;
    return ERR_OK;
}

static int fail_lost(void)
{
    return err_set(ERR_IO, "not all of the output could be written; HINT: is the disk full that it "
                           "goes to?");
}

static void write_option(const struct option_spec *spec, FILE *out)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", spec->name, spec->value ? " " : "",
             spec->value ? spec->value : "");
    fprintf(out, strlen(left) > 24 ? "  %s\n%28s%s\n" : "  %-24s%s%s\n", left,
            strlen(left) > 24 ? "" : "  ", spec->meaning);
}

static void write_usage(const struct program_spec *program, const struct command_spec *command,
                        FILE *out)
{
    if (!program->commands) {
        fprintf(out, "usage: %s FILE [options]\n", program->name);
    } else if (!command) {
        fprintf(out, "usage: %s COMMAND [FILE] [options]\n", program->name);
    } else if (command->usage) {
        fprintf(out, "usage: %s %s %s\n", program->name, command->name, command->usage);
    } else {
        fprintf(out, "usage: %s %s %s%s%s [options]\n", program->name, command->name,
                command->file_optional ? "[FILE]" : "FILE", command->arguments ? " " : "",
                command->arguments ? command->arguments : "");
    }
}

int options_write_help(const struct program_spec *program, const struct command_spec *command,
                       FILE *out)
{
    write_usage(program, command, out);
    fprintf(out, "\n%s\n", command ? command->meaning : program->summary);
    if (!command && program->description) fprintf(out, "\n%s\n", program->description);
    if (!command && program->commands) {
        fputs("\ncommands:\n", out);
        for (size_t i = 0; i < program->commands_count; i++)
            fprintf(out, "  %-24s  %s\n", program->commands[i].name, program->commands[i].meaning);
    }
    fputs("\noptions:\n", out);
    for (size_t i = 0; command && i < command->options_count; i++)
        write_option(&command->options[i], out);
    for (size_t i = 0; i < program->options_count; i++) write_option(&program->options[i], out);
    for (size_t i = 0; i < COMMON; i++) write_option(&common[i], out);
    return ferror(out) ? fail_lost() : ERR_OK;
}

static void man_options(const struct option_spec *table, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        fputs(".TP\n.B \"", out);
        man_text("--", out);
        man_text(table[i].name, out);
        fputc('"', out);
        if (table[i].value) fprintf(out, " \"%s\"", table[i].value);
        fputc('\n', out);
        man_text(table[i].meaning, out);
        fputc('\n', out);
    }
}

static void man_commands(const struct program_spec *program, FILE *out)
{
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; i < program->commands_count; i++) {
        const struct command_spec *command = &program->commands[i];
        if (command->usage)
            fprintf(out, ".SS %s %s\n", command->name, command->usage);
        else
            fprintf(out, ".SS %s %s%s%s\n", command->name,
                    command->file_optional ? "[FILE]" : "FILE", command->arguments ? " " : "",
                    command->arguments ? command->arguments : "");
        man_text(command->meaning, out);
        fputc('\n', out);
        man_options(command->options, command->options_count, out);
    }
}

/* The page of the program with commands is the one that has the whole table. */
static void man_configuration(const struct program_spec *program, FILE *out)
{
    fputs(
        ".SH CONFIGURATION\nFILE is YAML: one mapping of sections, each a mapping of options. "
        "Unknown keys are errors, but for those that begin with x-, which are a place for anchors. "
        "Anchors, aliases and merge keys (<<: *base) work as in other YAML; a mapping's own keys "
        "go first. In paths and endpoints ${NAME} is a variable of the environment (one that is "
        "not set, or empty, is an error; $${ is a literal ${), and ~ or ~user at the front a home "
        "folder; --print-config shows them expanded. ",
        out);
    if (!program->commands) {
        fputs("Every option is in\n.BR sluice (1)\nand in the output of "
              "\\-\\-print\\-config.\n",
              out);
        return;
    }
    fputc('\n', out);
    config_write_man(out);
}

int options_write_man(const struct program_spec *program, FILE *out)
{
    fprintf(out, ".TH \"%s\" 1 \"\" \"sluice %s\" \"Sluice\"\n.SH NAME\n", program->name,
            SLUICE_VERSION);
    man_text(program->name, out);
    fputs(" \\- ", out);
    man_text(program->summary, out);
    fprintf(out, "\n.SH SYNOPSIS\n.B %s\n%s\n", program->name,
            program->commands ? "COMMAND [FILE] [options]" : "FILE [options]");
    fputs(".SH DESCRIPTION\n", out);
    for (const char *p = program->description ? program->description : ""; *p;) {
        const char *end = strstr(p, "\n\n");
        char paragraph[2048];
        snprintf(paragraph, sizeof paragraph, "%.*s", end ? (int)(end - p) : (int)strlen(p), p);
        fputs(".PP\n", out);
        man_text(paragraph, out);
        fputc('\n', out);
        p = end ? end + 2 : p + strlen(p);
    }
    if (program->commands) man_commands(program, out);
    fputs(".SH OPTIONS\n", out);
    man_options(program->options, program->options_count, out);
    man_options(common, COMMON, out);
    man_configuration(program, out);
    fputs(".SH EXIT STATUS\n0 done; 1 failed at run time; 2 usage or configuration.\n"
          ".SH ENVIRONMENT\n.TP\n.B XDG_CACHE_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR\n"
          "where models, runs and sockets live.\n.TP\n.B NO_COLOR\nno colour in logs.\n",
          out);
    for (size_t i = 0; i < program->environment_count; i++) {
        fputs(".TP\n.B ", out);
        man_text(program->environment[i].name, out);
        fputc('\n', out);
        man_text(program->environment[i].meaning, out);
        fputc('\n', out);
    }
    if (program->examples) {
        fputs(".SH EXAMPLES\n.nf\n", out);
        man_text(program->examples, out);
        fputs("\n.fi\n", out);
    }
    return ferror(out) ? err_set(ERR_IO, "cannot write the manual page") : ERR_OK;
}

int options_end_output(void)
{
    int lost = ferror(stdout);
    if (fflush(stdout) == 0 && !lost) return ERR_OK;
    return fail_lost();
}
