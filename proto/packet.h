/*
 * packet - the datagrams of SPEC 2: headers, bodies of the handshake packets, transport parameters.
 *
 * Encoders write everything up to the tag and set w->failed when that, with VLY_TAG_BYTES of room
 * left for the tag, does not fit; what a caller fills in wrongly (a cookie that is too long) is
 * asserted. Decoders are given the packet without its tag (the caller has verified it) and return
 * 0 or VLY_E_MALFORMED: cut short, bytes left over, a value out of its limits, a connection id of
 * zero (RULE 14). On failure the output is meaningless. Spans in decoded structs are borrowed from
 * the input. Whether a reason or a name is valid UTF-8 is not looked at: whoever prints it does.
 * Cost: proportional to the bytes of the packet; no allocation.
 */
#ifndef VLY_PROTO_PACKET_H
#define VLY_PROTO_PACKET_H

#include "crypto.h"
#include "wire.h"

#define VLY_VERSION_1 UINT32_C(0x564c5901)
#define VLY_DATAGRAM_MIN 27 /* RETRY with a cookie of one byte, tag included */
#define VLY_DATAGRAM_BASE 1200
#define VLY_DATAGRAM_MAX 65507
#define VLY_DATA_HEADER_BYTES 17
#define VLY_COOKIE_MAX 64
#define VLY_RESET_TOKEN_BYTES 16
#define VLY_SUITES_MAX 8
#define VLY_APPLICATION_MAX 32
#define VLY_UNKNOWN_BYTES 41
#define VLY_STREAMS_MAX (UINT64_C(1) << 60)

enum vly_packet_type {
    VLY_PACKET_HELLO = 0x01,
    VLY_PACKET_RETRY = 0x02,
    VLY_PACKET_ACCEPT = 0x03,
    VLY_PACKET_FINISH = 0x04,
    VLY_PACKET_VERSIONS = 0x05,
    VLY_PACKET_UNKNOWN = 0x06,
    VLY_PACKET_REFUSE = 0x07,
    VLY_PACKET_DATA = 0x40,
};
#define VLY_KEY_PHASE_BIT 0x01

struct vly_params {
    uint64_t max_data_bytes;
    uint64_t max_stream_data_bytes;
    uint64_t max_streams;
    uint64_t idle_timeout_ms;
    uint64_t max_ack_delay_us;
    uint64_t max_datagram_bytes;
    bool has_reset_token;
    uint8_t reset_token[VLY_RESET_TOKEN_BYTES];
    uint8_t application_len; /* 0: none */
    char application[VLY_APPLICATION_MAX];
};

struct vly_hello {
    uint32_t version;
    uint64_t client_cid;
    struct vly_span suites;    /* one byte each */
    struct vly_span cookie;    /* empty in the first HELLO */
    struct vly_span handshake; /* empty for plain */
    struct vly_span params;    /* encoded, see vly_params_decode */
};

struct vly_retry {
    uint64_t client_cid;
    struct vly_span cookie;
};

struct vly_accept {
    uint64_t client_cid;
    uint64_t server_cid;
    uint32_t version;
    uint8_t suite;
    struct vly_span handshake;
    struct vly_span params;
};

struct vly_finish {
    uint64_t server_cid;
    struct vly_span handshake;
};

struct vly_versions {
    uint64_t client_cid;
    struct vly_span versions; /* u32 each, big-endian; at least one */
};

struct vly_unknown {
    uint64_t server_cid;
    uint8_t token[VLY_RESET_TOKEN_BYTES];
};

struct vly_refuse {
    uint64_t client_cid;
    uint64_t code;
    struct vly_span reason;
};

struct vly_data_header {
    bool key_phase;
    uint64_t cid;
    uint64_t pn;
};

/* Values of SPEC 2.10's default column. */
void vly_params_init(struct vly_params *p);
/* Writes every integer, and token and application where there is one; values out of their limits
 * are asserted. No room is kept for a tag. */
void vly_params_encode(struct vly_wr *w, const struct vly_params *p);
/* Returns 0 or VLY_E_MALFORMED (bad value, duplicate id, cut short); starts from the defaults. */
VLY_MUST_USE int vly_params_decode(struct vly_params *p, struct vly_span in);

/* HELLO is padded with zeros to VLY_DATAGRAM_BASE including the tag still to come. Decoding one of
 * less is VLY_E_MALFORMED; one of a version other than 1 returns VLY_E_VERSION with `version` and
 * `client_cid` filled. */
void vly_hello_encode(struct vly_wr *w, const struct vly_hello *h);
VLY_MUST_USE int vly_hello_decode(struct vly_hello *h, struct vly_span in);
void vly_retry_encode(struct vly_wr *w, const struct vly_retry *p);
VLY_MUST_USE int vly_retry_decode(struct vly_retry *p, struct vly_span in);
void vly_accept_encode(struct vly_wr *w, const struct vly_accept *p);
VLY_MUST_USE int vly_accept_decode(struct vly_accept *p, struct vly_span in);
/* A FINISH without a message is VLY_E_MALFORMED. */
void vly_finish_encode(struct vly_wr *w, const struct vly_finish *p);
VLY_MUST_USE int vly_finish_decode(struct vly_finish *p, struct vly_span in);
/* Offers version 1 only. */
void vly_versions_encode(struct vly_wr *w, uint64_t client_cid);
VLY_MUST_USE int vly_versions_decode(struct vly_versions *p, struct vly_span in);
void vly_unknown_encode(struct vly_wr *w, const struct vly_unknown *p);
VLY_MUST_USE int vly_unknown_decode(struct vly_unknown *p, struct vly_span in);
void vly_refuse_encode(struct vly_wr *w, const struct vly_refuse *p);
VLY_MUST_USE int vly_refuse_decode(struct vly_refuse *p, struct vly_span in);
/* The header alone, VLY_DATA_HEADER_BYTES: frames follow, room for the tag is the caller's matter.
 * Decoding takes header and frames (at least one byte of them) and reads the header only. */
void vly_data_header_encode(struct vly_wr *w, const struct vly_data_header *h);
VLY_MUST_USE int vly_data_header_decode(struct vly_data_header *h, struct vly_span in);

#endif
