/*
 * tcp_frame - preface and records of a connection over TCP, SPEC 13.
 *
 * Pure: bytes to struct and back; no allocation. A decoder says VLY_E_AGAIN for the beginning of
 * something valid and refuses as soon as a byte is wrong, so that a stranger is turned away by its
 * first bytes. Content is no concern of it: a DATA record's header is followed by that many bytes.
 */
#ifndef VLY_NET_TCP_FRAME_H
#define VLY_NET_TCP_FRAME_H

#include "proto/handshake.h"
#include "proto/wire.h"

#define VLY_TCP_PREFACE_BYTES 64u
#define VLY_TCP_HEADER_BYTES 16u
#define VLY_TCP_VERSION 1u
#define VLY_TCP_DATA_MAX (1u << 20)            /* content of a record */
#define VLY_TCP_APPLICATION_MAX 32u            /* as in HELLO */
#define VLY_TCP_STREAMS_MAX 65536u             /* that a preface may allow */
#define VLY_TCP_IDLE_MAX_MS 600000u            /* as in HELLO */
#define VLY_TCP_BODY_MAX (8u + VLY_REASON_MAX) /* of any record but DATA */

/* What each end says first. */
struct vly_tcp_preface {
    uint8_t suite;            /* enum vly_suite; which are known is the caller's matter */
    uint16_t handshake_bytes; /* that follow: none in plain, nor where a server refuses */
    uint32_t max_streams;     /* streams of the other end open at a time */
    uint32_t data_max_bytes;  /* largest content of a record this end reads */
    uint32_t idle_timeout_ms; /* silence after which this end gives up */
    uint64_t credit_bytes;    /* content the other end may send on each new stream */
    char application[VLY_TCP_APPLICATION_MAX + 1];
};

/* X(NAME, type, flags allowed, smallest body, largest body) */
#define VLY_TCP_RECORDS(X)                   \
    X(DATA, 0x01, 0x01, 0, VLY_TCP_DATA_MAX) \
    X(RESET, 0x02, 0, 8, 8)                  \
    X(STOP, 0x03, 0, 8, 8)                   \
    X(CREDIT, 0x04, 0, 8, 8)                 \
    X(PING, 0x05, 0, 0, 0)                   \
    X(PONG, 0x06, 0, 0, 0)                   \
    X(CLOSE, 0x07, 0x01, 8, VLY_TCP_BODY_MAX)

enum vly_tcp_type {
#define X(name, type, flags, min, max) VLY_TCP_##name = (type),
    VLY_TCP_RECORDS(X)
#undef X
};

#define VLY_TCP_FIN 0x01u         /* of DATA: the stream ends with it */
#define VLY_TCP_APPLICATION 0x01u /* of CLOSE: the code is one of the protocol above */

struct vly_tcp_header {
    enum vly_tcp_type type;
    uint8_t flags;
    uint32_t length; /* of what follows */
    uint64_t stream; /* 0 in PING, PONG and CLOSE */
};

/* Any record but DATA. */
struct vly_tcp_control {
    struct vly_tcp_header header;
    uint64_t value;         /* code of RESET, STOP, CLOSE; limit of CREDIT */
    struct vly_span reason; /* of CLOSE; borrowed */
};

void vly_tcp_preface_encode(const struct vly_tcp_preface *p, uint8_t out[VLY_TCP_PREFACE_BYTES]);
/* Returns 0, VLY_E_AGAIN (it goes on), VLY_E_PROTOCOL (that is no preface), VLY_E_VERSION,
 * VLY_E_MALFORMED (a value out of its limits). */
VLY_MUST_USE int vly_tcp_preface_decode(struct vly_tcp_preface *p, struct vly_span in);

void vly_tcp_header_encode(const struct vly_tcp_header *h, uint8_t out[VLY_TCP_HEADER_BYTES]);
/* Returns 0, VLY_E_AGAIN, VLY_E_MALFORMED. */
VLY_MUST_USE int vly_tcp_header_decode(struct vly_tcp_header *h, struct vly_span in);

/* Writes header and body, whose length it finds out; returns how many bytes. A reason of more than
 * VLY_REASON_MAX bytes is cut. */
size_t vly_tcp_control_encode(const struct vly_tcp_control *c,
                              uint8_t out[VLY_TCP_HEADER_BYTES + VLY_TCP_BODY_MAX]);
/* Reads the body that belongs to `header`, `body.len` bytes as it says. VLY_E_MALFORMED. */
VLY_MUST_USE int vly_tcp_control_decode(struct vly_tcp_control *c,
                                        const struct vly_tcp_header *header, struct vly_span body);

#endif
