#include "support/fake_link_internal.h"

#include <stdlib.h>
#include <string.h>

static struct fake_link *of(const struct vly_link *l)
{
    return (struct fake_link *)(uintptr_t)l;
}

bool fake_is_down(const struct fake_pair *p)
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

bool fake_dir_over(const struct dir *d)
{
    return d->end_told || d->reset_told || (d->stop_told && d->reset);
}

uint64_t fake_count_over(const struct fake_pair *p)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < p->n_streams; i++)
        n += fake_dir_over(&p->streams[i].dir[0]) && fake_dir_over(&p->streams[i].dir[1]);
    return n;
}

static int op_open_stream(struct vly_link *l, uint64_t *stream)
{
    struct fake_pair *p = of(l)->pair;

    assert_false(of(l)->closed);
    assert_int_equal(of(l)->side, FAKE_CLIENT);
    assert_true(p->n_streams < FAKE_STREAMS_MAX);
    if (fake_is_down(p))
        return VLY_E_STATE;
    p->over = fake_count_over(p);
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

    return d == NULL || fake_is_down(l->pair) || d->fin || d->reset ? NULL : d;
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

void fake_drop_pieces(struct dir *d)
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

void fake_reset_dir(struct dir *d, uint64_t code)
{
    if (d->reset || d->end_told)
        return;
    d->reset = true;
    d->reset_code = code;
    fake_drop_pieces(d);
}

static void op_reset(struct vly_link *l, uint64_t stream, uint64_t code)
{
    struct stream *s = find(of(l), stream);

    assert_false(of(l)->closed);
    if (s == NULL)
        return;
    fake_reset_dir(&s->dir[of(l)->side], code);
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
    if (fake_is_down(f->pair))
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

static bool op_peer_key(const struct vly_link *l, uint8_t out[VLY_PUBLIC_KEY_BYTES])
{
    const uint8_t *key = of(l)->pair->opt.key[1 - of(l)->side];

    if (key == NULL)
        return false;
    memcpy(out, key, VLY_PUBLIC_KEY_BYTES);
    return true;
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

const struct vly_link_ops fake_link_ops = {
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
    .peer_key = op_peer_key,
    .offload = op_offload,
};
