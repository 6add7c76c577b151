#include "support/sink_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void on_ready(void *ctx)
{
    ((struct sink_fixture *)ctx)->ready++;
}

static void on_consumed(void *ctx, uint64_t bytes)
{
    ((struct sink_fixture *)ctx)->consumed += bytes;
}

static void on_finished(void *ctx, const struct vly_fault *why)
{
    struct sink_fixture *f = ctx;

    f->finished++;
    f->result.err = 0;
    if (why != NULL)
        f->result = *why;
}

static const struct vly_sink_events events = {
    .on_ready = on_ready, .on_consumed = on_consumed, .on_finished = on_finished};

static const struct vly_link_events no_events;

void sink_begin(struct sink_fixture *f, void **state, size_t size)
{
    *f = (struct sink_fixture){.dir = *state, .budget = {.left_bytes = 4 * MIB}};
    f->pair = fake_pair_new(&(struct fake_options){0});
    fake_pair_link(f->pair, FAKE_CLIENT)->events = &no_events;
    f->jobs.link = fake_pair_link(f->pair, FAKE_CLIENT);
    f->spec = (struct vly_sink_spec){.events = &events,
                                     .ctx = f,
                                     .jobs = &f->jobs,
                                     .budget = &f->budget,
                                     .name = "target",
                                     .size_bytes = size,
                                     .mode = 0640,
                                     .mtime_ns = INT64_C(1234567890123456789)};
}

int sink_open(struct sink_fixture *f)
{
    f->spec.dir_fd = open(tmpdir_at(f->dir, ""), O_RDONLY | O_DIRECTORY);
    assert_true(f->spec.dir_fd >= 0);
    return vly_sink_open_file(&f->sink, &f->spec, &f->why);
}

void sink_run_jobs(struct sink_fixture *f)
{
    while (fake_step_job(f->pair))
        ;
}

void sink_end(struct sink_fixture *f, bool kept)
{
    vly_sink_close(f->sink);
    sink_run_jobs(f);
    assert_int_equal(f->jobs.running, 0);
    assert_int_equal(f->budget.left_bytes, 4 * MIB);
    assert_int_equal(tmpdir_count_temps(f->dir), 0);
    assert_int_equal(tmpdir_exists(f->dir, "target"), kept);
    fake_pair_free(f->pair);
}

uint8_t *sink_content(size_t len, uint64_t seed)
{
    uint8_t *data = malloc(len + 1);
    struct vly_prng p;

    assert_non_null(data);
    vly_prng_init(&p, seed);
    vly_prng_fill(&p, data, len);
    return data;
}

int sink_write_at(struct sink_fixture *f, const uint8_t *data, size_t offset, size_t len)
{
    return vly_sink_write(f->sink, offset, (struct vly_span){.data = data + offset, .len = len},
                          &f->why);
}

struct vly_sink_end sink_end_of(const uint8_t *data, size_t len)
{
    struct vly_sink_end e = {.size_bytes = len};
    struct vly_hash h;

    vly_hash_init(&h);
    assert_int_equal(vly_hash_update(&h, (struct vly_span){.data = data, .len = len}), 0);
    assert_int_equal(vly_hash_end(&h), 0);
    assert_int_equal(vly_hash_root(&h, e.root), 0);
    vly_hash_fini(&h);
    return e;
}

void sink_finish(struct sink_fixture *f, const uint8_t *data, size_t len)
{
    struct vly_sink_end e = sink_end_of(data, len);

    vly_sink_finish(f->sink, &e);
    sink_run_jobs(f);
    assert_int_equal(f->finished, 1);
}

void sink_assert_target(const struct sink_fixture *f, const uint8_t *data, size_t len)
{
    size_t got_len;
    char *got = tmpdir_read(f->dir, "target", &got_len);

    assert_int_equal(got_len, len);
    assert_memory_equal(got, data, len);
    free(got);
}

void sink_write_shuffled(struct sink_fixture *f, const uint8_t *data, size_t len, size_t piece,
                         size_t window, uint64_t seed)
{
    size_t n = (len + piece - 1) / piece;
    size_t *order = malloc((n + 1) * sizeof *order);
    struct vly_prng p;

    vly_prng_init(&p, seed);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = 0; i < n && window > 1; i++) {
        size_t k = i + (size_t)vly_prng_below(&p, window < n - i ? window : n - i);
        size_t swap = order[i];

        order[i] = order[k];
        order[k] = swap;
    }
    for (size_t i = 0; i < n; i++) {
        size_t offset = order[i] * piece;

        assert_int_equal(
            sink_write_at(f, data, offset, len - offset < piece ? len - offset : piece), 0);
        if (vly_prng_below(&p, 1 + MIB / 4 / piece) == 0)
            fake_step_job(f->pair);
    }
    free(order);
    assert_int_equal(f->consumed + f->sink->owed_bytes, len);
}
