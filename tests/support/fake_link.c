#include "support/fake_link_internal.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 2000000u

/* ---- steps: each tries one thing, and says whether there was something ---- */

static struct fake_link *reader_of(struct fake_pair *p, unsigned writer)
{
    return &p->link[!writer];
}

/* Opening a stream opens all lower ones, and they are told first. */
static bool step_known(struct fake_pair *p, uint64_t i)
{
    struct fake_link *server = &p->link[FAKE_SERVER];

    if (!p->streams[i].touched)
        return false;
    for (uint64_t k = 0; k <= i; k++) {
        if (p->streams[k].known)
            continue;
        p->streams[k].known = true;
        server->base.events->on_stream(server->base.user, 2 * k);
        return true;
    }
    return false;
}

static bool step_given_up(struct fake_pair *p, uint64_t i, unsigned writer)
{
    struct dir *d = &p->streams[i].dir[writer];
    struct fake_link *reader = reader_of(p, writer), *from = &p->link[writer];

    if (d->stop && !d->stop_told) {
        d->stop_told = true;
        fake_drop_pieces(d);
        if (d->reset)
            return true;
        fake_reset_dir(d, d->stop_code);
        from->base.events->on_stopped(from->base.user, 2 * i, d->stop_code);
        return true;
    }
    if (d->reset && !d->reset_told) {
        d->reset_told = true;
        if (!d->stop)
            reader->base.events->on_reset(reader->base.user, 2 * i, d->reset_code);
        return true;
    }
    return false;
}

/* Takes the piece to deliver: the first, or any. */
static struct piece *take_piece(struct fake_pair *p, struct dir *d)
{
    uint64_t skip = d->any_order ? vly_prng_below(&p->prng, d->n_pieces) : 0;
    struct piece **at = &d->head, *before = NULL, *piece;

    for (; skip > 0; skip--) {
        before = *at;
        at = &before->next;
    }
    piece = *at;
    *at = piece->next;
    if (d->tail == piece)
        d->tail = before;
    d->n_pieces--;
    d->unsent -= piece->len;
    return piece;
}

static bool step_data(struct fake_pair *p, uint64_t i, unsigned writer)
{
    struct dir *d = &p->streams[i].dir[writer];
    struct fake_link *reader = reader_of(p, writer);
    struct piece *piece;

    if (d->reset || d->stop)
        return false;
    if (d->head != NULL) {
        if (d->handed - d->consumed >= p->opt.window_bytes)
            return false;
        piece = take_piece(p, d);
        d->handed += piece->len;
        reader->base.events->on_data(reader->base.user, 2 * i, piece->offset,
                                     (struct vly_span){.data = piece->data, .len = piece->len});
        free(piece);
        return true;
    }
    if (!d->fin || d->end_told)
        return false;
    d->end_told = true;
    reader->base.events->on_end(reader->base.user, 2 * i, d->written);
    return true;
}

static bool step_room(struct fake_pair *p, uint64_t i, unsigned writer)
{
    struct dir *d = &p->streams[i].dir[writer];
    struct fake_link *from = &p->link[writer];

    if (!d->wants_room || d->unsent > p->opt.room_bytes / 2)
        return false;
    d->wants_room = false;
    from->base.events->on_writable(from->base.user, 2 * i);
    return true;
}

static bool step_stream(struct fake_pair *p, uint64_t i)
{
    unsigned first = (unsigned)vly_prng_below(&p->prng, 2);

    if (step_known(p, i))
        return true;
    for (unsigned n = 0; n < 2; n++) {
        unsigned writer = first ^ n;

        if (writer == FAKE_CLIENT && !p->streams[i].known)
            continue;
        if (step_given_up(p, i, writer) || step_data(p, i, writer) || step_room(p, i, writer))
            return true;
    }
    return false;
}

bool fake_step_job(struct fake_pair *p)
{
    struct job *job = p->jobs;

    if (job == NULL)
        return false;
    p->jobs = job->next;
    job->work(job->arg);
    job->done(job->arg);
    free(job);
    return true;
}

static void tell_closed(struct fake_link *f, int err, uint64_t code, const char *reason)
{
    f->base.events->on_closed(f->base.user, err, code, reason);
    f->closed = true;
}

/* The one who closed hears of it, and the other one. */
static bool step_close(struct fake_pair *p)
{
    unsigned first = (unsigned)vly_prng_below(&p->prng, 2);

    for (unsigned n = 0; n < 2; n++) {
        struct fake_link *f = &p->link[first ^ n], *other = &p->link[!(first ^ n)];

        if (f->closed)
            continue;
        if (p->lost) {
            tell_closed(f, p->lost_err, 0, "");
            return true;
        }
        if (f->closing || other->closing) {
            tell_closed(f, f->closing ? 0 : VLY_E_CLOSED, f->closing ? f->code : other->code,
                        f->closing ? f->reason : other->reason);
            return true;
        }
    }
    return false;
}

static bool step_up(struct fake_pair *p)
{
    uint64_t begin = vly_prng_below(&p->prng, p->n_streams + 1);
    struct fake_link *client = &p->link[FAKE_CLIENT];

    if (!p->open_told) {
        p->open_told = true;
        client->base.events->on_open(client->base.user);
        return true;
    }
    if (vly_prng_below(&p->prng, 4) == 0 && fake_step_job(p))
        return true;
    for (uint64_t n = 0; n < p->n_streams; n++)
        if (step_stream(p, (begin + n) % p->n_streams))
            return true;
    if (p->streams_wanted && fake_count_over(p) > p->over) {
        p->streams_wanted = false;
        client->base.events->on_writable(client->base.user, UINT64_MAX);
        return true;
    }
    return fake_step_job(p);
}

bool fake_step(struct fake_pair *p)
{
    p->steps++;
    if (!fake_is_down(p))
        return step_up(p);
    return step_close(p) || fake_step_job(p);
}

void fake_run(struct fake_pair *p)
{
    uint64_t limit = p->steps + STEPS_MAX;

    while (fake_step(p))
        assert_true(p->steps < limit);
}

/* ---- life ---- */

struct fake_pair *fake_pair_new(const struct fake_options *opt)
{
    struct fake_pair *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->opt = *opt;
    p->opt.piece_bytes = opt->piece_bytes != 0 ? opt->piece_bytes : 1200;
    p->opt.room_bytes = opt->room_bytes != 0 ? opt->room_bytes : 64u << 10;
    p->opt.window_bytes = opt->window_bytes != 0 ? opt->window_bytes : 256u << 10;
    p->opt.max_streams = opt->max_streams != 0 ? opt->max_streams : 256;
    vly_prng_init(&p->prng, opt->seed);
    p->streams = calloc(FAKE_STREAMS_MAX, sizeof *p->streams);
    assert_non_null(p->streams);
    for (unsigned side = 0; side < 2; side++) {
        p->link[side].base.ops = &fake_link_ops;
        p->link[side].pair = p;
        p->link[side].side = (enum fake_side)side;
    }
    return p;
}

void fake_pair_free(struct fake_pair *p)
{
    assert_null(p->jobs);
    for (uint64_t i = 0; i < p->n_streams; i++) {
        fake_drop_pieces(&p->streams[i].dir[0]);
        fake_drop_pieces(&p->streams[i].dir[1]);
    }
    free(p->streams);
    free(p);
}

struct vly_link *fake_pair_link(struct fake_pair *p, enum fake_side side)
{
    return &p->link[side].base;
}

void fake_lose(struct fake_pair *p, int err)
{
    p->lost = true;
    p->lost_err = err;
}

uint64_t fake_steps(const struct fake_pair *p)
{
    return p->steps;
}

bool fake_is_closed(const struct fake_pair *p, enum fake_side side)
{
    return p->link[side].closed;
}

uint64_t fake_unconsumed(const struct fake_pair *p, enum fake_side side)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < p->n_streams; i++) {
        const struct dir *d = &p->streams[i].dir[!side];

        if (!d->stop && !d->reset)
            n += d->handed - d->consumed;
    }
    return n;
}

size_t fake_open_streams(const struct fake_pair *p)
{
    size_t n = 0;

    for (uint64_t i = 1; i < p->n_streams; i++)
        n += !fake_dir_over(&p->streams[i].dir[0]) || !fake_dir_over(&p->streams[i].dir[1]);
    return n;
}

bool fake_expects_answer(const struct fake_pair *p)
{
    return p->expecting;
}

void fake_make_known(struct fake_pair *p, uint64_t stream)
{
    p->streams[stream / 2].touched = true;
}
