/*
 * ecn - whether the path to the peer carries ECN marks, RFC 9000 section 13.4.2.
 *
 * RULE 32. Packets go out with ECT(0) until the peer's counts contradict what was acknowledged:
 * then marks are switched off for good.
 */
#ifndef VLY_PROTO_ECN_H
#define VLY_PROTO_ECN_H

#include <volley/base.h>

struct vly_ecn_path {
    bool off;
    uint64_t ect0, ect1, ce; /* the peer's counts so far */
};

/* `newly_ect`: packets sent with ECT(0) that this ACK acknowledges for the first time.
 * `has_counts`: the ACK had counts. Returns how many CE marks are new. */
uint64_t vly_ecn_on_ack(struct vly_ecn_path *e, uint64_t newly_ect, bool has_counts,
                        const uint64_t counts[3]);

#endif
