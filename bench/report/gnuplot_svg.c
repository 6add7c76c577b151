/*
 * gnuplot_svg - gnuplot's SVG document as an element of a page.
 *
 * Works on tags, in one pass: what stands between tags is text that gnuplot escaped, and is copied.
 * gnuplot 5.4 writes a group for each change of ink, most of them empty: those are left out, which
 * halves a page.
 */
#include "bench/report/gnuplot.h"
#include "bench/report/html.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct svg {
    FILE *out;
    unsigned nth;
    const char *title;
};

/* A tag from '<' to '>'. */
struct tag {
    const char *p;
    size_t len;
};

static bool tag_is(struct tag tag, const char *name)
{
    size_t len = strlen(name);

    return tag.len > len + 1 && strncmp(tag.p + 1, name, len) == 0 &&
           (isspace((unsigned char)tag.p[len + 1]) || tag.p[len + 1] == '>' ||
            tag.p[len + 1] == '/');
}

/* ---- attributes ---- */

struct attribute {
    char name[32];
    const char *value; /* without its quotes */
    size_t len;
};

/* The next one from *p on; false when the tag ends. */
static bool attribute_next(const char **p, const char *end, struct attribute *out)
{
    const char *at = *p;
    const char *close;
    size_t n = 0;

    while (at < end && (isspace((unsigned char)*at) || *at == '/'))
        at++;
    while (at < end && (isalnum((unsigned char)*at) || *at == '-' || *at == ':')) {
        if (n + 1 < sizeof(out->name))
            out->name[n++] = *at;
        at++;
    }
    out->name[n] = '\0';
    while (at < end && (isspace((unsigned char)*at) || *at == '='))
        at++;
    if (n == 0 || at >= end || (*at != '"' && *at != '\''))
        return false;
    close = memchr(at + 1, *at, (size_t)(end - at - 1));
    if (close == NULL)
        return false;
    out->value = at + 1;
    out->len = (size_t)(close - out->value);
    *p = close + 1;
    return true;
}

static bool value_is(const struct attribute *a, const char *text)
{
    return a->len == strlen(text) && memcmp(a->value, text, a->len) == 0;
}

/* "rgb(  0, 114, 178)"; false when it is none. */
static bool rgb_of(const struct attribute *a, unsigned out[3])
{
    char copy[32];
    char *p = copy + 4;

    if (a->len < 5 || a->len >= sizeof(copy) || strncmp(a->value, "rgb(", 4) != 0)
        return false;
    memcpy(copy, a->value, a->len);
    copy[a->len] = '\0';
    for (int i = 0; i < 3; i++) {
        char *end;
        out[i] = (unsigned)strtoul(p, &end, 10) & 0xff;
        if (end == p)
            return false;
        p = end + 1;
    }
    return true;
}

static bool is_colour_name(const char *name)
{
    return strcmp(name, "stroke") == 0 || strcmp(name, "fill") == 0 || strcmp(name, "color") == 0;
}

static void attribute_write(const struct svg *svg, const struct attribute *a)
{
    bool is_link = strcmp(a->name, "xlink:href") == 0 || strcmp(a->name, "href") == 0;
    unsigned rgb[3];

    if (strcmp(a->name, "color") == 0 && !rgb_of(a, rgb)) /* the page's ink is inherited */
        return;
    if (strncmp(a->name, "font-family", 11) == 0 || strncmp(a->name, "xmlns", 5) == 0)
        return;
    if (strcmp(a->name, "id") == 0)
        (void)fprintf(svg->out, " id='chart-%u-%.*s'", svg->nth, (int)a->len, a->value);
    else if (is_link && a->len > 0 && a->value[0] == '#')
        (void)fprintf(svg->out, " href='#chart-%u-%.*s'", svg->nth, (int)a->len - 1, a->value + 1);
    else if (is_colour_name(a->name) && rgb_of(a, rgb) && rgb[0] + rgb[1] + rgb[2] > 0)
        (void)fprintf(svg->out, " %s='#%02x%02x%02x'", a->name, rgb[0], rgb[1], rgb[2]);
    else if (is_colour_name(a->name) && (value_is(a, "black") || rgb_of(a, rgb)))
        (void)fprintf(svg->out, " %s='currentColor'", a->name);
    else
        (void)fprintf(svg->out, " %s='%.*s'", a->name, (int)a->len, a->value);
}

/* ---- tags ---- */

static void tag_write(const struct svg *svg, struct tag tag)
{
    const char *end = tag.p + tag.len - 1; /* its '>' */
    const char *p = tag.p + 1;
    struct attribute a;

    while (p < end && !isspace((unsigned char)*p) && (*p != '/' || p == tag.p + 1))
        p++;
    (void)fwrite(tag.p, 1, (size_t)(p - tag.p), svg->out);
    while (attribute_next(&p, end, &a))
        attribute_write(svg, &a);
    (void)fputs(end[-1] == '/' ? "/>" : ">", svg->out);
}

/* The whole of it is left out: gnuplot's own title of a series, filters that nothing uses. */
static bool is_dropped(struct tag tag)
{
    return tag_is(tag, "title") || tag_is(tag, "desc") || tag_is(tag, "filter") ||
           tag_is(tag, "script");
}

static const char *skip_element(struct tag tag)
{
    const char *end = tag.p + tag.len;
    char closing[16] = "</";

    for (size_t i = 2, k = 1; i + 2 < sizeof(closing) && isalpha((unsigned char)tag.p[k]); i++, k++)
        closing[i] = tag.p[k];
    end = strstr(end, closing);
    end = end != NULL ? strchr(end, '>') : NULL;
    return end != NULL ? end + 1 : "";
}

/* Where it goes on when the tag opens a group with nothing in it; else NULL. */
static const char *skip_empty_group(struct tag tag)
{
    const char *after = tag.p + tag.len;

    if (!tag_is(tag, "g"))
        return NULL;
    after += strspn(after, " \t\r\n");
    return strncmp(after, "</g>", 4) == 0 ? after + 4 : NULL;
}

/* The root, without the size that the document had. */
static void root_write(const struct svg *svg, struct tag tag)
{
    const char *p = tag.p + 4, *end = tag.p + tag.len - 1;
    struct attribute a;

    bench_html(svg->out, "<svg class=\"chart\" role=\"img\" aria-label=\"%s\"", svg->title);
    while (attribute_next(&p, end, &a))
        if (strcmp(a.name, "viewBox") == 0)
            attribute_write(svg, &a);
    bench_html(svg->out, ">\n<title>%s</title>\n", svg->title);
}

static bool convert(const struct svg *svg, const char *p)
{
    while (*p != '\0') {
        size_t blanks = strspn(p, " \t\r\n"), plain = strcspn(p, "<");
        struct tag tag = {p + plain, 0};
        const char *close = strchr(tag.p, '>'), *skipped;
        if (blanks < plain) /* text; what only indents is left out */
            (void)fwrite(p, 1, plain, svg->out);
        if (*tag.p == '\0')
            break;
        if (close == NULL)
            return false;
        tag.len = (size_t)(close + 1 - tag.p);
        skipped = is_dropped(tag) ? skip_element(tag) : skip_empty_group(tag);
        if (skipped == NULL && tag_is(tag, "svg"))
            root_write(svg, tag);
        else if (skipped == NULL && tag.p[1] != '?' && tag.p[1] != '!')
            tag_write(svg, tag);
        p = skipped != NULL ? skipped : close + 1;
    }
    return true;
}

char *bench_svg_inline(const char *text, unsigned nth, const char *title)
{
    struct svg svg = {.nth = nth, .title = title};
    const char *root = strstr(text, "<svg");
    char *out = NULL;
    size_t len = 0;
    bool done;

    if (root == NULL || strstr(root, "</svg>") == NULL)
        return NULL;
    svg.out = open_memstream(&out, &len);
    if (svg.out == NULL)
        return NULL;
    done = convert(&svg, root);
    (void)fputc('\n', svg.out);
    done &= ferror(svg.out) == 0;
    done &= fclose(svg.out) == 0;
    if (done)
        return out;
    free(out);
    return NULL;
}
