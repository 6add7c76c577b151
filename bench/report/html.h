/*
 * html - text into a page, so that nothing of it is taken for markup.
 */
#ifndef BENCH_HTML_H
#define BENCH_HTML_H

#include <volley/base.h>

#include <stdio.h>

/* Writes UTF-8 as character data or as the value of a quoted attribute: & < > " ' become
 * references, control characters other than tab and newline U+FFFD. */
void bench_html_text(FILE *out, const char *text);
/* Writes `format` as it stands but for %s, whose text is escaped, %u, and %%: it knows no others.
 */
void bench_html(FILE *out, const char *format, ...) VLY_PRINTF(2, 3);

#endif
