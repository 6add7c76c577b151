/*
 * A matrix file of arbitrary bytes: it is refused with one printable line, or its rows have unique
 * names, stand in groups, and have something to do.
 */
#include "fuzz.h"

#include "bench/matrix/matrix.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_line(const char *why)
{
    require(why[0] != '\0' && strlen(why) < BENCH_WHY_BYTES);
    for (const char *c = why; *c != '\0'; c++)
        require((uint8_t)*c >= 0x20 && *c != 0x7f);
}

static void check(const struct bench_matrix *m)
{
    require(m->n_links > 0 && m->n_links <= BENCH_LINKS_MAX);
    require(m->n_rows > 0 && m->n_rows <= BENCH_ROWS_MAX);
    require(m->rounds_min >= 1 && m->rounds_min <= m->rounds_max);
    for (size_t i = 0; i < m->n_rows; i++) {
        const struct bench_matrix_row *row = &m->rows[i];
        require(row->link < m->n_links && row->group < m->n_groups);
        require(row->row.bytes > 0 || row->row.duration_ns > 0);
        require(i == 0 || row->group == m->rows[i - 1].group ||
                row->group == m->rows[i - 1].group + 1);
        for (size_t k = i > 64 ? i - 64 : 0; k < i; k++)
            require(strcmp(row->id, m->rows[k].id) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), why[BENCH_WHY_BYTES] = "";
    struct bench_matrix m;
    int err;

    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    err = bench_matrix_parse(&m, "fuzz.conf", text, why);
    if (err == 0)
        check(&m);
    else
        check_line(why);
    require(err == 0 || err == VLY_E_INVALID || err == VLY_E_NOMEM);
    bench_matrix_fini(&m);
    free(text);
    return 0;
}
