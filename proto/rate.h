/*
 * rate - delivery rate samples (draft-ietf-ccwg-bbr section 4.1, delivery rate estimation).
 *
 * Each sent packet carries a snapshot of what had been delivered when it left; when it is
 * acknowledged, the bytes delivered since, over the longer of the send and the ACK interval, is the
 * rate. No allocation, O(1).
 */
#ifndef VLY_PROTO_RATE_H
#define VLY_PROTO_RATE_H

#include <volley/base.h>

/* Taken when a packet is sent. */
struct vly_rate_snapshot {
    uint64_t delivered_bytes;
    uint64_t delivered_ns;
    uint64_t first_sent_ns;
    bool app_limited;
};

struct vly_rate {
    uint64_t delivered_bytes;
    uint64_t delivered_ns;
    uint64_t first_sent_ns;
    uint64_t
        app_limited_until; /* delivered_bytes that end the application-limited phase; 0: none */
    /* The sample being built over one ACK. */
    bool has_sample;
    uint64_t prior_delivered_bytes;
    uint64_t prior_delivered_ns;
    uint64_t send_elapsed_ns;
    uint64_t ack_elapsed_ns;
    bool sample_app_limited;
};

struct vly_rate_sample {
    uint64_t bytes_per_s; /* 0: no valid sample */
    uint64_t interval_ns;
    /* delivered_bytes when the newest acknowledged packet was sent: tells round trips apart. */
    uint64_t prior_delivered_bytes;
    bool app_limited;
};

void vly_rate_init(struct vly_rate *r, uint64_t now_ns);
/* Fills the snapshot of a packet sent now; `in_flight_bytes` before it. */
void vly_rate_on_sent(struct vly_rate *r, uint64_t now_ns, uint64_t in_flight_bytes,
                      struct vly_rate_snapshot *out);
/* One newly acknowledged packet. */
void vly_rate_on_acked(struct vly_rate *r, uint64_t now_ns, uint64_t sent_ns, uint32_t bytes,
                       const struct vly_rate_snapshot *snap);
/* Ends the ACK: gives the sample. `min_rtt_ns`: samples over a shorter interval are not valid. */
struct vly_rate_sample vly_rate_finish(struct vly_rate *r, uint64_t min_rtt_ns);
/* The application has nothing to send while the window has room. */
void vly_rate_on_app_limited(struct vly_rate *r, uint64_t in_flight_bytes);

#endif
