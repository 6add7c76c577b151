/*
 * transfer - include/volley/transfer.h: file server and file client, each on a driver of its own.
 *
 * The only file here that knows sockets and the loop. An object is freed when its driver is closed,
 * which waits for every link's on_closed and every offloaded job; so nothing that runs late finds
 * it gone.
 */
#include "file/client.h"
#include "file/path.h"
#include "file/server.h"
#include "net/addr.h"
#include "net/driver.h"

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

    if (!t->plain)
        return vly_fault_set(why, VLY_E_SUITE,
                             "encryption is not built yet; --plain at both ends sends in clear");
    if (vly_cc_find(cc) == NULL)
        return vly_fault_set(why, VLY_E_INVALID, "there is no congestion control '%s'",
                             vly_shown(cc).text);
    if (t->io != NULL && !vly_io_parse(t->io, &io))
        return vly_fault_set(why, VLY_E_INVALID, "there is no way to send called '%s'",
                             vly_shown(t->io).text);
    if (t->max_datagram_bytes != 0 &&
        (t->max_datagram_bytes < 1200 || t->max_datagram_bytes > 65507))
        return vly_fault_set(why, VLY_E_INVALID, "datagrams have 1200 to 65507 bytes");
    if (strcmp(cc, "fixed") == 0 && t->rate_bytes_per_s == 0)
        return vly_fault_set(why, VLY_E_INVALID, "a fixed rate needs --rate");
    return 0;
}

/* Silence is borne for twice the time an answer may take, within what can be announced (SPEC 2.10).
 */
static uint64_t idle_timeout_ns(uint64_t timeout_ns)
{
    if (timeout_ns <= VLY_S(15))
        return VLY_S(30);
    return timeout_ns < VLY_S(300) ? 2 * timeout_ns : VLY_S(600);
}

/* `t` was checked. */
static struct vly_driver_options driver_options(const struct vly_transport_options *t)
{
    struct vly_driver_options o = {.allow_plain = t->plain, .reject_code = VLY_WIRE_LIMIT};

    o.conn.cc = vly_cc_find(t->cc != NULL ? t->cc : "cubic");
    o.conn.rate_bytes_per_s = t->rate_bytes_per_s;
    o.conn.max_datagram_bytes = t->max_datagram_bytes;
    o.conn.window_max_bytes = t->window_bytes;
    o.conn.send_buffer_max_bytes = t->window_bytes;
    o.conn.handshake_timeout_ns = t->timeout_ns;
    o.conn.answer_timeout_ns = t->timeout_ns;
    o.conn.idle_timeout_ns = idle_timeout_ns(t->timeout_ns);
    o.conn.application = APPLICATION;
    if (t->io != NULL)
        (void)vly_io_parse(t->io, &o.udp.io);
    return o;
}

static void address_text(const struct sockaddr *sa, char text[VLY_ADDR_TEXT_MAX])
{
    struct vly_addr addr;

    memcpy(text, "?", 2);
    if (vly_addr_encode(&addr, sa) == 0)
        vly_addr_text(&addr, text);
}

/* ---- serving ---- */

struct vly_server {
    struct vly_file_server files;
    struct vly_driver *driver;
    uint16_t port;
    char address[INET6_ADDRSTRLEN];
    void (*done)(void *ctx);
    void *done_ctx;
};

static int on_accept(void *ctx, struct vly_link *link)
{
    struct vly_server *s = ctx;

    return vly_session_start(&s->files, link);
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

static void learn_address(struct vly_server *s)
{
    union vly_sockaddr local;
    struct sockaddr_storage storage;

    vly_udp_local(vly_driver_socket(s->driver), &storage);
    memcpy(&local, &storage, sizeof local);
    if (local.any.sa_family == AF_INET6) {
        s->port = ntohs(local.v6.sin6_port);
        inet_ntop(AF_INET6, &local.v6.sin6_addr, s->address, sizeof s->address);
    } else {
        s->port = ntohs(local.v4.sin_port);
        inet_ntop(AF_INET, &local.v4.sin_addr, s->address, sizeof s->address);
    }
}

static int open_server_driver(struct vly_server *s, struct uv_loop_s *loop,
                              const struct vly_server_options *opt, struct vly_fault *why)
{
    struct vly_driver_options o = driver_options(&opt->transport);
    char address[VLY_ADDR_TEXT_MAX];
    int err;

    o.is_server = true;
    o.max_conns = opt->max_clients;
    o.on_accept = on_accept;
    o.ctx = s;
    err = vly_driver_open(&s->driver, loop, opt->listen, &o);
    if (err == 0)
        return 0;
    address_text(opt->listen, address);
    return vly_fault_set(why, err, "cannot listen on %s: %s", address,
                         err == VLY_E_EXISTS ? "another program uses this port; try another one, "
                                               "or port 0 for a free one"
                         : err == VLY_E_UNREACHABLE ? "this machine has no such address"
                                                    : vly_err_text(err));
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
    if ((err = check_transport(&o.transport, &fault)) == 0 &&
        (err = open_root(s, o.root, &fault)) == 0)
        err = open_server_driver(s, loop, &o, &fault);
    if (err != 0) {
        vly_file_server_fini(&s->files);
        free(s);
        return give(why, &fault, text);
    }
    allow_many_files();
    learn_address(s);
    *out = s;
    return 0;
}

const char *vly_server_address(const struct vly_server *s)
{
    return s->address;
}

uint16_t vly_server_port(const struct vly_server *s)
{
    return s->port;
}

static void on_server_closed(void *ctx)
{
    struct vly_server *s = ctx;
    void (*done)(void *done_ctx) = s->done;
    void *done_ctx = s->done_ctx;

    vly_file_server_fini(&s->files);
    free(s);
    if (done != NULL)
        done(done_ctx);
}

void vly_server_close(struct vly_server *s, void (*done)(void *ctx), void *ctx)
{
    s->done = done;
    s->done_ctx = ctx;
    vly_driver_close(s->driver, VLY_WIRE_CANCELLED, VLY_STOPPED_REASON, on_server_closed, s);
}

/* ---- getting, putting, listing ---- */

struct vly_client {
    struct vly_file_client *files;
    struct vly_driver *driver;
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

    vly_driver_close(c->driver, 0, "finished", on_client_closed, c);
}

static int connect_client(struct vly_client *c, struct uv_loop_s *loop,
                          const struct vly_client_options *opt, struct vly_fault *why)
{
    struct vly_driver_options o = driver_options(&opt->transport);
    union vly_sockaddr any = {.any.sa_family = opt->server->sa_family};
    struct vly_link *link;
    int err;

    if ((err = vly_driver_open(&c->driver, loop, &any.any, &o)) != 0)
        return vly_fault_set(why, err, "cannot open a UDP socket: %s", vly_err_text(err));
    if ((err = vly_driver_connect(c->driver, opt->server, &link)) != 0) {
        vly_driver_close(c->driver, 0, "", NULL, NULL);
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
