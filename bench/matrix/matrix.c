/*
 * matrix - a matrix file from disk, its end, and what follows from its numbers.
 */
#include "bench/matrix/matrix.h"

#include "file/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole file with a NUL, owned by the caller; NULL with the reason in *out_err. */
static char *read_all(const char *path, int *out_err)
{
    FILE *f = fopen(path, "re");
    char *text = malloc(BENCH_TEXT_MAX + 1);
    size_t len = 0;

    *out_err = 0;
    if (text == NULL)
        *out_err = VLY_E_NOMEM;
    else if (f == NULL)
        *out_err = errno == ENOENT ? VLY_E_NOT_FOUND : VLY_E_IO;
    if (*out_err == 0) {
        len = fread(text, 1, BENCH_TEXT_MAX + 1, f);
        if (ferror(f) != 0)
            *out_err = VLY_E_IO;
        else if (len > BENCH_TEXT_MAX)
            *out_err = VLY_E_LIMIT;
        else if (memchr(text, '\0', len) != NULL)
            *out_err = VLY_E_MALFORMED;
    }
    if (f != NULL)
        (void)fclose(f);
    if (*out_err != 0) {
        free(text);
        return NULL;
    }
    text[len] = '\0';
    return text;
}

int bench_matrix_load(struct bench_matrix *out, const char *path, char why[BENCH_WHY_BYTES])
{
    int err;
    char *text = read_all(path, &err);

    if (text == NULL) {
        *out = (struct bench_matrix){0};
        (void)snprintf(why, BENCH_WHY_BYTES, "%.100s: %s", vly_shown(path).text,
                       err == VLY_E_LIMIT       ? "is too long for a matrix file"
                       : err == VLY_E_MALFORMED ? "is no text"
                       : err == VLY_E_IO        ? strerror(errno)
                                                : vly_err_text(err));
        return err;
    }
    err = bench_matrix_parse(out, path, text, why);
    free(text);
    return err;
}

void bench_matrix_fini(struct bench_matrix *m)
{
    free(m->directory);
    free(m->links);
    free(m->rows);
    free(m->text);
    *m = (struct bench_matrix){0};
}

uint64_t bench_matrix_seed(const struct bench_matrix *m, unsigned round)
{
    return m->seed + round;
}

uint64_t bench_matrix_timeout_ns(const struct bench_matrix *m, const struct bench_row *row)
{
    return vly_time_add(m->timeout_ns, row->duration_ns + row->warmup_ns);
}
