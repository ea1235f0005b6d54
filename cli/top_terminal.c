#include "cli/top_terminal.h"

#include "base/err.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Otherwise its names without a prefix are macros. */
#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include <ncurses.h>

static SCREEN *screen;
static int has_colour, is_unicode;

static int refuse(const char *why)
{
    return err_set(ERR_USAGE, "%s; HINT: `sluice status FILE` prints the same once", why);
}

static int check(void)
{
    const char *term = getenv("TERM");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return refuse("sluice top draws on a terminal, and standard input or output is none");
    return term && term[0] ? ERR_OK
                           : refuse("TERM is not set, so nobody knows what the terminal is");
}

/* newterm() says so without ending the program, as initscr() would. */
static int take_screen(void)
{
    screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return err_set(
            ERR_USAGE,
            "this system knows no terminal '%.40s' (TERM) that can be drawn on; HINT: try "
            "TERM=xterm, or `sluice status FILE`, which prints the same once",
            getenv("TERM"));
    const char *move = tigetstr("cup");
    if (move && move != (const char *)-1) return ERR_OK;
    top_terminal_close();
    return refuse("this terminal (TERM) cannot move its cursor");
}

static void set_colours(void)
{
    const char *none = getenv("NO_COLOR");
    has_colour = !(none && none[0]) && has_colors() && start_color() == OK;
    if (!has_colour) return;
    use_default_colors();
    init_pair(TOP_GOOD, COLOR_GREEN, -1);
    init_pair(TOP_WARN, COLOR_YELLOW, -1);
    init_pair(TOP_BAD, COLOR_RED, -1);
    init_pair(TOP_TITLE, COLOR_WHITE, COLOR_BLUE);
    init_pair(TOP_ALARM, COLOR_WHITE, COLOR_RED);
}

int top_terminal_open(void)
{
    int result = check();
    if (result != ERR_OK) return result;
    setlocale(LC_CTYPE, "");
    is_unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    result = take_screen();
    if (result != ERR_OK) return result;
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    curs_set(0);
    set_colours();
    return ERR_OK;
}

void top_terminal_close(void)
{
    if (!screen) return;
    endwin();
    delscreen(screen);
    screen = NULL;
}

int top_terminal_fit(struct top_canvas *canvas)
{
    int rows, columns;
    getmaxyx(stdscr, rows, columns);
    canvas->is_unicode = is_unicode;
    if (canvas->cell && canvas->rows == rows && canvas->columns == columns) return ERR_OK;
    return top_canvas_resize(canvas, rows, columns);
}

static attr_t attributes_of(enum top_style style)
{
    static const attr_t plain[TOP_STYLES] = {
        [TOP_DIM] = A_DIM,  [TOP_BOLD] = A_BOLD,     [TOP_WARN] = A_BOLD,
        [TOP_BAD] = A_BOLD, [TOP_TITLE] = A_REVERSE, [TOP_ALARM] = A_REVERSE | A_BOLD};
    if (!has_colour) return plain[style];
    return style == TOP_TITLE || style == TOP_ALARM ? A_BOLD
           : style == TOP_WARN || style == TOP_GOOD ? A_NORMAL
                                                    : plain[style];
}

static short pair_of(enum top_style style)
{
    return has_colour && style >= TOP_GOOD ? (short)style : 0;
}

void top_terminal_show(const struct top_canvas *c)
{
    for (int row = 0; row < c->rows; row++) {
        for (int column = 0; column < c->columns; column++) {
            const struct top_cell *cell = &c->cell[row * c->columns + column];
            wchar_t rune[2] = {(wchar_t)cell->rune, L'\0'};
            cchar_t shown;
            enum top_style style = (enum top_style)cell->style;
            setcchar(&shown, rune, attributes_of(style), pair_of(style), NULL);
            mvadd_wch(row, column, &shown);
        }
    }
    refresh();
}

enum top_key top_terminal_key(int wait_ms)
{
    timeout(wait_ms > 0 ? wait_ms : 0);
    int key = getch();
    switch (key) {
    case ERR:
        return TOP_KEY_NONE;
    case 'q':
    case 'Q':
        return TOP_KEY_QUIT;
    case 'p':
    case ' ':
        return TOP_KEY_PAUSE;
    case 'h':
    case '?':
        return TOP_KEY_HELP;
    case 'k':
    case KEY_UP:
        return TOP_KEY_UP;
    case 'j':
    case KEY_DOWN:
        return TOP_KEY_DOWN;
    case KEY_PPAGE:
        return TOP_KEY_PAGE_UP;
    case KEY_NPAGE:
        return TOP_KEY_PAGE_DOWN;
    case KEY_HOME:
        return TOP_KEY_HOME;
    case KEY_END:
        return TOP_KEY_END;
    case KEY_RESIZE:
        return TOP_KEY_RESIZE;
    default:
        return TOP_KEY_OTHER;
    }
}
