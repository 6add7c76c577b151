/*
 * report_page - a result as one HTML page: head, groups with their tables and charts, the rest.
 */
#include "bench/report/html.h"
#include "bench/report/report.h"
#include "bench/report/report_text.h"

#include <string.h>

#define NAV_GROUPS 3 /* more than these get a list of links at the top */

static const char *environment_text(const struct bench_report *r, const char *key)
{
    const char *text = json_string_value(json_object_get(r->environment, key));

    return text != NULL && text[0] != '\0' ? text : "–";
}

/* ---- head ---- */

static void head(FILE *out, const struct bench_report *r)
{
    bench_html(out,
               "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
               "<title>%s - volley bench</title>\n"
               "<link rel=\"icon\" href=\"data:,\">\n<style>\n",
               r->name);
    bench_report_style(out);
    bench_html(out, "</style>\n</head>\n<body>\n<main>\n");
}

static void notices(FILE *out, const struct bench_report *r)
{
    unsigned failed = 0, partly = 0;

    for (size_t i = 0; i < r->n_rows; i++) {
        failed += bench_row_failed(&r->rows[i]);
        partly += !bench_row_failed(&r->rows[i]) && r->rows[i].n_good < r->rows[i].n_samples;
    }
    if (!r->finished)
        bench_html(out,
                   "<p class=\"notice bad\" role=\"note\"><strong>Unfinished.</strong> The run "
                   "was interrupted or is under way: figures may change, and rows may be "
                   "missing. Running the same matrix again continues it.</p>\n");
    if (r->n_rows == 0)
        bench_html(out, "<p class=\"notice bad\" role=\"note\">The result has no rows.</p>\n");
    if (failed > 0)
        bench_html(
            out,
            "<p class=\"notice\" role=\"note\"><strong>%u of %u rows failed</strong> and have "
            "no figures; the tables say why.</p>\n",
            failed, (unsigned)r->n_rows);
    if (partly > 0)
        bench_html(out,
                   "<p class=\"notice\" role=\"note\"><strong>Single samples of %u rows "
                   "failed</strong> and are left out of their figures; the tables say why.</p>\n",
                   partly);
}

static void versions(FILE *out, const struct bench_report *r)
{
    const char *key, *separator = "";
    json_t *value;

    json_object_foreach(json_object_get(r->environment, "versions"), key, value)
    {
        const char *text = json_string_value(value);
        bench_html(out, "%s%s %s", separator, key, text != NULL ? text : "");
        separator = ", ";
    }
}

static void facts(FILE *out, const struct bench_report *r)
{
    const json_t *memory = json_object_get(r->environment, "memory_bytes");
    uint64_t cores = (uint64_t)json_integer_value(json_object_get(r->environment, "cores"));
    uint64_t memory_bytes =
        json_is_integer(memory) ? (uint64_t)json_integer_value(memory) : BENCH_UNKNOWN;

    bench_html(out, "<dl>\n<dt>When</dt><dd><time datetime=\"%s\">%s</time></dd>\n", r->created,
               r->created);
    bench_html(out, "<dt>Machine</dt><dd>%s, %s, %s %s, %s of memory</dd>\n",
               environment_text(r, "cpu"), environment_text(r, "machine"),
               bench_text_count(cores).s, cores == 1 ? "core" : "cores",
               bench_text_bytes(memory_bytes).s);
    bench_html(out, "<dt>Kernel</dt><dd>%s; TCP's default is %s</dd>\n",
               environment_text(r, "kernel"),
               environment_text(r, "tcp_congestion_control_default"));
    bench_html(out, "<dt>Versions</dt><dd>");
    versions(out, r);
    bench_html(out, "</dd>\n<dt>Commit</dt><dd>%s</dd>\n</dl>\n", environment_text(r, "commit"));
}

static void header(FILE *out, const struct bench_report *r)
{
    bench_html(out, "<header>\n<h1>%s</h1>\n", r->name[0] != '\0' ? r->name : "Result");
    if (r->sentence[0] != '\0')
        bench_html(out, "<p class=\"lead\">%s</p>\n", r->sentence);
    else
        bench_html(out, "<p class=\"lead\">There is no conclusion yet.</p>\n");
    notices(out, r);
    facts(out, r);
    bench_html(out, "</header>\n");
}

/* ---- charts ---- */

static void figure(FILE *out, const struct bench_chart *chart, const char *svg)
{
    bench_html(out, "<figure>\n");
    (void)fputs(svg, out); /* made by us, its texts escaped by gnuplot */
    bench_html(out, "<figcaption>%s</figcaption>\n</figure>\n", chart->caption);
}

static bool belongs(const struct bench_chart *chart, const struct bench_report_link *link,
                    const char *kind)
{
    if (chart->link != link)
        return false;
    return link == NULL || strcmp(chart->row_kind, kind) == 0;
}

/* The charts of a group; those of all links when `link` is NULL. */
static void figures(FILE *out, const struct bench_report_pictures *p,
                    const struct bench_report_link *link, const char *kind)
{
    bool begun = false;

    for (size_t i = 0; p->svg != NULL && i < p->charts->n; i++) {
        if (!belongs(p->charts->at[i], link, kind))
            continue;
        if (!begun)
            bench_html(out, link != NULL ? "<div class=\"figures packed\">\n"
                                         : "<div class=\"figures\">\n");
        begun = true;
        figure(out, p->charts->at[i], p->svg[i]);
    }
    if (begun)
        bench_html(out, "</div>\n");
}

static bool has_sweeps(const struct bench_report_pictures *p)
{
    for (size_t i = 0; p->svg != NULL && i < p->charts->n; i++)
        if (p->charts->at[i]->link == NULL)
            return true;
    return false;
}

/* ---- groups ---- */

static bool link_has_rows(const struct bench_report *r, const struct bench_report_link *link)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i].link == link)
            return true;
    return false;
}

static void nav(FILE *out, const struct bench_report *r, const struct bench_report_pictures *p)
{
    if (r->n_links <= NAV_GROUPS)
        return;
    bench_html(out, "<nav aria-label=\"Parts of this page\"><ul>\n");
    if (has_sweeps(p))
        bench_html(out, "<li><a href=\"#sweeps\">Across the links</a></li>\n");
    for (size_t i = 0; i < r->n_links; i++)
        if (link_has_rows(r, &r->links[i]))
            bench_html(out, "<li><a href=\"#link-%u\">%s</a></li>\n", (unsigned)i,
                       r->links[i].name);
    bench_html(out, "<li><a href=\"#conditions\">Conditions</a></li>\n"
                    "<li><a href=\"#reading\">How to read this</a></li>\n</ul></nav>\n");
}

static void sweeps(FILE *out, const struct bench_report_pictures *p)
{
    if (!has_sweeps(p))
        return;
    bench_html(out, "<section aria-labelledby=\"sweeps\">\n"
                    "<h2 id=\"sweeps\">Across the links</h2>\n"
                    "<p class=\"soft\">What loss and distance do to each row, the rest of the link "
                    "being equal.</p>\n");
    figures(out, p, NULL, "");
    bench_html(out, "</section>\n");
}

static void link_section(FILE *out, const struct bench_report *r,
                         const struct bench_report_pictures *p, unsigned nth)
{
    const struct bench_report_link *link = &r->links[nth];

    if (!link_has_rows(r, link))
        return;
    bench_html(out,
               "<section aria-labelledby=\"link-%u\">\n<h2 id=\"link-%u\">%s</h2>\n"
               "<p class=\"soft\">%s</p>\n",
               nth, nth, link->name, bench_text_link(link).s);
    for (size_t i = 0; i < r->n_rows; i++) {
        const char *kind = r->rows[i].link == link ? bench_report_group(r, i) : NULL;
        if (kind == NULL)
            continue;
        bench_html(out, "<h3>%s</h3>\n", bench_text_kind(kind));
        bench_report_table(out, r, link, kind);
        figures(out, p, link, kind);
    }
    bench_html(out, "</section>\n");
}

static void reading(FILE *out)
{
    bench_html(
        out,
        "<section aria-labelledby=\"reading\">\n<h2 id=\"reading\">How to read this</h2>\n"
        "<p>Goodput is payload counted where it arrived. A figure is the median of a row's "
        "samples; "
        "below it stands its 95 %% bootstrap interval. The ratio compares samples of the same "
        "round "
        "with the fastest plain TCP of the same link and kind: above 1 is faster. CPU-seconds per "
        "GB are those of both ends together for 10<sup>9</sup> bytes; MiB are the most memory that "
        "either end held. \"Sent again\" counts "
        "retransmitted packets or segments. A dash is a figure that is not "
        "known.</p>\n</section>\n");
}

void bench_report_page(FILE *out, const struct bench_report *r,
                       const struct bench_report_pictures *pictures)
{
    head(out, r);
    header(out, r);
    if (pictures->svg == NULL && pictures->why_none != NULL)
        bench_html(out, "<p class=\"notice\" role=\"note\"><strong>No charts.</strong> %s</p>\n",
                   pictures->why_none);
    nav(out, r, pictures);
    sweeps(out, pictures);
    for (unsigned i = 0; i < r->n_links; i++)
        link_section(out, r, pictures, i);
    bench_report_conditions(out, r);
    reading(out);
    bench_html(out, "<footer>Made by volley bench report.</footer>\n</main>\n</body>\n</html>\n");
}
