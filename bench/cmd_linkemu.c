/*
 * cmd_linkemu - volley bench linkemu: two commands with an emulated link between them.
 */
#include "bench/bench.h"
#include "bench/lab/linkemu.h"
#include "bench/lab/linkemu_args.h"
#include "bench/lab/linkemu_run.h"
#include "cli/json_out.h"
#include "cli/quantity.h"
#include "file/path.h"

#include <inttypes.h>

#define ARG(member) offsetof(struct bench_linkemu_args, member)

static const struct vly_opt run_opts[] = {
    {"left", 0, VLY_OPT_TEXT, ARG(left), "COMMAND",
     "what runs on the left, by sh -c; all ends when it ends (default: a shell)", 0, 0},
    {"right", 0, VLY_OPT_TEXT, ARG(right), "COMMAND",
     "what runs on the right, started first (default: nothing)", 0, 0},
    {"mtu", 0, VLY_OPT_NUMBER, ARG(mtu_bytes), "BYTES", "of both ends' devices (default: 1500)",
     576, 65535},
    {"seed", 0, VLY_OPT_NUMBER, ARG(seed), "N",
     "the same seed loses the same packets of each way (default: 1)", 0, 0},
    {"netem", 0, VLY_OPT_FLAG, ARG(netem), NULL,
     "let the kernel's tc netem do it, where the kernel has it", 0, 0},
    {"veth", 0, VLY_OPT_FLAG, ARG(veth), NULL, "a plain veth pair: no link to speak of", 0, 0},
    {"json", 0, VLY_OPT_FLAG, ARG(json), NULL,
     "print what each way counted at the end as one JSON object a line", 0, 0},
};

static const struct vly_opt change_opts[] = {
    {"outage", 0, VLY_OPT_TEXT, ARG(outages), "AT+FOR",
     "nothing gets through from AT on for a time, e.g. 2s+500ms; also a list: 2s+1s,8s+1s", 0, 0},
    {"rate-at", 0, VLY_OPT_TEXT, ARG(rates), "AT=RATE",
     "another rate from AT on, e.g. 5s=50Mbit; also a list (with --back-rate: of the way there)", 0,
     0},
};

static const struct vly_opt back_opts[] = {
    {"back-rate", 0, VLY_OPT_RATE, ARG(back_bytes_per_s), "RATE", "its bandwidth", 1000, 0},
    {"back-delay", 0, VLY_OPT_DURATION, ARG(back_delay_ns), "TIME", "its delay", 0, VLY_S(60)},
    {"back-jitter", 0, VLY_OPT_DURATION, ARG(back_jitter_ns), "TIME", "its jitter", 0, VLY_S(60)},
    {"back-queue", 0, VLY_OPT_SIZE, ARG(back_queue_bytes), "SIZE", "its queue", 0,
     VLY_LINK_QUEUE_MAX},
    {"back-loss", 0, VLY_OPT_SHARE, ARG(back_loss), "SHARE", "packets lost on it", 0, 0},
};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct vly_opt_set linkemu_set = {
    .command = "bench linkemu",
    .usage = "[OPTION...]",
    .about = "Runs two commands in network namespaces of their own, with an emulated link between\n"
             "them. The commands find both addresses in VOLLEY_LEFT and VOLLEY_RIGHT. Rates count\n"
             "the bytes of IP packets; the receiving kernel drops packets that were damaged.\n\n"
             "Example:\n"
             "  volley bench linkemu --rate 100Mbit --delay 20ms --loss 1% \\\n"
             "      --right 'iperf3 -s -1' --left 'sleep 1; iperf3 -c $VOLLEY_RIGHT'\n",
    .groups = {{"Commands", run_opts, LEN(run_opts)},
               {"In the course of time", change_opts, LEN(change_opts)},
               {"The way back, where it differs", back_opts, LEN(back_opts)}},
};

static void print_way(const char *way, const struct bench_linkemu_stats *s)
{
    const struct vly_link_counters *n = &s->link;
    json_t *event = vly_json_event("link");

    vly_json_text(event, "way", way);
    vly_json_count(event, "offered_pkts", n->offered_pkts);
    vly_json_count(event, "offered_bytes", n->offered_bytes);
    vly_json_count(event, "delivered_pkts", n->delivered_pkts);
    vly_json_count(event, "delivered_bytes", n->delivered_bytes);
    vly_json_count(event, "lost_pkts", n->lost_pkts);
    vly_json_count(event, "burst_lost_pkts", n->burst_lost_pkts);
    vly_json_count(event, "queue_dropped_pkts", n->queue_dropped_pkts);
    vly_json_count(event, "codel_dropped_pkts", n->codel_dropped_pkts);
    vly_json_count(event, "mtu_dropped_pkts", n->mtu_dropped_pkts);
    vly_json_count(event, "outage_dropped_pkts", n->outage_dropped_pkts);
    vly_json_count(event, "reordered_pkts", n->reordered_pkts);
    vly_json_count(event, "duplicated_pkts", n->duplicated_pkts);
    vly_json_count(event, "corrupted_pkts", n->corrupted_pkts);
    vly_json_count(event, "truncated_pkts", n->truncated_pkts);
    vly_json_count(event, "ce_marked_pkts", n->ce_marked_pkts);
    vly_json_count(event, "queue_max_bytes", n->queue_max_bytes);
    vly_json_count(event, "memory_dropped_pkts", s->memory_dropped_pkts);
    vly_json_count(event, "refused_pkts", s->refused_pkts);
    vly_json_count(event, "late_pkts", s->late_pkts);
    vly_json_count(event, "late_max_ns", s->late_max_ns);
    vly_json_emit(event);
}

static void say_way(const struct vly_cli *cli, const char *way, const struct bench_linkemu_stats *s)
{
    const struct vly_link_counters *n = &s->link;

    vly_cli_say(cli,
                "%s: %" PRIu64 " packets, %" PRIu64 " lost, %" PRIu64 " dropped by the queue, "
                "%" PRIu64 " delivered of which %" PRIu64 " more than %s late",
                way, n->offered_pkts, n->lost_pkts, n->queue_dropped_pkts + n->codel_dropped_pkts,
                n->delivered_pkts, s->late_pkts, vly_duration_text(BENCH_LINKEMU_LATE_NS).s);
    if (s->memory_dropped_pkts > 0)
        vly_cli_say(cli,
                    "%s: %" PRIu64 " packets were dropped because the emulator may keep no more "
                    "than %s: less delay or rate would help",
                    way, s->memory_dropped_pkts, vly_bytes_text(BENCH_LINKEMU_MEMORY_BYTES).s);
}

static void report(const struct vly_cli *cli, const struct bench_lab *lab)
{
    struct bench_linkemu_stats stats[2];

    if (bench_lab_emulator_stats(lab, stats) != 0)
        return;
    if (cli->json) {
        print_way("left-to-right", &stats[BENCH_LEFT]);
        print_way("right-to-left", &stats[BENCH_RIGHT]);
    } else {
        say_way(cli, "left to right", &stats[BENCH_LEFT]);
        say_way(cli, "right to left", &stats[BENCH_RIGHT]);
    }
}

int bench_cmd_linkemu(int argc, char **argv)
{
    struct vly_cli cli = {.command = "bench linkemu"};
    struct vly_opt_set set = linkemu_set;
    struct bench_linkemu_args args;
    struct bench_linkemu_changes changes[2];
    struct bench_lab_spec spec;
    struct bench_lab *lab;
    char why[BENCH_WHY_BYTES];
    int code, first, err;

    bench_linkemu_args_init(&args);
    set.groups[3] = vly_link_group;
    first = vly_opt_parse(&set, argc, argv, &args, &code);
    if (first < 0)
        return code;
    cli.json = args.json;
    if (first < argc)
        return vly_cli_usage(&cli,
                             "takes no operands, but there is '%s'; --left and --right have "
                             "the commands",
                             vly_shown(argv[first]).text);
    if (bench_linkemu_args_spec(&args, changes, &spec, why) != 0)
        return vly_cli_usage(&cli, "%s", why);
    bench_linkemu_block_signals();
    err = bench_lab_open(&lab, &spec, why);
    if (err != 0)
        return vly_cli_fail(&cli, err, "%s", why);
    err = bench_linkemu_run(lab, args.left != NULL ? args.left : "exec \"${SHELL:-sh}\"",
                            args.right, &code, why);
    if (err == 0)
        report(&cli, lab);
    bench_lab_close(lab);
    return err != 0 ? vly_cli_fail(&cli, err, "%s", why) : code;
}
