/*
 * html - text into a page, so that nothing of it is taken for markup.
 *
 * Markup is in the formats, data in their arguments: what is escaped cannot be forgotten.
 */
#include "bench/report/html.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

static const char *reference(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\t':
    case '\n':
        return NULL;
    default:
        return (unsigned char)c < 0x20 || c == 0x7f ? "\xef\xbf\xbd" : NULL;
    }
}

void bench_html_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const char *as = reference(*text);
        if (as != NULL)
            (void)fputs(as, out);
        else
            (void)fputc(*text, out);
    }
}

void bench_html(FILE *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    while (*format != '\0') {
        size_t plain = strcspn(format, "%");
        (void)fwrite(format, 1, plain, out);
        format += plain;
        if (*format == '\0')
            break;
        format++;
        assert(*format == 's' || *format == 'u' || *format == '%');
        if (*format == 's')
            bench_html_text(out, va_arg(args, const char *));
        else if (*format == 'u')
            (void)fprintf(out, "%u", va_arg(args, unsigned));
        else
            (void)fputc('%', out);
        format++;
    }
    va_end(args);
}
