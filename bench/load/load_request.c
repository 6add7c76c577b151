/*
 * load_request - what a client of the load generator asks for, as JSON and within its limits.
 */
#include "bench/load/load_request.h"

#include "crypto/crypto.h"
#include "file/path.h"
#include "net/udp_socket.h"
#include "proto/ackset.h"
#include "proto/cc.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define DURATION_DEFAULT_NS VLY_S(10)
#define TIMEOUT_DEFAULT_NS VLY_S(10)
#define BLOCK_DEFAULT_BYTES (UINT64_C(128) << 10)
#define DATAGRAM_MIN_BYTES 64u          /* of raw UDP: it holds its header */
#define VOLLEY_DATAGRAM_MIN_BYTES 1200u /* proto/SPEC.md */
#define TCP_MSS_MIN_BYTES 88u           /* what TCP_MAXSEG takes */

static_assert(BENCH_ACK_EVERY_MAX == VLY_ACK_EVERY_MAX, "what the engine takes");

static const char *const protocol_names[] = {
    [BENCH_TCP] = "tcp",
    [BENCH_TLS] = "tls",
    [BENCH_UDP_RAW] = "udp-raw",
    [BENCH_VOLLEY] = "volley",
    [BENCH_VOLLEY_PLAIN] = "volley-plain",
    [BENCH_VOLLEY_TCP] = "volley-tcp",
};

const char *bench_protocol_name(enum bench_protocol protocol)
{
    return protocol_names[protocol];
}

bool bench_protocol_is_volley(enum bench_protocol protocol)
{
    return protocol >= BENCH_VOLLEY;
}

bool bench_protocol_is_sealed(enum bench_protocol protocol)
{
    return protocol == BENCH_VOLLEY || protocol == BENCH_VOLLEY_TCP;
}

static bool moves_datagrams(enum bench_protocol protocol)
{
    return protocol == BENCH_UDP_RAW || protocol == BENCH_VOLLEY || protocol == BENCH_VOLLEY_PLAIN;
}

static bool sends_acks(enum bench_protocol protocol)
{
    return protocol == BENCH_VOLLEY || protocol == BENCH_VOLLEY_PLAIN;
}

bool bench_protocol_parse(const char *name, enum bench_protocol *out)
{
    for (size_t i = 0; i < sizeof(protocol_names) / sizeof(protocol_names[0]); i++)
        if (strcmp(name, protocol_names[i]) == 0) {
            *out = (enum bench_protocol)i;
            return true;
        }
    return false;
}

void bench_request_init(struct bench_request *r)
{
    *r = (struct bench_request){
        .protocol = BENCH_VOLLEY,
        .duration_ns = DURATION_DEFAULT_NS,
        .timeout_ns = TIMEOUT_DEFAULT_NS,
        .parallel = 1,
        .block_bytes = BLOCK_DEFAULT_BYTES,
    };
}

/* ---- what is possible ---- */

static int check_limits(const struct bench_request *r, struct vly_fault *why)
{
    const struct {
        const char *name;
        uint64_t value, least, most;
    } numbers[] = {
#define X(name, least, most) {#name, r->name, least, most},
        BENCH_REQUEST_NUMBERS(X)
#undef X
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].value < numbers[i].least || numbers[i].value > numbers[i].most)
            return vly_fault_set(
                why, VLY_E_INVALID, "%s %" PRIu64 " is out of bounds: %" PRIu64 " to %" PRIu64,
                numbers[i].name, numbers[i].value, numbers[i].least, numbers[i].most);
    return 0;
}

static int check_volley_cc(const struct bench_request *r, struct vly_fault *why)
{
    char names[128] = "";
    const struct vly_cc_ops *ops;
    size_t len = 0;

    if (r->cc[0] == '\0' || vly_cc_find(r->cc) != NULL) {
        if (strcmp(r->cc, "fixed") == 0 && r->rate_bytes_per_s == 0)
            return vly_fault_set(why, VLY_E_INVALID, "a fixed rate needs --rate");
        return 0;
    }
    for (size_t i = 0; (ops = vly_cc_at(i)) != NULL && len < sizeof(names); i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, " %s", ops->name);
    return vly_fault_set(why, VLY_E_INVALID, "volley has no congestion control '%s'; there are:%s",
                         vly_shown(r->cc).text, names);
}

static int check_mss(const struct bench_request *r, struct vly_fault *why)
{
    bool tcp = !moves_datagrams(r->protocol);
    unsigned least = tcp                            ? TCP_MSS_MIN_BYTES
                     : r->protocol == BENCH_UDP_RAW ? DATAGRAM_MIN_BYTES
                                                    : VOLLEY_DATAGRAM_MIN_BYTES;
    unsigned most = tcp ? BENCH_TCP_MSS_MAX : BENCH_DATAGRAM_MAX;

    if (r->mss_bytes == 0 || (r->mss_bytes >= least && r->mss_bytes <= most))
        return 0;
    return vly_fault_set(why, VLY_E_INVALID, "--mss of %s is %u to %u, not %llu",
                         bench_protocol_name(r->protocol), least, most,
                         (unsigned long long)r->mss_bytes);
}

/* The path of our own links over TCP has fewer tunables than plain sockets. */
static int check_volley_tcp(const struct bench_request *r, struct vly_fault *why)
{
    if (r->mss_bytes == 0 && r->rate_bytes_per_s == 0)
        return 0;
    return vly_fault_set(why, VLY_E_INVALID, "volley-tcp takes neither --mss nor --rate");
}

static int check_protection(const struct bench_request *r, struct vly_fault *why)
{
    struct vly_crypto crypto = *vly_crypto_system();
    enum vly_backend backend = VLY_BACKEND_AUTO;
    int err;

    if (r->suite[0] == '\0' && r->crypto[0] == '\0')
        return 0;
    if (!bench_protocol_is_sealed(r->protocol))
        return vly_fault_set(why, VLY_E_INVALID, "%s has no choice of --suite and --crypto",
                             bench_protocol_name(r->protocol));
    if (r->crypto[0] != '\0' && !vly_backend_parse(r->crypto, &backend))
        return vly_fault_set(why, VLY_E_INVALID,
                             "there is no --crypto '%s'; there is auto, openssl, ipsec-mb",
                             vly_shown(r->crypto).text);
    err = vly_crypto_choose(&crypto, backend, r->suite[0] != '\0' ? r->suite : NULL);
    if (err == VLY_E_STATE)
        return vly_fault_set(why, VLY_E_INVALID, "this machine has no --crypto %s", r->crypto);
    if (err != 0)
        return vly_fault_set(why, VLY_E_INVALID, "there is no --suite '%s'%s%s",
                             vly_shown(r->suite).text, r->crypto[0] != '\0' ? " by " : "",
                             r->crypto);
    return 0;
}

int bench_request_check(const struct bench_request *r, struct vly_fault *why)
{
    enum vly_io io;
    int err;

    if ((err = check_limits(r, why)) != 0 || (err = check_mss(r, why)) != 0)
        return err;
    if ((r->duration_ns == 0) == (r->bytes == 0))
        return vly_fault_set(why, VLY_E_INVALID,
                             "a run has either a duration or a number of bytes");
    if (r->bytes != 0 && r->bytes < r->parallel)
        return vly_fault_set(why, VLY_E_INVALID, "each stream needs at least one byte to move");
    if (r->bytes != 0 && r->warmup_ns != 0)
        return vly_fault_set(why, VLY_E_INVALID,
                             "a warm-up goes with a duration, not with a number of bytes");
    if (r->reverse && r->bidir)
        return vly_fault_set(why, VLY_E_INVALID, "both ways at once cannot be reversed");
    if (r->verify && r->protocol == BENCH_UDP_RAW)
        return vly_fault_set(why, VLY_E_INVALID, "raw UDP has nothing to verify");
    if (r->io[0] != '\0' && (!moves_datagrams(r->protocol) || !vly_io_parse(r->io, &io)))
        return vly_fault_set(why, VLY_E_INVALID, "%s has no way to send called '%s'",
                             bench_protocol_name(r->protocol), vly_shown(r->io).text);
    if (r->ack_every_pkts != 0 && !sends_acks(r->protocol))
        return vly_fault_set(why, VLY_E_INVALID, "%s has no choice of --ack-every",
                             bench_protocol_name(r->protocol));
    if (r->cc[0] != '\0' && r->protocol == BENCH_UDP_RAW)
        return vly_fault_set(why, VLY_E_INVALID, "raw UDP has no congestion control");
    if ((err = check_protection(r, why)) != 0 || !bench_protocol_is_volley(r->protocol))
        return err;
    return r->protocol == BENCH_VOLLEY_TCP ? check_volley_tcp(r, why) : check_volley_cc(r, why);
}

/* ---- JSON ---- */

json_t *bench_request_to_json(const struct bench_request *r)
{
    json_t *o = json_object();
    int bad = o == NULL;

    bad |= json_object_set_new(o, "protocol", json_string(bench_protocol_name(r->protocol)));
#define X(name, least, most) \
    bad |= json_object_set_new(o, #name, json_integer((json_int_t)r->name));
    BENCH_REQUEST_NUMBERS(X)
#undef X
#define X(name) bad |= json_object_set_new(o, #name, json_boolean(r->name));
    BENCH_REQUEST_FLAGS(X)
#undef X
    bad |= json_object_set_new(o, "cc", json_string(r->cc));
    bad |= json_object_set_new(o, "io", json_string(r->io));
    bad |= json_object_set_new(o, "suite", json_string(r->suite));
    bad |= json_object_set_new(o, "crypto", json_string(r->crypto));
    if (bad != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* The readers return whether the member was as it should be. */
static bool read_number(const json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_flag(const json_t *object, const char *name, bool *out)
{
    const json_t *value = json_object_get(object, name);

    *out = json_is_true(value);
    return json_is_boolean(value);
}

static bool read_text(const json_t *object, const char *name, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (text == NULL || strlen(text) >= cap)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

int bench_request_from_json(struct bench_request *out, const json_t *object, struct vly_fault *why)
{
    char protocol[16];

    *out = (struct bench_request){0};
    if (!read_text(object, "protocol", protocol, sizeof(protocol)) ||
        !bench_protocol_parse(protocol, &out->protocol))
        return vly_fault_set(why, VLY_E_MALFORMED, "the request names no protocol known here");
#define X(name, least, most)                     \
    if (!read_number(object, #name, &out->name)) \
        return vly_fault_set(why, VLY_E_MALFORMED, "the request's %s is no number", #name);
    BENCH_REQUEST_NUMBERS(X)
#undef X
#define X(name)                                \
    if (!read_flag(object, #name, &out->name)) \
        return vly_fault_set(why, VLY_E_MALFORMED, "the request's %s is no boolean", #name);
    BENCH_REQUEST_FLAGS(X)
#undef X
    if (!read_text(object, "cc", out->cc, sizeof(out->cc)) ||
        !read_text(object, "io", out->io, sizeof(out->io)) ||
        !read_text(object, "suite", out->suite, sizeof(out->suite)) ||
        !read_text(object, "crypto", out->crypto, sizeof(out->crypto)))
        return vly_fault_set(why, VLY_E_MALFORMED,
                             "the request's cc, io, suite or crypto is no short text");
    return bench_request_check(out, why);
}

/* ---- ways, streams, shares ---- */

unsigned bench_request_conns(const struct bench_request *r)
{
    return (unsigned)r->parallel * (r->bidir ? 2 : 1);
}

bool bench_request_sends(const struct bench_request *r, bool server, enum bench_way way)
{
    bool server_sends = (way == BENCH_BACK) != r->reverse;

    return server == server_sends;
}

uint64_t bench_request_share(const struct bench_request *r, unsigned stream)
{
    if (r->bytes == 0)
        return UINT64_MAX;
    return r->bytes / r->parallel + (stream == 0 ? r->bytes % r->parallel : 0);
}

/* ---- token and preamble ---- */

void bench_token_text(const struct bench_token *token, char text[BENCH_TOKEN_TEXT])
{
    for (size_t i = 0; i < BENCH_TOKEN_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", token->bytes[i]);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int bench_token_parse(struct bench_token *out, const char *text)
{
    if (strlen(text) != 2 * BENCH_TOKEN_BYTES)
        return VLY_E_MALFORMED;
    for (size_t i = 0; i < BENCH_TOKEN_BYTES; i++) {
        int high = digit(text[2 * i]);
        int low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return VLY_E_MALFORMED;
        out->bytes[i] = (uint8_t)(high * 16 + low);
    }
    return 0;
}

bool bench_token_equal(const uint8_t *a, const struct bench_token *b)
{
    return CRYPTO_memcmp(a, b->bytes, BENCH_TOKEN_BYTES) == 0;
}

void bench_preamble_write(uint8_t out[BENCH_PREAMBLE_BYTES], const struct bench_token *token,
                          unsigned conn)
{
    memcpy(out, token->bytes, BENCH_TOKEN_BYTES);
    out[BENCH_TOKEN_BYTES] = (uint8_t)(conn >> 8);
    out[BENCH_TOKEN_BYTES + 1] = (uint8_t)conn;
}

bool bench_preamble_read(const uint8_t in[BENCH_PREAMBLE_BYTES], const struct bench_token *token,
                         unsigned conns, unsigned *out_conn)
{
    unsigned conn = (unsigned)in[BENCH_TOKEN_BYTES] << 8 | in[BENCH_TOKEN_BYTES + 1];

    if (!bench_token_equal(in, token) || conn >= conns)
        return false;
    *out_conn = conn;
    return true;
}
