/*
 * sim_run - vly_sim_run: one bulk transfer between two nodes, as options in and figures out.
 */
#include "sim/bulk.h"

#include <volley/sim.h>

#define NS_PER_S 1e9
#define WINDOW_DEFAULT (UINT64_C(256) << 20)
#define GIVE_UP_DEFAULT_NS VLY_S(3600)

enum { CLIENT, SERVER }; /* nodes */

static int check_options(const struct vly_sim_options *opt, const struct vly_cc_ops **cc)
{
    if (opt->size != sizeof(*opt) || opt->streams > VLY_BULK_STREAMS_MAX)
        return VLY_E_INVALID;
    if (opt->max_datagram_bytes != 0 &&
        (opt->max_datagram_bytes < VLY_DATAGRAM_BASE || opt->max_datagram_bytes > VLY_DATAGRAM_MAX))
        return VLY_E_INVALID;
    *cc = vly_cc_find(opt->cc != NULL ? opt->cc : "cubic");
    return *cc != NULL ? 0 : VLY_E_INVALID;
}

/* Made-up keys: nobody listens. */
static const struct vly_credentials credentials[] = {
    [CLIENT] = {.method = VLY_METHOD_KEYS, .secret = {1}, .accept_new = true},
    [SERVER] = {.method = VLY_METHOD_KEYS, .secret = {2}},
};

static int build(struct vly_world *w, const struct vly_sim_options *opt,
                 const struct vly_cc_ops *cc)
{
    uint64_t window = opt->window_max_bytes != 0 ? opt->window_max_bytes : WINDOW_DEFAULT;
    struct vly_endpoint_config cfg = {
        .conn = {.cc = cc,
                 .rate_bytes_per_s = opt->rate_bytes_per_s,
                 .max_datagram_bytes = opt->max_datagram_bytes,
                 .window_max_bytes = window,
                 .send_buffer_max_bytes = window,
                 .max_streams = opt->streams},
        .allow_plain = opt->plain,
        .credentials = &credentials[CLIENT],
    };
    int err = vly_world_add_node(w, &cfg);

    cfg.is_server = true;
    cfg.credentials = &credentials[SERVER];
    if (err == 0)
        err = vly_world_add_node(w, &cfg);
    if (err == 0)
        err = vly_world_add_link(w, SERVER, CLIENT, &opt->forward);
    if (err == 0)
        err = vly_world_add_link(w, CLIENT, SERVER, &opt->back);
    return err;
}

static int outcome(const struct vly_world *w, const struct vly_bulk *f)
{
    if (vly_bulk_is_intact(f))
        return 0;
    if (vly_world_failure(w) != NULL)
        return VLY_E_FAILED;
    for (int role = VLY_CLIENT; role <= VLY_SERVER; role++)
        if (f->side[role].is_closed && f->side[role].closed.err != 0)
            return f->side[role].closed.err;
    return VLY_E_LIMIT; /* the time is up */
}

static void report(struct vly_world *w, const struct vly_bulk *f, struct vly_sim_result *out)
{
    uint64_t end_ns = f->finished_ns != VLY_NEVER ? f->finished_ns : vly_world_now_ns(w);
    struct vly_conn_stats client, server;

    vly_bulk_stats(f, VLY_CLIENT, &client);
    vly_bulk_stats(f, VLY_SERVER, &server);
    out->err = outcome(w, f);
    out->elapsed_ns = end_ns - f->begin_ns;
    out->bytes = client.stream_bytes_received;
    out->packets_sent = server.packets_sent;
    out->retransmits = server.retransmits;
    out->lost_packets = server.lost_packets;
    out->spurious_losses = server.spurious_losses;
    out->link_drops = vly_link_model_drops(vly_world_link(w, SERVER, CLIENT)) +
                      vly_link_model_drops(vly_world_link(w, CLIENT, SERVER));
    if (out->elapsed_ns > 0)
        out->goodput_bytes_per_s = (double)out->bytes * NS_PER_S / (double)out->elapsed_ns;
    out->trace_hash = vly_world_trace_hash(w);
}

int vly_sim_run(const struct vly_sim_options *opt, struct vly_sim_result *out)
{
    struct vly_bulk_spec spec = {
        .bytes = opt->bytes, .streams = opt->streams, .order = VLY_ANY_ORDER};
    uint64_t give_up_ns = opt->give_up_ns != 0 ? opt->give_up_ns : GIVE_UP_DEFAULT_NS;
    struct vly_bulk bulk = {0};
    const struct vly_cc_ops *cc;
    struct vly_world *w;
    int err = check_options(opt, &cc);

    *out = (struct vly_sim_result){0};
    if (err != 0)
        return err;
    w = vly_world_new(opt->seed);
    if (w == NULL)
        return VLY_E_NOMEM;
    err = build(w, opt, cc);
    if (err == 0)
        err = vly_bulk_start(&bulk, w, CLIENT, SERVER, &spec);
    if (err == 0) {
        vly_world_run(w, give_up_ns);
        report(w, &bulk, out);
    }
    vly_bulk_fini(&bulk);
    vly_world_free(w);
    return err;
}
