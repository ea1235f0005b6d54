/*
 * A file that a program carries along. At the top level of a .c file:
 *
 *     CARRY(broker_page_css, "broker/page/page.css");
 *
 * defines broker_page_css[], the file's bytes with a NUL behind them, which is where broker_page_css_end[]
 * begins. The path is looked up from the root of the source, where make runs. A makefile that makes
 * the object again when the file changes is the caller's to have.
 */
#ifndef SLUICE_BASE_CARRY_H
#define SLUICE_BASE_CARRY_H

#define CARRY(symbol, path)                                                                        \
    __asm__(".section .rodata\n" #symbol ":\n.incbin \"" path "\"\n" #symbol "_end:\n.byte 0\n"    \
            ".previous\n");                                                                        \
    extern const char symbol[], symbol##_end[]

#endif
