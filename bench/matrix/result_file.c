/*
 * result_file - a result from its file and into it.
 *
 * Real numbers have 12 digits: what was read and is written again is the same text, so that the
 * samples of an interrupted run stay as they were.
 */
#include "bench/matrix/result.h"

#include "file/path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DUMP_FLAGS (JSON_INDENT(1) | JSON_REAL_PRECISION(12))

static int say(char why[BENCH_WHY_BYTES], int err, const char *path, const char *what)
{
    (void)snprintf(why, BENCH_WHY_BYTES, "%.100s: %.140s", vly_shown(path).text,
                   vly_shown(what).text);
    return err;
}

static bool is_sample(const json_t *sample)
{
    struct bench_sample s;
    int err;

    bench_sample_init(&s);
    err = bench_sample_from_json(&s, sample);
    bench_sample_fini(&s);
    return err == 0 && json_is_integer(json_object_get(sample, "round"));
}

static bool is_row(const json_t *row)
{
    static const char *const texts[] = {"id", "link", "kind", "protocol", "cc"};
    const json_t *samples = json_object_get(row, "samples");

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!json_is_string(json_object_get(row, texts[i])))
            return false;
    if (!json_is_array(samples) || !json_is_object(json_object_get(row, "summary")) ||
        !json_is_object(json_object_get(row, "error")))
        return false;
    for (size_t i = 0; i < json_array_size(samples); i++)
        if (!is_sample(json_array_get(samples, i)))
            return false;
    return true;
}

static bool is_result(const json_t *doc)
{
    if (!json_is_string(json_object_get(doc, "config")) ||
        !json_is_object(json_object_get(doc, "environment")) ||
        !json_is_array(json_object_get(doc, "rows")) ||
        !json_is_array(json_object_get(doc, "links")))
        return false;
    for (size_t i = 0; i < bench_result_rows(doc); i++)
        if (!is_row(bench_result_row(doc, i)))
            return false;
    return true;
}

int bench_result_load(json_t **out, const char *path, char why[BENCH_WHY_BYTES])
{
    FILE *f = fopen(path, "re");
    json_error_t error;
    const char *schema;

    *out = NULL;
    if (f == NULL)
        return say(why, errno == ENOENT ? VLY_E_NOT_FOUND : VLY_E_IO, path, strerror(errno));
    *out = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
    (void)fclose(f);
    schema = bench_result_text(*out, "schema");
    if (*out != NULL && strcmp(schema, BENCH_RESULT_SCHEMA) == 0 && is_result(*out))
        return 0;
    if (*out == NULL) {
        char what[JSON_ERROR_TEXT_LENGTH + 64];
        (void)snprintf(what, sizeof(what), "is no JSON: line %d: %s", error.line, error.text);
        return say(why, VLY_E_MALFORMED, path, what);
    }
    if (strncmp(schema, "volley-bench-result/", 20) == 0 &&
        strcmp(schema, BENCH_RESULT_SCHEMA) != 0) {
        (void)say(why, 0, path,
                  "is a result of another version; this program reads " BENCH_RESULT_SCHEMA);
        json_decref(*out);
        *out = NULL;
        return VLY_E_VERSION;
    }
    json_decref(*out);
    *out = NULL;
    return say(why, VLY_E_MALFORMED, path, "is no result of volley bench");
}

static int write_all(const json_t *doc, const char *path)
{
    FILE *f = fopen(path, "we");
    bool failed;

    if (f == NULL)
        return errno;
    errno = 0;
    failed = json_dumpf(doc, f, DUMP_FLAGS) != 0 || fputc('\n', f) == EOF || fflush(f) != 0 ||
             (fsync(fileno(f)) != 0 && errno != EINVAL); /* a device has nothing to keep */
    if (failed) {
        int err = errno != 0 ? errno : ENOMEM;
        (void)fclose(f);
        return err;
    }
    return fclose(f) != 0 ? errno : 0;
}

/* A device or pipe is written to, never replaced. */
static bool is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int write_beside(const json_t *doc, const char *path)
{
    char part[PATH_MAX];
    int len = snprintf(part, sizeof(part), "%s.part", path);
    int err;

    if (len < 0 || (size_t)len >= sizeof(part))
        return ENAMETOOLONG;
    err = write_all(doc, part);
    if (err == 0 && rename(part, path) != 0)
        err = errno;
    if (err != 0)
        (void)unlink(part);
    return err;
}

int bench_result_save(const json_t *doc, const char *path, char why[BENCH_WHY_BYTES])
{
    int err = is_special(path) ? write_all(doc, path) : write_beside(doc, path);

    if (err == 0)
        return 0;
    return say(why,
               err == ENOSPC   ? VLY_E_NO_SPACE
               : err == ENOMEM ? VLY_E_NOMEM
                               : VLY_E_IO,
               path, strerror(err));
}

void bench_result_print(const json_t *doc)
{
    (void)json_dumpf(doc, stdout, DUMP_FLAGS);
    (void)putchar('\n');
}
