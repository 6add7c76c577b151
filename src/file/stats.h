/*
 * stats - what a link counted, as a transfer's statistics.
 */
#ifndef VLY_FILE_STATS_H
#define VLY_FILE_STATS_H

#include <volley/transport.h>

#include <volley/transfer.h>

/* Fills *out from the link's counters; files, bytes and duration are 0. */
void vly_stats_from_link(struct vly_transfer_stats *out, const struct vly_link *link);

#endif
