/*
 * transfer - include/volley/transfer.h: file server and file client, each on a transport of its own
 * (a server possibly on two).
 *
 * The only file here that knows addresses and the loop. An object is freed when its transport is
 * closed,
 * which waits for every link's on_closed and every offloaded job; so nothing that runs late finds
 * it gone.
 */
#include "file/client.h"
#include "file/path.h"
#include "file/server.h"
#include "net/addr.h"
#include "net/clock.h"
#include "net/tcp_socket.h"
#include "net/udp_socket.h"
#include "proto/cc.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define APPLICATION "volley-file/1"

/* Hands a fault to the caller, who keeps nothing of it beyond the next call. */
static int give(struct vly_failure *out, const struct vly_fault *why, char *text)
{
    memcpy(text, why->text, sizeof why->text);
    if (out != NULL)
        *out = (struct vly_failure){.err = why->err, .text = text};
    return why->err;
}

/* Copies an options struct that may be older, or newer, than ours. */
static bool copy_options(void *to, size_t to_size, const void *from, size_t from_size)
{
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
    return from_size >= sizeof(size_t);
}

static int check_transport(const struct vly_transport_options *t, struct vly_fault *why)
{
    const char *cc = t->cc != NULL ? t->cc : "cubic";
    enum vly_io io;

    if (vly_cc_find(cc) == NULL)
        return vly_fault_set(why, VLY_E_INVALID, "there is no congestion control '%s'",
                             vly_shown(cc).text);
    if (t->io != NULL && !vly_io_parse(t->io, &io))
        return vly_fault_set(why, VLY_E_INVALID, "there is no way to send called '%s'",
                             vly_shown(t->io).text);
    if (t->max_datagram_bytes != 0 &&
        (t->max_datagram_bytes < 1200 || t->max_datagram_bytes > 65507))
        return vly_fault_set(why, VLY_E_INVALID, "datagrams have 1200 to 65507 bytes");
    if (t->tcp_cc != NULL && !vly_tcp_cc_exists(t->tcp_cc)) {
        char list[256];

        vly_tcp_cc_list(list, sizeof list);
        return vly_fault_set(
            why, VLY_E_INVALID, "the kernel has no TCP congestion control '%s' for us; it has: %s",
            vly_shown(t->tcp_cc).text, list[0] != '\0' ? list : "it does not tell");
    }
    if (strcmp(cc, "fixed") == 0 && t->rate_bytes_per_s == 0)
        return vly_fault_set(why, VLY_E_INVALID, "a fixed rate needs --rate");
    return 0;
}

/* `t` was checked. */
static struct vly_transport_spec transport_spec(const struct vly_transport_options *t,
                                                const struct sockaddr *bind)
{
    return (struct vly_transport_spec){.size = sizeof(struct vly_transport_spec),
                                       .options = *t,
                                       .application = APPLICATION,
                                       .bind = bind,
                                       .reject_code = VLY_WIRE_LIMIT};
}

static void address_text(const struct sockaddr *sa, char text[VLY_ADDR_TEXT_MAX])
{
    struct vly_addr addr;

    memcpy(text, "?", 2);
    if (vly_addr_encode(&addr, sa) == 0)
        vly_addr_text(&addr, text);
}

/* ---- serving ---- */

#define CARRIERS_MAX 2
#define PORT_TRIES 16 /* for a port that is free for UDP and for TCP */

struct vly_server {
    struct vly_file_server files;
    struct vly_transport *transports[CARRIERS_MAX];
    size_t n_transports;
    size_t open; /* not closed yet */
    void (*done)(void *ctx);
    void *done_ctx;
};

static int on_accept(void *ctx, struct vly_link *link)
{
    struct vly_server *s = ctx;

    return vly_session_start(&s->files, link);
}

static void on_turned_away(void *ctx, const char *client, const char *why)
{
    const struct vly_file_server *files = &((struct vly_server *)ctx)->files;

    if (files->events != NULL && files->events->on_turned_away != NULL)
        files->events->on_turned_away(files->ctx, client, why);
}

/* Each file under way is one or two descriptors; the usual soft limit is for one client. */
static void allow_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int cannot_listen(const struct vly_transport_spec *spec, int err, struct vly_fault *why)
{
    char address[VLY_ADDR_TEXT_MAX];

    address_text(spec->bind, address);
    return vly_fault_set(why, err, "cannot listen on %s %s: %s",
                         spec->options.carrier == VLY_CARRIER_TCP ? "TCP" : "UDP", address,
                         err == VLY_E_EXISTS ? "another program uses this port; try another one, "
                                               "or port 0 for a free one"
                         : err == VLY_E_UNREACHABLE ? "this machine has no such address"
                                                    : vly_err_text(err));
}

static int open_transport(struct vly_server *s, struct uv_loop_s *loop,
                          const struct vly_transport_spec *spec)
{
    int err = vly_transport_open(&s->transports[s->n_transports], loop, spec);

    s->n_transports += err == 0;
    return err;
}

static void set_port(union vly_sockaddr *sa, uint16_t port)
{
    if (sa->any.sa_family == AF_INET6)
        sa->v6.sin6_port = htons(port);
    else
        sa->v4.sin_port = htons(port);
}

/* The second carrier listens where the first one does. *again: the port was picked and is taken
 * there; another one may be free for both. */
static int open_second(struct vly_server *s, struct uv_loop_s *loop,
                       const struct vly_transport_spec *first, bool *again, struct vly_fault *why)
{
    struct vly_transport_spec spec = *first;
    union vly_sockaddr at = {.any.sa_family = AF_UNSPEC};
    struct vly_addr addr;
    uint16_t port;
    int err = vly_addr_encode(&addr, first->bind);

    *again = false;
    if (err != 0)
        return vly_fault_plain(why, err);
    (void)vly_addr_decode(&at, &addr);
    port = ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
    set_port(&at, vly_transport_port(s->transports[0]));
    spec.bind = &at.any;
    spec.options.carrier = VLY_CARRIER_TCP;
    if ((err = open_transport(s, loop, &spec)) == 0)
        return 0;
    *again = err == VLY_E_EXISTS && port == 0;
    vly_transport_close(s->transports[0], 0, "", NULL, NULL);
    s->n_transports = 0;
    return cannot_listen(&spec, err, why);
}

static int open_transports(struct vly_server *s, struct uv_loop_s *loop,
                           const struct vly_server_options *opt, struct vly_fault *why)
{
    struct vly_transport_spec spec = transport_spec(&opt->transport, opt->listen);
    bool again = true;
    int err = 0;

    spec.is_server = true;
    spec.max_links = opt->max_clients;
    spec.on_accept = on_accept;
    spec.on_turned_away = on_turned_away;
    spec.ctx = s;
    if (opt->both_carriers)
        spec.options.carrier = VLY_CARRIER_UDP;
    for (unsigned i = 0; again && i < PORT_TRIES; i++) {
        again = false;
        if ((err = open_transport(s, loop, &spec)) != 0)
            return cannot_listen(&spec, err, why);
        if (opt->both_carriers)
            err = open_second(s, loop, &spec, &again, why);
    }
    return err;
}

static int open_root(struct vly_server *s, const char *root, struct vly_fault *why)
{
    struct vly_fault reason;
    int err = vly_file_server_init(&s->files, root, &reason);

    return err == 0 ? 0
                    : vly_fault_set(why, err, "cannot serve '%s': %s", vly_shown(root).text,
                                    reason.text);
}

int vly_server_open(struct vly_server **out, struct uv_loop_s *loop,
                    const struct vly_server_options *opt, struct vly_failure *why)
{
    static _Thread_local char text[VLY_FAULT_TEXT];
    struct vly_server *s = calloc(1, sizeof *s);
    struct vly_server_options o;
    struct vly_fault fault;
    int err;

    *out = NULL;
    if (s == NULL || !copy_options(&o, sizeof o, opt, opt->size) || o.root == NULL ||
        o.listen == NULL) {
        free(s);
        vly_fault_plain(&fault, s == NULL ? VLY_E_NOMEM : VLY_E_INVALID);
        return give(why, &fault, text);
    }
    s->files = (struct vly_file_server){.root.fd = -1,
                                        .writable = o.writable,
                                        .events = o.events,
                                        .ctx = o.ctx,
                                        .now_ns = vly_clock_now_ns};
    allow_many_files();
    if ((err = check_transport(&o.transport, &fault)) == 0 &&
        (err = open_root(s, o.root, &fault)) == 0 &&
        (err = vly_access_open(&s->files.access, &o, &fault)) == 0)
        err = open_transports(s, loop, &o, &fault);
    if (err != 0) {
        vly_file_server_fini(&s->files);
        free(s);
        return give(why, &fault, text);
    }
    *out = s;
    return 0;
}

const char *vly_server_address(const struct vly_server *s)
{
    return vly_transport_address(s->transports[0]);
}

uint16_t vly_server_port(const struct vly_server *s)
{
    return vly_transport_port(s->transports[0]);
}

static void on_server_closed(void *ctx)
{
    struct vly_server *s = ctx;
    void (*done)(void *done_ctx) = s->done;
    void *done_ctx = s->done_ctx;

    if (--s->open > 0)
        return;
    vly_file_server_fini(&s->files);
    free(s);
    if (done != NULL)
        done(done_ctx);
}

void vly_server_close(struct vly_server *s, void (*done)(void *ctx), void *ctx)
{
    s->done = done;
    s->done_ctx = ctx;
    s->open = s->n_transports;
    for (size_t i = 0, n = s->n_transports; i < n; i++)
        vly_transport_close(s->transports[i], VLY_WIRE_CANCELLED, VLY_STOPPED_REASON,
                            on_server_closed, s);
}

/* ---- getting, putting, listing ---- */

struct vly_client {
    struct vly_file_client *files;
    struct vly_transport *transport;
    const struct vly_client_events *events;
    void *ctx;
};

static void on_client_closed(void *owner)
{
    struct vly_client *c = owner;
    struct vly_transfer_stats stats;
    struct vly_failure why;

    vly_file_client_result(c->files, &stats, &why);
    c->events->on_done(c->ctx, &stats, why.err != 0 ? &why : NULL);
    vly_file_client_free(c->files);
    free(c);
}

static void on_finished(void *owner)
{
    struct vly_client *c = owner;

    vly_transport_close(c->transport, 0, "finished", on_client_closed, c);
}

static int connect_client(struct vly_client *c, struct uv_loop_s *loop,
                          const struct vly_client_options *opt, struct vly_fault *why)
{
    union vly_sockaddr any = {.any.sa_family = opt->server->sa_family};
    struct vly_transport_spec spec = transport_spec(&opt->transport, &any.any);
    struct vly_link *link;
    int err;

    if ((err = vly_transport_open(&c->transport, loop, &spec)) != 0)
        return vly_fault_set(why, err, "cannot open a socket: %s", vly_err_text(err));
    if ((err = vly_transport_connect(c->transport, opt->server, &link)) != 0) {
        vly_transport_close(c->transport, 0, "", NULL, NULL);
        return vly_fault_set(why, err, "cannot reach %s: %s",
                             vly_shown(opt->server_name != NULL ? opt->server_name : "it").text,
                             vly_err_text(err));
    }
    vly_file_client_attach(c->files, link);
    return 0;
}

static int start_client(struct vly_client *c, struct uv_loop_s *loop,
                        const struct vly_client_options *opt, struct vly_fault *why)
{
    struct vly_file_client_spec spec = {
        .opt = opt, .now_ns = vly_clock_now_ns, .on_finished = on_finished, .owner = c};
    int err = check_transport(&opt->transport, why);

    allow_many_files();
    if (err != 0 || (err = vly_file_client_new(&c->files, &spec, why)) != 0)
        return err;
    if ((err = connect_client(c, loop, opt, why)) != 0)
        vly_file_client_free(c->files);
    return err;
}

int vly_client_start(struct vly_client **out, struct uv_loop_s *loop,
                     const struct vly_client_options *opt, struct vly_failure *why)
{
    static _Thread_local char text[VLY_FAULT_TEXT];
    struct vly_client *c = calloc(1, sizeof *c);
    struct vly_client_options o;
    struct vly_fault fault;

    *out = NULL;
    if (c == NULL || !copy_options(&o, sizeof o, opt, opt->size) || o.server == NULL ||
        o.events == NULL || o.events->on_done == NULL) {
        free(c);
        vly_fault_plain(&fault, c == NULL ? VLY_E_NOMEM : VLY_E_INVALID);
        return give(why, &fault, text);
    }
    c->events = o.events;
    c->ctx = o.ctx;
    if (start_client(c, loop, &o, &fault) != 0) {
        free(c);
        return give(why, &fault, text);
    }
    *out = c;
    return 0;
}

void vly_client_cancel(struct vly_client *c)
{
    vly_file_client_cancel(c->files);
}
