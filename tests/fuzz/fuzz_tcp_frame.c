/*
 * What a stranger may send to a server over TCP: arbitrary bytes, arriving in pieces of the size
 * that the first one says. The server's user answers a little of everything. Whatever arrives, the
 * link ends or goes on; content never exceeds the credit.
 */
#include "fuzz.h"

#include "net/tcp_internal.h"

#include <stdlib.h>
#include <string.h>

#define CREDIT_BYTES 4096u

static void require(bool condition)
{
    if (!condition)
        abort();
}

struct user {
    struct vly_link *link;
    uint64_t kept_bytes; /* handed on and not consumed */
    unsigned closes_at;  /* events until it closes */
};

static void after(struct user *u)
{
    if (u->closes_at > 0 && --u->closes_at == 0)
        u->link->ops->close(u->link, 7, "enough");
}

static void on_stream(void *user, uint64_t stream)
{
    struct user *u = user;

    require(stream % 2 == 0);
    if (stream % 8 == 2)
        (void)u->link->ops->commit(u->link, stream, 0, true);
    if (stream % 8 == 4)
        u->link->ops->stop(u->link, stream, 1);
    if (stream % 8 == 6)
        u->link->ops->reset(u->link, stream, 2);
    after(u);
}

static void on_data(void *user, uint64_t stream, uint64_t offset, struct vly_span data)
{
    struct user *u = user;

    require(data.len > 0 && offset + data.len >= offset);
    if (offset % 3 == 0)
        u->link->ops->consume(u->link, stream, data.len);
    else
        u->kept_bytes += data.len;
    require(u->kept_bytes <= (uint64_t)CREDIT_BYTES * 65536);
    after(u);
}

static void on_end(void *user, uint64_t stream, uint64_t final_bytes)
{
    (void)stream;
    (void)final_bytes;
    after(user);
}

static void on_given_up(void *user, uint64_t stream, uint64_t code)
{
    (void)stream;
    (void)code;
    after(user);
}

static const struct vly_link_events events = {
    .on_stream = on_stream,
    .on_data = on_data,
    .on_end = on_end,
    .on_reset = on_given_up,
    .on_stopped = on_given_up,
};

static int on_accept(void *ctx, struct vly_link *link)
{
    struct user *u = ctx;

    u->link = link;
    link->events = &events;
    link->user = u;
    return 0;
}

/* What it would send is dropped: there is no socket, and no loop. */
static void drop_output(struct tcp_link *l)
{
    l->broken = 0;
    l->out.blocked = false;
    l->out.pos = l->out.len = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[256];
    size_t piece = size > 0 ? (size_t)data[0] + 1 : 1;
    struct user user = {.closes_at = size > 1 ? data[1] : 0};
    struct tcp_transport t = {
        .spec = {.is_server = true, .on_accept = on_accept, .ctx = &user, .max_links = 1},
        .timeout_ns = VLY_S(10),
        .credit_bytes = CREDIT_BYTES,
        .application = "volley-file/1"};
    struct tcp_link l = {.base.ops = &tcp_link_ops,
                         .transport = &t,
                         .state = LINK_PREFACE,
                         .is_server = true,
                         .fd = -1,
                         .pumping = true,
                         .next_id = {0, 1},
                         .out.file_fd = -1};

    for (size_t at = 2; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;

        memcpy(bytes, data + at, len);
        tcp_take(&l, (struct vly_tcp_bytes){.data = bytes, .len = len});
        tcp_flush(&l);
        drop_output(&l);
        tcp_streams_sweep(&l);
        require(l.n_open[0] <= TCP_STREAMS_MAX && l.n_open[1] == 0);
    }
    tcp_streams_free(&l);
    tcp_out_free(&l);
    return 0;
}
