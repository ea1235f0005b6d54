/* Command lines: the same words everywhere; --help, the man page and the parser agree. */
#include "runtime/options.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

static const struct option_spec producer[] = {
    {"producer", "I", "which of the producers this one is, counted from 0"},
    {"replay", NULL, "draw in order"},
    {"with", "FILE...", "one more; may be given many times"},
};
static const struct program_spec plain = {.name = "sluice-x",
                                          .summary = "does x",
                                          .description = ".starts with a dot\n\nsecond - part",
                                          .options = producer,
                                          .options_count = 3};

static const struct option_spec fresh[] = {{"fresh", NULL, "start over"}};
static const struct command_spec commands[] = {
    {.name = "up", .meaning = "run it all", .options = fresh, .options_count = 1},
    {.name = "consumer drop",
     .arguments = "NAME",
     .arguments_min = 1,
     .arguments_max = 1,
     .meaning = "forget a consumer"},
    {.name = "list", .file_optional = 1, .meaning = "list runs"},
    {.name = "run set", .usage = "[WHICH]", .file_optional = 1, .meaning = "set one"},
    {.name = "run",
     .usage = "[FILE] -- PROGRAM",
     .file_optional = 1,
     .takes_program = 1,
     .options = fresh,
     .options_count = 1,
     .meaning = "run a program"},
};
static const struct program_spec many = {
    .name = "sluice", .summary = "many", .commands = commands, .commands_count = 5};

static struct options options;
static int done;

static int parse_all(const struct program_spec *program, const char *const *words)
{
    char *argv[64] = {(char *)program->name};
    int argc = 1;
    for (; words[argc - 1]; argc++) argv[argc] = (char *)words[argc - 1];
    return options_parse(program, argc, argv, &options, &done);
}
#define parse(program, ...) parse_all(program, (const char *const[]){__VA_ARGS__, NULL})

static void says(const char *word)
{
    if (!strstr(err_text(), word)) fail_msg("'%s' is not in: %s", word, err_text());
}

static void test_plain_program(void **state)
{
    (void)state;
    long long number;
    assert_int_equal(parse(&plain, "f.yaml", "--set", "a.b=1", "--set=c.d=2", "--producer", "3"),
                     ERR_OK);
    assert_string_equal(options.file, "f.yaml");
    assert_int_equal(options.sets_count, 2);
    assert_string_equal(options.sets[1], "c.d=2");
    assert_string_equal(options_get(&options, "producer"), "3");
    assert_null(options_get(&options, "replay"));
    assert_int_equal(options_number(&options, "producer", 0, 7, 0, &number), ERR_OK);
    assert_int_equal(number, 3);
    assert_int_equal(options_number(&options, "producer", 0, 2, 0, &number), ERR_USAGE);
    says("from 0 to 2");
    assert_int_equal(parse(&plain, "--config", "f.yaml", "--replay", "--log-level=debug"), ERR_OK);
    assert_string_equal(options.file, "f.yaml");
    assert_string_equal(options_get(&options, "replay"), "");
    assert_int_equal(options.log_level, LOG_DEBUG);
    assert_int_equal(options_number(&options, "producer", 0, 7, 5, &number), ERR_OK);
    assert_int_equal(number, 5);
    assert_int_equal(parse(&plain, "--print-config"), ERR_OK);
    assert_null(options.file);
    assert_int_equal(parse(&plain, "--", "--odd.yaml"), ERR_OK);
    assert_string_equal(options.file, "--odd.yaml");
}

static void test_refusals(void **state)
{
    (void)state;
    assert_int_equal(parse(&plain, "f", "--produzer=1"), ERR_USAGE);
    says("--producer");
    assert_int_equal(parse(&plain, "f", "--qqqqqqqq"), ERR_USAGE);
    says("--help");
    assert_int_equal(parse(&plain, "f", "-x"), ERR_USAGE);
    assert_int_equal(parse(&plain, "f", "--producer"), ERR_USAGE);
    says("needs a value");
    assert_int_equal(parse(&plain, "f", "--replay=1"), ERR_USAGE);
    says("no value");
    assert_int_equal(parse(&plain, "f", "--producer=1", "--producer=2"), ERR_USAGE);
    says("twice");
    assert_int_equal(parse(&plain, "f", "g"), ERR_USAGE);
    says("'g'");
    assert_int_equal(parse(&plain, "f", "--config", "g", "--config", "h"), ERR_USAGE);
    assert_int_equal(parse(&plain, "--check"), ERR_USAGE);
    says("FILE");
    assert_int_equal(parse(&plain, "f", "--log-level", "loud"), ERR_USAGE);
    says("debug, info, warn, error");
}

static void test_commands(void **state)
{
    (void)state;
    assert_int_equal(parse(&many, "up", "f.yaml", "--fresh"), ERR_OK);
    assert_string_equal(options.command->name, "up");
    assert_string_equal(options.file, "f.yaml");
    assert_string_equal(options_get(&options, "fresh"), "");
    assert_int_equal(parse(&many, "consumer", "drop", "f.yaml", "main"), ERR_OK);
    assert_string_equal(options.command->name, "consumer drop");
    assert_int_equal(options.arguments_count, 1);
    assert_string_equal(options.arguments[0], "main");
    assert_int_equal(parse(&many, "list"), ERR_OK);
    assert_null(options.file);
    assert_int_equal(parse(&many, "list", "f"), ERR_OK);
    assert_string_equal(options.file, "f");
    assert_int_equal(parse(&many, "consumer", "drop", "f.yaml"), ERR_USAGE);
    says("NAME");
    assert_int_equal(parse(&many, "consumer"), ERR_USAGE);
    says("consumer drop");
    assert_int_equal(parse(&many, "pu", "f.yaml"), ERR_USAGE);
    says("'up'");
    assert_int_equal(parse(&many, "up"), ERR_USAGE);
    assert_int_equal(parse(&many, "consumer", "drop", "f", "main", "--fresh"), ERR_USAGE);
    assert_int_equal(parse(&many, "--check"), ERR_USAGE);
    says("command");
}

static char *written(int (*write)(const struct program_spec *, FILE *),
                     const struct program_spec *program)
{
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(write(program, out), ERR_OK);
    fclose(out);
    return text;
}

static int help(const struct program_spec *program, FILE *out)
{
    return options_write_help(program, NULL, out);
}

/* Whatever the help names, the parser takes, and the man page tells. */
static void test_help_man_and_parser_agree(void **state)
{
    (void)state;
    char *text = written(help, &plain), *man = written(options_write_man, &plain);
    int seen = 0;
    for (char *p = text; (p = strstr(p, "  --")); p++) {
        char name[64], in_man[80];
        sscanf(p + 4, "%63[a-z-]", name);
        snprintf(in_man, sizeof in_man, "\\-\\-%s", name);
        for (char *dash = strchr(name, '-'); dash; dash = NULL)
            snprintf(in_man, sizeof in_man, "\\-\\-%.*s\\-%s", (int)(dash - name), name, dash + 1);
        if (!strstr(man, in_man)) fail_msg("%s is not in the man page", in_man);
        seen++;
        if (strcmp(name, "help") == 0 || strcmp(name, "version") == 0) continue;
        char option[80];
        int takes_value =
            p[4 + strlen(name)] == ' ' && p[5 + strlen(name)] >= 'A' && p[5 + strlen(name)] <= 'Z';
        snprintf(option, sizeof option, "--%s%s", name, takes_value ? "=1" : "");
        int result = parse(&plain, "--print-config", option);
        if (result != ERR_OK && !strstr(err_text(), "log level"))
            fail_msg("%s: %s", option, err_text());
    }
    assert_int_equal(seen, 10);
    assert_non_null(strstr(man, "\\&.starts with a dot"));
    assert_non_null(strstr(man, "second \\- part"));
    assert_non_null(strstr(man, "sluice (1)"));
    free(text);
    free(man);
    text = written(help, &many);
    man = written(options_write_man, &many);
    for (size_t i = 0; i < many.commands_count; i++) {
        assert_non_null(strstr(text, commands[i].name));
        assert_non_null(strstr(man, commands[i].name));
    }
    assert_non_null(strstr(man, "checkpoint_share"));
    free(text);
    free(man);
}

/* A value that ends in three dots may be given many times, in its order. */
static void some_options_are_given_many_times(void **state)
{
    struct options o;
    (void)state;
    char *argv[] = {"x", "f", "--with", "a", "--producer=1", "--with=b"};
    assert_int_equal(options_parse(&plain, 6, argv, &o, &done), ERR_OK);
    assert_string_equal(options_get(&o, "with"), "a");
    assert_string_equal(options_get_nth(&o, "with", 1), "b");
    assert_null(options_get_nth(&o, "with", 2));
    assert_null(options_get_nth(&o, "producer", 1));
}

/* What stands behind "--" is the program's own, however many words it has. */
static void a_program_has_words_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(parse(&many, "run", "f.yaml", "--fresh", "--", "cat", "--", "--help", "a", "b",
                           "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"),
                     ERR_OK);
    assert_string_equal(options.file, "f.yaml");
    assert_non_null(options_get(&options, "fresh"));
    assert_string_equal(options.program[0], "cat");
    assert_string_equal(options.program[1], "--");
    assert_string_equal(options.program[2], "--help");
    assert_string_equal(options.program[17], "o");
    assert_null(options.program[18]);
    assert_false(done);
    assert_int_equal(parse(&many, "run", "--", "cat"), ERR_OK);
    assert_null(options.file);
    assert_int_equal(parse(&many, "run", "f.yaml"), ERR_USAGE);
    says("which program? HINT: sluice run [FILE] -- PROGRAM");
    assert_int_equal(parse(&many, "run", "f.yaml", "--"), ERR_USAGE);
    says("which program?");
    assert_int_equal(parse(&many, "run", "f.yaml", "cat", "--", "cat"), ERR_USAGE);
    says("too many arguments");
    assert_int_equal(parse(&many, "run", "set", "7"), ERR_OK);
    assert_string_equal(options.command->name, "run set");
    assert_null(options.program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_options_are_given_many_times),
        cmocka_unit_test(test_plain_program),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(a_program_has_words_of_its_own),
        cmocka_unit_test(test_help_man_and_parser_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
