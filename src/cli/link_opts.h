/*
 * link_opts - the options that describe an emulated link, the same for every command that has one.
 */
#ifndef VLY_CLI_LINK_OPTS_H
#define VLY_CLI_LINK_OPTS_H

#include "cli/opt.h"

#include <volley/sim.h>

/* First member of a command's arguments: the table relies on it. */
struct vly_link_args {
    uint64_t bytes_per_s, delay_ns, jitter_ns, queue_bytes;
    double loss;
    uint64_t burst_pkts;
    double reorder, duplicate, corrupt, truncate, ce_mark;
    uint64_t reorder_ns; /* give it its default: VLY_LINK_REORDER_NS */
    bool codel;
};

#define VLY_LINK_REORDER_NS VLY_MS(1)

extern const struct vly_opt_group vly_link_group;

/* One way of the link. */
void vly_link_args_spec(const struct vly_link_args *args, struct vly_link_spec *out);

#endif
