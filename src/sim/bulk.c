#include "sim/bulk.h"

#include "sim/pattern.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define NS_PER_S UINT64_C(1000000000)
#define GAPS_MAX (2 * VLY_RECVBUF_GAPS_MAX) /* more than the engine allows itself */

static enum vly_role other(enum vly_role role)
{
    return role == VLY_CLIENT ? VLY_SERVER : VLY_CLIENT;
}

/* The client opens the streams: 0, 2, 4 ... (SPEC 6). */
static uint64_t id_of(unsigned index)
{
    return 2 * (uint64_t)index;
}

static void at(struct vly_bulk *f, uint64_t at_ns, void (*call)(void *ctx, uint64_t now_ns))
{
    if (vly_world_at(f->world, at_ns, call, f) != 0)
        vly_world_fail(f->world, "no memory to wait for a time");
}

static void close_client(void *ctx, uint64_t now_ns)
{
    struct vly_bulk *f = ctx;
    struct vly_bulk_side *side = &f->side[VLY_CLIENT];

    if (side->conn == NULL)
        return;
    vly_conn_close(side->conn, now_ns, 0, "");
    vly_world_touch(f->world, side->node);
}

static void note_done(struct vly_bulk *f)
{
    assert(f->left > 0);
    if (--f->left > 0)
        return;
    f->finished_ns = vly_world_now_ns(f->world);
    at(f, f->finished_ns + f->spec.linger_ns, close_client);
}

/* The engine refused what the application may ask for: without memory it gives up as a real one
 * would; that the connection has ended meanwhile is told by CLOSED. */
static void on_refused(struct vly_bulk *f, enum vly_role role, int err)
{
    struct vly_bulk_side *side = &f->side[role];

    if (err == VLY_E_NOMEM)
        vly_conn_close(side->conn, vly_world_now_ns(f->world), VLY_BULK_NO_MEMORY, "");
    else if (err != VLY_E_STATE)
        vly_world_fail(f->world, "the engine refused: %s", vly_err_text(err));
}

/* Commits up to `max_bytes` of the rest; *room says whether the engine had room for them all. */
static int write_some(struct vly_bulk *f, enum vly_role role, unsigned index, uint64_t *max_bytes,
                      bool *room)
{
    struct vly_bulk_half *h = &f->streams[index].from[role];
    struct vly_conn *conn = f->side[role].conn;
    uint64_t rest = h->total_bytes - h->written_bytes;
    size_t len = (size_t)(rest < *max_bytes ? rest : *max_bytes);
    uint8_t *ptr;
    int err;

    *room = true;
    if (len == 0)
        return 0;
    err = vly_conn_reserve(conn, id_of(index), &ptr, &len);
    if (err == VLY_E_AGAIN) {
        *room = false;
        return 0;
    }
    if (err != 0)
        return err;
    vly_pattern_fill(id_of(index) + role, f->spec.first_offset + h->written_bytes, ptr, len);
    h->written_bytes += len;
    *max_bytes -= len;
    h->is_written = h->written_bytes == h->total_bytes;
    return vly_conn_commit(conn, id_of(index), len, h->is_written);
}

static int write_end(struct vly_bulk *f, enum vly_role role, unsigned index)
{
    size_t written;

    f->streams[index].from[role].is_written = true;
    return vly_conn_write(f->side[role].conn, id_of(index), (struct vly_span){NULL, 0}, true,
                          &written);
}

/* Writes what the engine takes, at most `max_bytes`; returns how much of these is left. */
static uint64_t write_stream(struct vly_bulk *f, enum vly_role role, unsigned index,
                             uint64_t max_bytes)
{
    struct vly_bulk_half *h = &f->streams[index].from[role];
    bool room = true;
    int err = 0;

    if (h->total_bytes == 0 && !h->is_written)
        err = write_end(f, role, index);
    while (err == 0 && room && !h->is_written && max_bytes > 0)
        err = write_some(f, role, index, &max_bytes, &room);
    if (err != 0)
        on_refused(f, role, err);
    return max_bytes;
}

static void on_stream_known(struct vly_bulk *f, enum vly_role role, unsigned index)
{
    struct vly_bulk_stream *s = &f->streams[index];
    int err = 0;

    s->is_open[role] = true;
    if (f->spec.order == VLY_ANY_ORDER)
        err = vly_conn_set_order(f->side[role].conn, id_of(index), VLY_ANY_ORDER);
    if (err != 0)
        on_refused(f, role, err);
    /* A sender with a rate writes at its ticks, but an end without data at once. */
    if (f->spec.write_bytes_per_s == 0 || s->from[role].total_bytes == 0)
        (void)write_stream(f, role, index, UINT64_MAX);
}

static void open_streams(struct vly_bulk *f)
{
    for (unsigned i = 0; i < f->spec.streams; i++) {
        uint64_t id;
        int err;

        if (f->streams[i].is_open[VLY_CLIENT])
            continue;
        err = vly_conn_open_stream(f->side[VLY_CLIENT].conn, &id);
        if (err == VLY_E_AGAIN) /* MAX_STREAMS brings us here again */
            return;
        if (err != 0) {
            on_refused(f, VLY_CLIENT, err);
            return;
        }
        if (id != id_of(i))
            vly_world_fail(f->world, "stream %" PRIu64 " has the id %" PRIu64, id_of(i), id);
        on_stream_known(f, VLY_CLIENT, i);
    }
}

static void consume(struct vly_bulk *f, enum vly_role role, unsigned index, uint64_t bytes)
{
    struct vly_bulk_half *h = &f->streams[index].from[other(role)];

    h->unconsumed_bytes -= bytes;
    vly_conn_consume(f->side[role].conn, id_of(index), bytes, vly_world_now_ns(f->world));
}

/* Nothing twice: all of it must be new. */
static bool is_new(struct vly_bulk *f, struct vly_bulk_half *h, uint64_t begin, size_t len)
{
    struct vly_range gap;

    if (f->spec.order == VLY_IN_ORDER)
        return begin == f->spec.first_offset + h->read_bytes;
    return vly_rangeset_next_gap(&h->have, begin, begin + len, &gap) && gap.begin == begin &&
           gap.end == begin + len && vly_rangeset_add(&h->have, begin, begin + len) == 0;
}

static void on_data(struct vly_bulk *f, enum vly_role role, const struct vly_event *ev)
{
    unsigned index = (unsigned)(ev->stream / 2);
    struct vly_bulk_half *h = &f->streams[index].from[other(role)];
    uint64_t first = f->spec.first_offset;

    f->side[role].data_events++;
    if (h->is_read || ev->offset < first || ev->offset - first + ev->data.len > h->total_bytes)
        vly_world_fail(f->world, "stream %" PRIu64 ": data outside of it", ev->stream);
    else if (!is_new(f, h, ev->offset, ev->data.len))
        vly_world_fail(f->world, "stream %" PRIu64 ": data at %" PRIu64 " again or out of order",
                       ev->stream, ev->offset);
    else if (!vly_pattern_matches(ev->stream + other(role), ev->offset, ev->data.data,
                                  ev->data.len))
        vly_world_fail(f->world, "stream %" PRIu64 ": wrong data at %" PRIu64, ev->stream,
                       ev->offset);
    h->read_bytes += ev->data.len;
    h->unconsumed_bytes += ev->data.len;
    if (f->spec.read_bytes_per_s == 0)
        consume(f, role, index, ev->data.len);
}

static void on_stream_end(struct vly_bulk *f, enum vly_role role, const struct vly_event *ev)
{
    struct vly_bulk_half *h = &f->streams[ev->stream / 2].from[other(role)];

    if (h->is_read || h->read_bytes != h->total_bytes ||
        ev->offset != f->spec.first_offset + h->total_bytes)
        vly_world_fail(f->world, "stream %" PRIu64 " ends at %" PRIu64 " with %" PRIu64 " bytes",
                       ev->stream, ev->offset, h->read_bytes);
    h->is_read = true;
    note_done(f);
}

static void on_stream_acked(struct vly_bulk *f, enum vly_role role, const struct vly_event *ev)
{
    struct vly_bulk_half *h = &f->streams[ev->stream / 2].from[role];

    if (h->is_acked || !h->is_written)
        vly_world_fail(f->world, "stream %" PRIu64 " is acknowledged too often or too early",
                       ev->stream);
    h->is_acked = true;
    note_done(f);
}

static void on_closed(struct vly_bulk *f, enum vly_role role, const struct vly_event *ev)
{
    struct vly_bulk_side *side = &f->side[role];
    bool is_last = true;

    vly_conn_stats(ev->conn, &side->stats);
    side->closed = *ev;
    side->closed.conn = NULL;
    side->is_closed = true;
    side->conn = NULL;
    f->is_over = f->side[VLY_CLIENT].is_closed && f->side[VLY_SERVER].conn == NULL;
    for (const struct vly_bulk *i = f->first; i != NULL; i = i->next)
        is_last = is_last && i->is_over;
    if (is_last)
        vly_world_stop(f->world);
}

static void on_connected(struct vly_bulk *f, enum vly_role role, struct vly_conn *conn)
{
    struct vly_bulk_side *side = &f->side[role];
    uint64_t now_ns = vly_world_now_ns(f->world);

    if (role == VLY_SERVER && (side->conn != NULL || side->is_closed))
        vly_world_fail(f->world, "the server accepted a connection twice");
    side->conn = conn;
    side->read_ns = side->write_ns = now_ns;
    if (role == VLY_SERVER)
        return;
    f->connected_ns = now_ns;
    vly_conn_expect_answer(conn, f->spec.expect_answer);
    open_streams(f);
}

static void on_writable(struct vly_bulk *f, enum vly_role role, uint64_t stream)
{
    if (stream == UINT64_MAX) {
        if (role == VLY_CLIENT)
            open_streams(f);
    } else if (f->spec.write_bytes_per_s == 0) {
        (void)write_stream(f, role, (unsigned)(stream / 2), UINT64_MAX);
    }
}

static bool is_of_stream(enum vly_event_type type)
{
    return type != VLY_EV_CONNECTED && type != VLY_EV_ACCEPTED && type != VLY_EV_CLOSED &&
           type != VLY_EV_WRITABLE && type != VLY_EV_MOVED;
}

static void on_event(struct vly_bulk *f, enum vly_role role, const struct vly_event *ev)
{
    if (is_of_stream(ev->type) && (ev->stream % 2 != 0 || ev->stream / 2 >= f->spec.streams)) {
        vly_world_fail(f->world, "nobody opened stream %" PRIu64, ev->stream);
        return;
    }
    switch (ev->type) {
    case VLY_EV_CONNECTED:
    case VLY_EV_ACCEPTED:
        on_connected(f, role, ev->conn);
        break;
    case VLY_EV_STREAM_OPENED:
        on_stream_known(f, role, (unsigned)(ev->stream / 2));
        break;
    case VLY_EV_DATA:
        on_data(f, role, ev);
        break;
    case VLY_EV_STREAM_END:
        on_stream_end(f, role, ev);
        break;
    case VLY_EV_STREAM_ACKED:
        on_stream_acked(f, role, ev);
        break;
    case VLY_EV_STREAM_RESET:
    case VLY_EV_STREAM_STOPPED:
        vly_world_fail(f->world, "nobody gave stream %" PRIu64 " up", ev->stream);
        break;
    case VLY_EV_WRITABLE:
        on_writable(f, role, ev->stream);
        break;
    case VLY_EV_CLOSED:
        on_closed(f, role, ev);
        break;
    case VLY_EV_MOVED:
    case VLY_EV_TURNED_AWAY:
        break;
    }
}

static void client_event(void *ctx, const struct vly_event *ev)
{
    on_event(ctx, VLY_CLIENT, ev);
}

static void server_event(void *ctx, const struct vly_event *ev)
{
    struct vly_bulk *f = ctx;
    unsigned client = vly_world_node_of(f->world, vly_conn_peer(ev->conn));

    while (f != NULL && f->side[VLY_CLIENT].node != client)
        f = f->next;
    if (f != NULL)
        on_event(f, VLY_SERVER, ev);
}

/* How many bytes `rate` gives since *since_ns, which moves on by the time these stand for. */
static uint64_t share_of(uint64_t rate_bytes_per_s, uint64_t *since_ns, uint64_t now_ns)
{
    double bytes = (double)rate_bytes_per_s * (double)(now_ns - *since_ns) / (double)NS_PER_S;
    uint64_t whole = (uint64_t)bytes;

    *since_ns += (uint64_t)((double)whole * (double)NS_PER_S / (double)rate_bytes_per_s);
    return whole;
}

static void read_tick(struct vly_bulk *f, enum vly_role role, uint64_t now_ns)
{
    uint64_t left = share_of(f->spec.read_bytes_per_s, &f->side[role].read_ns, now_ns);

    for (unsigned i = 0; i < f->spec.streams; i++) {
        uint64_t have = f->streams[i].from[other(role)].unconsumed_bytes;
        uint64_t bytes = have < left ? have : left;

        left -= bytes;
        if (bytes > 0)
            consume(f, role, i, bytes);
    }
}

static void write_tick(struct vly_bulk *f, enum vly_role role, uint64_t now_ns)
{
    uint64_t left = share_of(f->spec.write_bytes_per_s, &f->side[role].write_ns, now_ns);

    for (unsigned i = 0; i < f->spec.streams; i++)
        if (f->streams[i].is_open[role])
            left = write_stream(f, role, i, left);
}

/* A slow application's turn; again after a tick as long as there is something left to do. */
static void on_tick(void *ctx, uint64_t now_ns)
{
    struct vly_bulk *f = ctx;

    for (enum vly_role role = VLY_CLIENT; role <= VLY_SERVER; role++) {
        if (f->side[role].conn == NULL)
            continue;
        if (f->spec.read_bytes_per_s > 0)
            read_tick(f, role, now_ns);
        if (f->spec.write_bytes_per_s > 0)
            write_tick(f, role, now_ns);
        vly_world_touch(f->world, f->side[role].node);
    }
    if (f->left > 0 && !f->is_over)
        at(f, now_ns + VLY_BULK_TICK_NS, on_tick);
}

static int make_streams(struct vly_bulk *f)
{
    unsigned n = f->spec.streams;

    f->streams = calloc(n, sizeof(*f->streams));
    if (f->streams == NULL)
        return VLY_E_NOMEM;
    for (unsigned i = 0; i < n; i++) {
        struct vly_bulk_half *half = f->streams[i].from;
        uint64_t share = f->spec.bytes / n + (i < f->spec.bytes % n);

        half[VLY_SERVER].total_bytes = share;
        half[VLY_CLIENT].total_bytes = f->spec.way == VLY_BULK_BOTH_WAYS ? share : 0;
        for (size_t k = 0; k < 2; k++)
            vly_rangeset_init(&half[k].have, vly_world_alloc(f->world), GAPS_MAX);
    }
    f->left = 4 * (uint64_t)n; /* two halves, to be read and to be acknowledged */
    return 0;
}

static int start(struct vly_bulk *f, unsigned client, unsigned server)
{
    struct vly_bulk_side *side = f->side;
    struct vly_world_app app = {f, client_event};
    int err;

    if (f->spec.streams == 0)
        f->spec.streams = 1;
    if (f->spec.streams > VLY_BULK_STREAMS_MAX)
        return VLY_E_INVALID;
    f->begin_ns = vly_world_now_ns(f->world);
    f->connected_ns = f->finished_ns = VLY_NEVER;
    side[VLY_CLIENT].node = client;
    side[VLY_SERVER].node = server;
    err = make_streams(f);
    if (err != 0)
        return err;
    vly_world_set_app(f->world, client, &app);
    err = vly_world_connect(f->world, client, server, &side[VLY_CLIENT].conn);
    if (err == 0 && (f->spec.read_bytes_per_s > 0 || f->spec.write_bytes_per_s > 0))
        at(f, f->begin_ns + VLY_BULK_TICK_NS, on_tick);
    return err;
}

int vly_bulk_start(struct vly_bulk *f, struct vly_world *w, unsigned client, unsigned server,
                   const struct vly_bulk_spec *spec)
{
    struct vly_world_app app = {f, server_event};

    *f = (struct vly_bulk){.world = w, .spec = *spec};
    f->first = f;
    vly_world_set_app(w, server, &app);
    return start(f, client, server);
}

int vly_bulk_join(struct vly_bulk *f, struct vly_bulk *first, unsigned client,
                  const struct vly_bulk_spec *spec)
{
    *f = (struct vly_bulk){.world = first->world, .spec = *spec};
    f->first = first;
    f->next = first->next;
    first->next = f;
    return start(f, client, first->side[VLY_SERVER].node);
}

void vly_bulk_fini(struct vly_bulk *f)
{
    for (unsigned i = 0; f->streams != NULL && i < f->spec.streams; i++)
        for (size_t k = 0; k < 2; k++)
            vly_rangeset_fini(&f->streams[i].from[k].have);
    free(f->streams);
    f->streams = NULL;
}

bool vly_bulk_is_intact(const struct vly_bulk *f)
{
    return f->left == 0 && f->streams != NULL && vly_world_failure(f->world) == NULL;
}

void vly_bulk_stats(const struct vly_bulk *f, enum vly_role role, struct vly_conn_stats *out)
{
    const struct vly_bulk_side *side = &f->side[role];

    *out = side->stats;
    if (side->conn != NULL)
        vly_conn_stats(side->conn, out);
}
