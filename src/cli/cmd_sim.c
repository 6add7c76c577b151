/*
 * cmd_sim - volley sim: the production engine over a simulated link, in virtual time, from a seed.
 */
#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/quantity.h"
#include "file/path.h"

#include <volley/sim.h>

#include <inttypes.h>
#include <stdio.h>

struct sim_args {
    bool json;
    uint64_t bytes, seed, streams;
    uint64_t link_bytes_per_s, delay_ns, jitter_ns, queue_bytes, mtu_bytes;
    double loss, back_loss; /* back_loss below 0: as loss */
    uint64_t burst_pkts;
    double reorder, duplicate, corrupt, truncate, ce_mark;
    bool codel;
    uint64_t reorder_ns;
    const char *cc;
    uint64_t pace_bytes_per_s, mss_bytes, window_bytes, give_up_ns;
};

#define SIM(member) offsetof(struct sim_args, member)

static const struct vly_opt transfer_opts[] = {
    {"size", 0, VLY_OPT_SIZE, SIM(bytes), "SIZE", "how much to move (default: 64MiB)", 0, 0},
    {"streams", 0, VLY_OPT_NUMBER, SIM(streams), "N", "streams to share it out over (default: 1)",
     1, 4096},
    {"seed", 0, VLY_OPT_NUMBER, SIM(seed), "N",
     "the same seed and options give the same packets (default: 1)", 0, 0},
    {"cc", 0, VLY_OPT_CHOICE, SIM(cc), "cubic|reno|fixed", "congestion control (default: cubic)", 0,
     0},
    {"pace", 0, VLY_OPT_RATE, SIM(pace_bytes_per_s), "RATE",
     "send no faster than this; the rate of --cc fixed (default: the link's)", 1000, 0},
    {"mss", 0, VLY_OPT_NUMBER, SIM(mss_bytes), "BYTES",
     "largest datagram, 1200 to 65507 (default: 1472)", 1200, 65507},
    {"window", 0, VLY_OPT_SIZE, SIM(window_bytes), "SIZE",
     "largest receive window (default: 256MiB)", 65536, UINT64_C(1) << 34},
    {"give-up", 0, VLY_OPT_DURATION, SIM(give_up_ns), "TIME",
     "end the run after so much virtual time (default: 1h)", VLY_MS(1), 0},
    {"json", 0, VLY_OPT_FLAG, SIM(json), NULL, "print the result as one JSON object", 0, 0},
};

static const struct vly_opt link_opts[] = {
    {"rate", 0, VLY_OPT_RATE, SIM(link_bytes_per_s), "RATE",
     "bandwidth each way, e.g. 100Mbit (default: infinite)", 1000, 0},
    {"delay", 0, VLY_OPT_DURATION, SIM(delay_ns), "TIME",
     "time each way, e.g. 25ms: half of the round trip (default: 0)", 0, VLY_S(60)},
    {"jitter", 0, VLY_OPT_DURATION, SIM(jitter_ns), "TIME",
     "random time added to the delay, at most", 0, VLY_S(60)},
    {"queue", 0, VLY_OPT_SIZE, SIM(queue_bytes), "SIZE",
     "queue before the link (default: one bandwidth-delay product, at least 64KiB)", 0, 0},
    {"codel", 0, VLY_OPT_FLAG, SIM(codel), NULL,
     "the queue also drops early, by RFC 8289 (5 ms, 100 ms)", 0, 0},
    {"mtu", 0, VLY_OPT_NUMBER, SIM(mtu_bytes), "BYTES",
     "larger datagrams are dropped (default: 65507)", 0, 65507},
    {"loss", 0, VLY_OPT_SHARE, SIM(loss), "SHARE", "packets lost each way, e.g. 1% (default: 0)", 0,
     0},
    {"back-loss", 0, VLY_OPT_SHARE, SIM(back_loss), "SHARE",
     "packets lost on the way back, if not as many", 0, 0},
    {"burst", 0, VLY_OPT_NUMBER, SIM(burst_pkts), "N",
     "losses come in bursts of N packets on average, --loss of all packets in sum", 1, 100000},
    {"reorder", 0, VLY_OPT_SHARE, SIM(reorder), "SHARE",
     "packets held back, so that others overtake", 0, 0},
    {"reorder-delay", 0, VLY_OPT_DURATION, SIM(reorder_ns), "TIME",
     "how long they are held back (default: 1ms)", 1, VLY_S(60)},
    {"duplicate", 0, VLY_OPT_SHARE, SIM(duplicate), "SHARE", "packets that arrive twice", 0, 0},
    {"corrupt", 0, VLY_OPT_SHARE, SIM(corrupt), "SHARE", "packets with one bit flipped", 0, 0},
    {"truncate", 0, VLY_OPT_SHARE, SIM(truncate), "SHARE", "packets cut off somewhere", 0, 0},
    {"ce", 0, VLY_OPT_SHARE, SIM(ce_mark), "SHARE", "packets marked congestion experienced", 0, 0},
};

static const struct vly_opt_set sim_set = {
    .command = "sim",
    .usage = "[OPTION...]",
    .about = "Moves made-up data through the protocol engine over a simulated link, in virtual\n"
             "time: no network, no waiting, and the same result each time.\n",
    .groups = {{"Transfer", transfer_opts, sizeof(transfer_opts) / sizeof(transfer_opts[0])},
               {"Link", link_opts, sizeof(link_opts) / sizeof(link_opts[0])}},
};

/* One way of the link. Bursts are a two-state chain that loses everything in its bad state: it
 * stays there for `burst_pkts` packets on average, and enters it often enough to lose `loss` of
 * them all. */
static struct vly_link_spec link_spec(const struct sim_args *args, double loss)
{
    struct vly_link_spec link = {
        .rate_bytes_per_s = args->link_bytes_per_s,
        .delay_ns = args->delay_ns,
        .jitter_ns = args->jitter_ns,
        .queue_bytes = args->queue_bytes,
        .loss = loss,
        .reorder = args->reorder,
        .reorder_ns = args->reorder_ns,
        .duplicate = args->duplicate,
        .corrupt = args->corrupt,
        .truncate = args->truncate,
        .mtu_bytes = args->mtu_bytes,
        .ce_mark = args->ce_mark,
        .codel = args->codel,
    };

    if (args->burst_pkts > 0 && loss > 0 && loss < 1) {
        double enter;
        link.loss = 0;
        link.burst_loss = 1;
        link.burst_leave = 1 / (double)args->burst_pkts;
        enter = loss * link.burst_leave / (1 - loss);
        link.burst_enter = enter < 1 ? enter : 1;
    }
    return link;
}

static void print_json(const struct sim_args *args, const struct vly_sim_result *r)
{
    json_t *event = vly_json_event("done");
    char hash[17];

    (void)snprintf(hash, sizeof(hash), "%016" PRIx64, r->trace_hash);
    vly_json_count(event, "bytes", r->bytes);
    vly_json_real(event, "seconds", (double)r->elapsed_ns / 1e9);
    vly_json_real(event, "goodput_bits_per_s", r->goodput_bytes_per_s * 8);
    if (args->link_bytes_per_s != 0)
        vly_json_real(event, "share_of_link",
                      r->goodput_bytes_per_s / (double)args->link_bytes_per_s);
    vly_json_count(event, "packets_sent", r->packets_sent);
    vly_json_count(event, "retransmits", r->retransmits);
    vly_json_count(event, "lost_packets", r->lost_packets);
    vly_json_count(event, "spurious_losses", r->spurious_losses);
    vly_json_count(event, "link_drops", r->link_drops);
    vly_json_count(event, "seed", args->seed);
    vly_json_text(event, "trace_hash", hash);
    vly_json_emit(event);
}

static void print_text(const struct sim_args *args, const struct vly_sim_result *r)
{
    double sent = r->packets_sent == 0 ? 1 : (double)r->packets_sent;

    printf("size           %s\n", vly_bytes_text(r->bytes).s);
    printf("virtual time   %s\n", vly_duration_text(r->elapsed_ns).s);
    printf("goodput        %s", vly_rate_text(r->goodput_bytes_per_s).s);
    if (args->link_bytes_per_s != 0)
        printf(", %.1f %% of the link",
               100 * r->goodput_bytes_per_s / (double)args->link_bytes_per_s);
    printf("\npackets sent   %" PRIu64 "\n", r->packets_sent);
    printf("retransmitted  %" PRIu64 " (%.2f %%)\n", r->retransmits,
           100 * (double)r->retransmits / sent);
    printf("declared lost  %" PRIu64 ", of which %" PRIu64 " arrived after all\n", r->lost_packets,
           r->spurious_losses);
    printf("link dropped   %" PRIu64 "\n", r->link_drops);
    printf("trace hash     %016" PRIx64 " (seed %" PRIu64 ")\n", r->trace_hash, args->seed);
}

static int run(const struct vly_cli *cli, const struct sim_args *args)
{
    struct vly_sim_options opt = {
        .size = sizeof(opt),
        .seed = args->seed,
        .bytes = args->bytes,
        .streams = (unsigned)args->streams,
        .forward = link_spec(args, args->loss),
        .back = link_spec(args, args->back_loss < 0 ? args->loss : args->back_loss),
        .cc = args->cc,
        .rate_bytes_per_s = args->pace_bytes_per_s,
        .max_datagram_bytes = (uint32_t)args->mss_bytes,
        .window_max_bytes = args->window_bytes,
        .give_up_ns = args->give_up_ns,
    };
    struct vly_sim_result result = {0};
    int err = vly_sim_run(&opt, &result);

    if (err != 0)
        return vly_cli_fail(cli, err, "the simulation cannot run: %s", vly_err_text(err));
    if (result.err != 0)
        return vly_cli_fail(
            cli, result.err, "the transfer failed after %s of virtual time: %s (seed %" PRIu64 ")",
            vly_duration_text(result.elapsed_ns).s, vly_err_text(result.err), args->seed);
    if (args->json)
        print_json(args, &result);
    else
        print_text(args, &result);
    return VLY_EXIT_OK;
}

int vly_cmd_sim(int argc, char **argv)
{
    struct sim_args args = {
        .bytes = 64u << 20, .seed = 1, .back_loss = -1, .reorder_ns = VLY_MS(1)};
    struct vly_cli cli = {.command = "sim"};
    int code;
    int first = vly_opt_parse(&sim_set, argc, argv, &args, &code);

    if (first < 0)
        return code;
    cli.json = args.json;
    if (first < argc)
        return vly_cli_usage(&cli, "takes no operands, but there is '%s'",
                             vly_shown(argv[first]).text);
    if (args.cc != NULL && args.cc[0] == 'f' && args.pace_bytes_per_s == 0) {
        args.pace_bytes_per_s = args.link_bytes_per_s;
        if (args.pace_bytes_per_s == 0)
            return vly_cli_usage(&cli, "--cc fixed needs --pace or --rate");
    }
    return run(&cli, &args);
}
