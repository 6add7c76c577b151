#include "cli/link_opts.h"

#include "sim/link_model.h"

#define LINK(member) offsetof(struct vly_link_args, member)

static const struct vly_opt opts[] = {
    {"rate", 0, VLY_OPT_RATE, LINK(bytes_per_s), "RATE",
     "bandwidth each way, e.g. 100Mbit (default: infinite)", 1000, 0},
    {"delay", 0, VLY_OPT_DURATION, LINK(delay_ns), "TIME",
     "time each way, e.g. 25ms: half of the round trip (default: 0)", 0, VLY_S(60)},
    {"jitter", 0, VLY_OPT_DURATION, LINK(jitter_ns), "TIME",
     "random time added to the delay, at most", 0, VLY_S(60)},
    {"queue", 0, VLY_OPT_SIZE, LINK(queue_bytes), "SIZE",
     "queue before the link (default: one bandwidth-delay product, at least 64KiB)", 0,
     VLY_LINK_QUEUE_MAX},
    {"codel", 0, VLY_OPT_FLAG, LINK(codel), NULL,
     "the queue also drops early, by RFC 8289 (5 ms, 100 ms)", 0, 0},
    {"loss", 0, VLY_OPT_SHARE, LINK(loss), "SHARE", "packets lost each way, e.g. 1% (default: 0)",
     0, 0},
    {"burst", 0, VLY_OPT_NUMBER, LINK(burst_pkts), "N",
     "losses come in bursts of N packets on average, --loss of all packets in sum", 1, 100000},
    {"reorder", 0, VLY_OPT_SHARE, LINK(reorder), "SHARE",
     "packets held back, so that others overtake", 0, 0},
    {"reorder-delay", 0, VLY_OPT_DURATION, LINK(reorder_ns), "TIME",
     "how long they are held back (default: 1ms)", 1, VLY_S(60)},
    {"duplicate", 0, VLY_OPT_SHARE, LINK(duplicate), "SHARE", "packets that arrive twice", 0, 0},
    {"corrupt", 0, VLY_OPT_SHARE, LINK(corrupt), "SHARE", "packets with one bit flipped", 0, 0},
    {"truncate", 0, VLY_OPT_SHARE, LINK(truncate), "SHARE", "packets cut off somewhere", 0, 0},
    {"ce", 0, VLY_OPT_SHARE, LINK(ce_mark), "SHARE", "packets marked congestion experienced", 0, 0},
};

const struct vly_opt_group vly_link_group = {"Link", opts, sizeof(opts) / sizeof(opts[0])};

void vly_link_args_spec(const struct vly_link_args *args, struct vly_link_spec *out)
{
    *out = (struct vly_link_spec){
        .rate_bytes_per_s = args->bytes_per_s,
        .delay_ns = args->delay_ns,
        .jitter_ns = args->jitter_ns,
        .queue_bytes = args->queue_bytes,
        .reorder = args->reorder,
        .reorder_ns = args->reorder_ns,
        .duplicate = args->duplicate,
        .corrupt = args->corrupt,
        .truncate = args->truncate,
        .ce_mark = args->ce_mark,
        .codel = args->codel,
    };
    vly_link_spec_lose(out, args->loss, args->burst_pkts);
}
