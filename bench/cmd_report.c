/*
 * cmd_report - volley bench report: a result as a page, as CSV and as pictures.
 */
#include "bench/bench.h"
#include "bench/report/csv.h"
#include "bench/report/gnuplot.h"
#include "bench/report/report.h"
#include "file/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES 4096

struct report_args {
    const char *page, *csv, *png;
};

static const struct vly_opt report_opts[] = {
    {"output", 'o', VLY_OPT_TEXT, offsetof(struct report_args, page), "FILE",
     "write the page to it", 0, 0},
    {"csv", 0, VLY_OPT_TEXT, offsetof(struct report_args, csv), "FILE",
     "write a line for every sample to it", 0, 0},
    {"png", 0, VLY_OPT_TEXT, offsetof(struct report_args, png), "DIR",
     "write every chart to it as a picture on white, 1600 pixels wide; needs gnuplot", 0, 0},
};

static const struct vly_opt_set report_set = {
    .command = "bench report",
    .usage = "RESULT.json [-o FILE] [--csv FILE] [--png DIR]",
    .about =
        "Makes a web page of a result: tables, charts, and how it was measured. The page is one\n"
        "file that needs no network. Charts are drawn by gnuplot (Debian: gnuplot-nox).\n\n"
        "Example:\n"
        "  volley bench report result.json -o report.html --csv result.csv\n",
    .groups = {{"Options", report_opts, sizeof(report_opts) / sizeof(report_opts[0])}},
};

static const struct vly_cli cli = {.command = "bench report"};

static int write_refuse(const char *path, int saved_errno)
{
    int err = VLY_E_IO;

    if (saved_errno == ENOENT || saved_errno == ENOTDIR)
        err = VLY_E_NOT_FOUND;
    else if (saved_errno == EACCES || saved_errno == EROFS || saved_errno == EPERM)
        err = VLY_E_PERMISSION;
    else if (saved_errno == EISDIR)
        err = VLY_E_IS_DIRECTORY;
    else if (saved_errno == ENOSPC || saved_errno == EDQUOT)
        err = VLY_E_NO_SPACE;
    return vly_cli_fail(&cli, err, "cannot write %s: %s", vly_shown(path).text,
                        strerror(saved_errno));
}

/* Ends the writing of `path`. Returns an exit code. */
static int file_close(FILE *file, const char *path)
{
    bool failed = ferror(file) != 0;
    int saved_errno = errno;

    if (fclose(file) != 0 && !failed) {
        failed = true;
        saved_errno = errno;
    }
    return failed ? write_refuse(path, saved_errno) : VLY_EXIT_OK;
}

static int csv_make(const struct bench_report *r, const char *path)
{
    FILE *file = fopen(path, "we");

    if (file == NULL)
        return write_refuse(path, errno);
    bench_csv_write(file, r);
    return file_close(file, path);
}

/* ---- the page ---- */

static int page_write(const struct bench_report *r, const struct bench_report_pictures *pictures,
                      const char *path)
{
    FILE *file = fopen(path, "we");

    if (file == NULL)
        return write_refuse(path, errno);
    bench_report_page(file, r, pictures);
    return file_close(file, path);
}

/* Draws the charts and makes them fit for a page; NULL when that failed, with a line in `why`. */
static char **svgs_make(const struct bench_charts *charts, char why[BENCH_WHY_BYTES])
{
    struct bench_picture *pictures = NULL;
    char **svg = NULL;
    int err = bench_gnuplot_draw(&pictures, charts, BENCH_SVG, why);
    bool bad = false;

    if (err != 0)
        return NULL;
    svg = calloc(charts->n + 1, sizeof(*svg));
    for (size_t i = 0; svg != NULL && i < charts->n; i++) {
        svg[i] = bench_svg_inline(pictures[i].data, (unsigned)i, charts->at[i]->title);
        bad |= svg[i] == NULL;
    }
    bench_pictures_free(pictures, charts->n);
    if (svg != NULL && !bad)
        return svg;
    (void)snprintf(why, BENCH_WHY_BYTES, "gnuplot's pictures cannot be used");
    for (size_t i = 0; svg != NULL && i < charts->n; i++)
        free(svg[i]);
    free(svg);
    return NULL;
}

static int page_make(const struct bench_report *r, const struct bench_charts *charts,
                     const char *path)
{
    struct bench_report_pictures pictures = {.charts = charts};
    char why[BENCH_WHY_BYTES];
    char **svg = NULL;
    int code;

    if (charts->n > 0) {
        svg = svgs_make(charts, why);
        if (svg == NULL) {
            vly_cli_say(&cli, "the page has no charts: %s", why);
            pictures.why_none = why;
        }
    }
    pictures.svg = svg;
    code = page_write(r, &pictures, path);
    for (size_t i = 0; svg != NULL && i < charts->n; i++)
        free(svg[i]);
    free(svg);
    return code;
}

/* ---- pictures ---- */

static int png_write(const struct bench_picture *picture, const char *dir, const char *name)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), "%s/%s.png", dir, name);
    FILE *file;

    if (len < 0 || (size_t)len >= sizeof(path))
        return vly_cli_usage(&cli, "the name of the directory is too long");
    file = fopen(path, "we");
    if (file == NULL)
        return write_refuse(path, errno);
    (void)fwrite(picture->data, 1, picture->len, file);
    return file_close(file, path);
}

static int png_make(const struct bench_charts *charts, const char *dir)
{
    struct bench_picture *pictures = NULL;
    char why[BENCH_WHY_BYTES];
    int err, code = VLY_EXIT_OK;

    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return write_refuse(dir, errno);
    if (charts->n == 0) {
        vly_cli_say(&cli, "the result has nothing to draw; no pictures were written");
        return VLY_EXIT_OK;
    }
    err = bench_gnuplot_draw(&pictures, charts, BENCH_PNG, why);
    if (err != 0)
        return vly_cli_fail(&cli, err, "no pictures were written: %s", why);
    for (size_t i = 0; code == VLY_EXIT_OK && i < charts->n; i++)
        code = png_write(&pictures[i], dir, charts->at[i]->name);
    bench_pictures_free(pictures, charts->n);
    return code;
}

static int make(const struct bench_report *r, const struct report_args *args)
{
    struct bench_charts charts;
    int code = VLY_EXIT_OK;

    if (bench_charts_select(&charts, r) != 0) {
        bench_charts_free(&charts);
        return vly_cli_fail(&cli, VLY_E_NOMEM, "there is not enough memory for the charts");
    }
    if (args->csv != NULL)
        code = csv_make(r, args->csv);
    if (code == VLY_EXIT_OK && args->page != NULL)
        code = page_make(r, &charts, args->page);
    if (code == VLY_EXIT_OK && args->png != NULL)
        code = png_make(&charts, args->png);
    bench_charts_free(&charts);
    return code;
}

int bench_cmd_report(int argc, char **argv)
{
    struct report_args args = {.page = NULL};
    struct bench_report report;
    char why[BENCH_WHY_BYTES];
    int code, err;
    int first = vly_opt_parse(&report_set, argc, argv, &args, &code);

    if (first < 0)
        return code;
    if (argc - first != 1)
        return vly_cli_usage(&cli, "takes one RESULT.json, not %d of them", argc - first);
    if (args.page == NULL && args.csv == NULL && args.png == NULL)
        return vly_cli_usage(&cli, "has nothing to write: give -o FILE, --csv FILE or --png DIR");
    err = bench_report_load(&report, argv[first], why);
    if (err != 0)
        return vly_cli_fail(&cli, err, "%s %s", vly_shown(argv[first]).text, why);
    if (!report.finished)
        vly_cli_say(&cli, "%s is unfinished: some figures are missing or will change",
                    vly_shown(argv[first]).text);
    code = make(&report, &args);
    bench_report_free(&report);
    return code;
}
