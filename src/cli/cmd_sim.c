/*
 * cmd_sim - volley sim: the production engine over a simulated link, in virtual time, from a seed.
 */
#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/link_opts.h"
#include "cli/quantity.h"
#include "file/path.h"
#include "sim/link_model.h"

#include <volley/sim.h>

#include <inttypes.h>
#include <stdio.h>

struct sim_args {
    struct vly_link_args link; /* first: its table relies on it */
    bool json, plain;
    uint64_t bytes, seed, streams;
    uint64_t mtu_bytes;
    double back_loss; /* below 0: as loss */
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
    {"plain", 0, VLY_OPT_FLAG, SIM(plain), NULL, "without encryption", 0, 0},
    {"json", 0, VLY_OPT_FLAG, SIM(json), NULL, "print the result as one JSON object", 0, 0},
};

static const struct vly_opt path_opts[] = {
    {"mtu", 0, VLY_OPT_NUMBER, SIM(mtu_bytes), "BYTES",
     "larger datagrams are dropped (default: 65507)", 0, 65507},
    {"back-loss", 0, VLY_OPT_SHARE, SIM(back_loss), "SHARE",
     "packets lost on the way back, if not as many", 0, 0},
};

static const struct vly_opt_set sim_set = {
    .command = "sim",
    .usage = "[OPTION...]",
    .about = "Moves made-up data through the protocol engine over a simulated link, in virtual\n"
             "time: no network, no waiting, and the same result each time.\n",
    .groups = {{"Transfer", transfer_opts, sizeof(transfer_opts) / sizeof(transfer_opts[0])},
               {"Path", path_opts, sizeof(path_opts) / sizeof(path_opts[0])}},
};

static struct vly_link_spec link_spec(const struct sim_args *args, double loss)
{
    struct vly_link_spec link;

    vly_link_args_spec(&args->link, &link);
    vly_link_spec_lose(&link, loss, args->link.burst_pkts);
    link.mtu_bytes = args->mtu_bytes;
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
    if (args->link.bytes_per_s != 0)
        vly_json_real(event, "share_of_link",
                      r->goodput_bytes_per_s / (double)args->link.bytes_per_s);
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
    if (args->link.bytes_per_s != 0)
        printf(", %.1f %% of the link",
               100 * r->goodput_bytes_per_s / (double)args->link.bytes_per_s);
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
        .forward = link_spec(args, args->link.loss),
        .back = link_spec(args, args->back_loss < 0 ? args->link.loss : args->back_loss),
        .cc = args->cc,
        .rate_bytes_per_s = args->pace_bytes_per_s,
        .max_datagram_bytes = (uint32_t)args->mss_bytes,
        .window_max_bytes = args->window_bytes,
        .give_up_ns = args->give_up_ns,
        .plain = args->plain,
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
        .link.reorder_ns = VLY_LINK_REORDER_NS, .bytes = 64u << 20, .seed = 1, .back_loss = -1};
    struct vly_cli cli = {.command = "sim"};
    struct vly_opt_set set = sim_set;
    int code, first;

    set.groups[2] = vly_link_group;
    first = vly_opt_parse(&set, argc, argv, &args, &code);
    if (first < 0)
        return code;
    cli.json = args.json;
    if (first < argc)
        return vly_cli_usage(&cli, "takes no operands, but there is '%s'",
                             vly_shown(argv[first]).text);
    if (args.cc != NULL && args.cc[0] == 'f' && args.pace_bytes_per_s == 0) {
        args.pace_bytes_per_s = args.link.bytes_per_s;
        if (args.pace_bytes_per_s == 0)
            return vly_cli_usage(&cli, "--cc fixed needs --pace or --rate");
    }
    return run(&cli, &args);
}
