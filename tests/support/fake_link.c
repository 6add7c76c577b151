#include "support/fake_link.h"

#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 4096u
#define STEPS_MAX 2000000u

struct piece {
    struct piece *next;
    uint64_t offset;
    size_t len;
    uint8_t data[];
};

/* One direction of a stream; `from` writes. */
struct dir {
    struct piece *head, *tail;
    size_t n_pieces;
    uint64_t written, unsent, handed, consumed;
    bool fin, end_told;
    bool reset, reset_told;
    uint64_t reset_code;
    bool stop, stop_told; /* the reader wants no more */
    uint64_t stop_code;
    bool wants_room;
    bool any_order;
};

struct stream {
    bool exists;         /* opened by the client */
    bool touched, known; /* something of it is on its way; on_stream was called (SPEC 6) */
    struct dir dir[2];   /* by writer */
};

struct job {
    struct job *next;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct fake_link {
    struct vly_link base;
    struct fake_pair *pair;
    enum fake_side side;
    bool closed; /* had its on_closed */
    bool closing, close_told;
    uint64_t code;
    char reason[129];
    uint8_t scratch[65536];
    size_t reserved;
    uint64_t reserved_stream;
};

struct fake_pair {
    struct fake_options opt;
    struct vly_prng prng;
    struct fake_link link[2];
    struct stream *streams; /* index: id / 2 */
    uint64_t n_streams;
    uint64_t over; /* streams of which both directions ended */
    bool streams_wanted;
    bool open_told;
    int lost_err;
    bool lost;
    bool expecting;
    struct job *jobs;
    uint64_t steps;
};

static struct fake_link *of(const struct vly_link *l)
{
    return (struct fake_link *)(uintptr_t)l;
}

static bool is_down(const struct fake_pair *p)
{
    return p->lost || p->link[0].closing || p->link[1].closing;
}

static struct stream *find(const struct fake_link *l, uint64_t id)
{
    struct stream *s =
        id % 2 == 0 && id / 2 < l->pair->n_streams ? &l->pair->streams[id / 2] : NULL;

    assert_int_equal(id % 2, 0); /* servers open none in these tests */
    if (s == NULL || !s->exists || (l->side == FAKE_SERVER && !s->known))
        return NULL;
    return s;
}

static bool dir_over(const struct dir *d)
{
    return d->end_told || d->reset_told || (d->stop_told && d->reset);
}

static uint64_t count_over(const struct fake_pair *p)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < p->n_streams; i++)
        n += dir_over(&p->streams[i].dir[0]) && dir_over(&p->streams[i].dir[1]);
    return n;
}

/* ---- ops ---- */

static int op_open_stream(struct vly_link *l, uint64_t *stream)
{
    struct fake_pair *p = of(l)->pair;

    assert_false(of(l)->closed);
    assert_int_equal(of(l)->side, FAKE_CLIENT);
    assert_true(p->n_streams < STREAMS_MAX);
    if (is_down(p))
        return VLY_E_STATE;
    p->over = count_over(p);
    if (p->n_streams - p->over >= p->opt.max_streams) {
        p->streams_wanted = true;
        return VLY_E_AGAIN;
    }
    *stream = 2 * p->n_streams;
    p->streams[p->n_streams++].exists = true;
    return 0;
}

static int op_set_order(struct vly_link *l, uint64_t stream, enum vly_link_order order)
{
    struct stream *s = find(of(l), stream);

    assert_false(of(l)->closed);
    if (s == NULL)
        return VLY_E_STATE;
    s->dir[!of(l)->side].any_order = order == VLY_LINK_ANY_ORDER;
    return 0;
}

/* The direction to be written; NULL when that cannot be. */
static struct dir *writable(const struct fake_link *l, uint64_t stream)
{
    struct stream *s = find(l, stream);
    struct dir *d = s != NULL ? &s->dir[l->side] : NULL;

    return d == NULL || is_down(l->pair) || d->fin || d->reset ? NULL : d;
}

static int op_reserve(struct vly_link *l, uint64_t stream, uint8_t **ptr, size_t *len)
{
    struct fake_link *f = of(l);
    struct dir *d = writable(f, stream);
    size_t room;

    assert_false(f->closed);
    assert_true(*len > 0);
    if (d == NULL)
        return VLY_E_STATE;
    room = d->unsent < f->pair->opt.room_bytes ? f->pair->opt.room_bytes - (size_t)d->unsent : 0;
    if (room == 0) {
        d->wants_room = true;
        return VLY_E_AGAIN;
    }
    if (*len > room)
        *len = room;
    if (*len > sizeof f->scratch)
        *len = sizeof f->scratch;
    memset(f->scratch, 0xee, *len);
    *ptr = f->scratch;
    f->reserved = *len;
    f->reserved_stream = stream;
    return 0;
}

static void add_piece(struct dir *d, const uint8_t *data, size_t len)
{
    struct piece *piece = malloc(sizeof *piece + len);

    assert_non_null(piece);
    *piece = (struct piece){.offset = d->written, .len = len};
    memcpy(piece->data, data, len);
    if (d->tail != NULL)
        d->tail->next = piece;
    else
        d->head = piece;
    d->tail = piece;
    d->n_pieces++;
    d->written += len;
    d->unsent += len;
}

static int op_commit(struct vly_link *l, uint64_t stream, size_t len, bool fin)
{
    struct fake_link *f = of(l);
    struct dir *d = writable(f, stream);

    assert_false(f->closed);
    if (d == NULL)
        return VLY_E_STATE;
    assert_true(len == 0 || (f->reserved >= len && f->reserved_stream == stream));
    for (size_t done = 0; done < len;) {
        size_t n = len - done < f->pair->opt.piece_bytes ? len - done : f->pair->opt.piece_bytes;

        add_piece(d, f->scratch + done, n);
        done += n;
    }
    f->reserved = 0;
    d->fin = fin;
    if (f->side == FAKE_CLIENT && (len > 0 || fin))
        f->pair->streams[stream / 2].touched = true;
    return 0;
}

static void op_consume(struct vly_link *l, uint64_t stream, uint64_t bytes)
{
    struct stream *s = find(of(l), stream);
    struct dir *d;

    assert_false(of(l)->closed);
    assert_non_null(s);
    d = &s->dir[!of(l)->side];
    d->consumed += bytes;
    assert_true(d->consumed <= d->handed);
}

static void drop_pieces(struct dir *d)
{
    while (d->head != NULL) {
        struct piece *next = d->head->next;

        free(d->head);
        d->head = next;
    }
    d->tail = NULL;
    d->n_pieces = 0;
    d->unsent = 0;
}

static void reset_dir(struct dir *d, uint64_t code)
{
    if (d->reset || d->end_told)
        return;
    d->reset = true;
    d->reset_code = code;
    drop_pieces(d);
}

static void op_reset(struct vly_link *l, uint64_t stream, uint64_t code)
{
    struct stream *s = find(of(l), stream);

    assert_false(of(l)->closed);
    if (s == NULL)
        return;
    reset_dir(&s->dir[of(l)->side], code);
    if (of(l)->side == FAKE_CLIENT)
        of(l)->pair->streams[stream / 2].touched = true;
}

static void op_stop(struct vly_link *l, uint64_t stream, uint64_t code)
{
    struct stream *s = find(of(l), stream);
    struct dir *d;

    assert_false(of(l)->closed);
    if (s == NULL)
        return;
    d = &s->dir[!of(l)->side];
    if (d->end_told || d->reset_told)
        return;
    d->stop = true;
    d->stop_code = code;
    if (of(l)->side == FAKE_CLIENT)
        of(l)->pair->streams[stream / 2].touched = true;
}

static void op_expect_answer(struct vly_link *l, bool expecting)
{
    assert_false(of(l)->closed);
    of(l)->pair->expecting = expecting;
}

static void op_close(struct vly_link *l, uint64_t code, const char *reason)
{
    struct fake_link *f = of(l);

    assert_false(f->closed);
    if (is_down(f->pair))
        return;
    f->closing = true;
    f->code = code;
    assert_true(strlen(reason) < sizeof f->reason);
    memcpy(f->reason, reason, strlen(reason) + 1);
}

static void op_stats(const struct vly_link *l, struct vly_link_stats *out)
{
    assert_false(of(l)->closed);
    *out = (struct vly_link_stats){.packets_sent = of(l)->pair->steps, .io = "fake"};
}

static const char *op_peer(const struct vly_link *l)
{
    assert_false(of(l)->closed);
    return of(l)->side == FAKE_CLIENT ? "192.0.2.1:7711" : "192.0.2.2:50000";
}

static int op_offload(struct vly_link *l, void (*work)(void *arg), void (*done)(void *arg),
                      void *arg)
{
    struct fake_pair *p = of(l)->pair;
    struct job **at = &p->jobs;
    struct job *job;

    assert_false(of(l)->closed);
    if (p->opt.no_threads)
        return VLY_E_FAILED;
    job = malloc(sizeof *job);
    assert_non_null(job);
    *job = (struct job){.work = work, .done = done, .arg = arg};
    while (*at != NULL)
        at = &(*at)->next;
    *at = job;
    return 0;
}

static const struct vly_link_ops ops = {
    .open_stream = op_open_stream,
    .set_order = op_set_order,
    .reserve = op_reserve,
    .commit = op_commit,
    .consume = op_consume,
    .reset = op_reset,
    .stop = op_stop,
    .expect_answer = op_expect_answer,
    .close = op_close,
    .stats = op_stats,
    .peer = op_peer,
    .offload = op_offload,
};

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
        drop_pieces(d);
        if (d->reset)
            return true;
        reset_dir(d, d->stop_code);
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
    if (p->streams_wanted && count_over(p) > p->over) {
        p->streams_wanted = false;
        client->base.events->on_writable(client->base.user, UINT64_MAX);
        return true;
    }
    return fake_step_job(p);
}

bool fake_step(struct fake_pair *p)
{
    p->steps++;
    if (!is_down(p))
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
    p->streams = calloc(STREAMS_MAX, sizeof *p->streams);
    assert_non_null(p->streams);
    for (unsigned side = 0; side < 2; side++) {
        p->link[side].base.ops = &ops;
        p->link[side].pair = p;
        p->link[side].side = (enum fake_side)side;
    }
    return p;
}

void fake_pair_free(struct fake_pair *p)
{
    assert_null(p->jobs);
    for (uint64_t i = 0; i < p->n_streams; i++) {
        drop_pieces(&p->streams[i].dir[0]);
        drop_pieces(&p->streams[i].dir[1]);
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
        n += !dir_over(&p->streams[i].dir[0]) || !dir_over(&p->streams[i].dir[1]);
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
