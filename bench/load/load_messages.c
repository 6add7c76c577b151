/*
 * load_messages - what the two ends of a run say to each other, and what follows from it.
 *
 * Invariant: a message is heeded in its phase alone; out of turn it breaks the protocol and ends
 * the run. What the peer says is checked here and nowhere else.
 */
#include "bench/load/load_internal.h"

#include "crypto/crypto.h"
#include "file/path.h"
#include "net/clock.h"

#include <sodium.h>
#include <string.h>

#define PROTOCOL_NAME "volley-bench"

static const char *const way_names[] = {[BENCH_FORWARD] = "forward", [BENCH_BACK] = "back"};

const char *bench_way_name(enum bench_way way)
{
    return way_names[way];
}

static const char *text_of(const json_t *message, const char *key)
{
    const char *text = json_string_value(json_object_get(message, key));

    return text != NULL ? text : "";
}

bool bench_way_parse(const json_t *message, enum bench_way *out)
{
    const char *name = text_of(message, "way");

    *out = strcmp(name, way_names[BENCH_BACK]) == 0 ? BENCH_BACK : BENCH_FORWARD;
    return strcmp(name, way_names[*out]) == 0;
}

void bench_load_tell_way(struct bench_load *load, const char *type, enum bench_way way)
{
    json_t *message = bench_message(type);

    if (message != NULL)
        (void)json_object_set_new(message, "way", json_string(bench_way_name(way)));
    bench_control_send(&load->control, message);
}

void bench_load_tell_result(struct bench_load *load)
{
    json_t *message = bench_message("result");

    if (message != NULL) {
        (void)json_object_set_new(message, "forward", bench_sample_to_json(&load->out->forward));
        (void)json_object_set_new(message, "back", bench_sample_to_json(&load->out->back));
    }
    bench_control_send(&load->control, message);
}

/* ---- joining ---- */

static int join(struct bench_load *load)
{
    struct vly_fault why;

    bench_load_set_phase(load, BENCH_LOAD_JOINING);
    if (bench_load_make_flow(load, &why) == 0)
        return 0;
    bench_load_fail(load, why.err, "%s", why.text);
    return why.err;
}

static void on_hello(struct bench_load *load, const json_t *message)
{
    const json_t *version = json_object_get(message, "version");
    json_t *answer = bench_message("request");

    if (strcmp(text_of(message, "protocol"), PROTOCOL_NAME) != 0) {
        bench_load_fail(load, VLY_E_PROTOCOL, "%s is no volley bench serve", load->peer);
    } else if (json_integer_value(version) != BENCH_LOAD_VERSION) {
        bench_load_fail(load, VLY_E_VERSION,
                        "%s speaks version %lld of the load generator, this end %d; use the same "
                        "volley at both ends",
                        load->peer, (long long)json_integer_value(version), BENCH_LOAD_VERSION);
    } else if (answer != NULL) {
        (void)json_object_set_new(answer, "version", json_integer(BENCH_LOAD_VERSION));
        (void)json_object_set_new(answer, "request", bench_request_to_json(&load->request));
        bench_control_send(&load->control, answer);
        bench_load_set_phase(load, BENCH_LOAD_ASKING);
        return;
    }
    json_decref(answer);
}

/* The control connection vouches for the key of a sealed run, so that nobody's known hosts are
 * touched. It is as good as the network it goes over: enough for a measurement, no more. */
static void set_key(json_t *answer, const struct bench_load *load)
{
    char text[2 * VLY_PUBLIC_KEY_BYTES + 1];

    if (!bench_protocol_is_sealed(load->request.protocol))
        return;
    sodium_bin2hex(text, sizeof(text), load->server_key, sizeof(load->server_key));
    (void)json_object_set_new(answer, "key", json_string(text));
}

static bool read_key(const json_t *message, struct bench_load *load)
{
    const char *text = text_of(message, "key");
    size_t len;

    if (!bench_protocol_is_sealed(load->request.protocol))
        return true;
    return sodium_hex2bin(load->server_key, sizeof(load->server_key), text, strlen(text), NULL,
                          &len, NULL) == 0 &&
           len == sizeof(load->server_key);
}

static void on_request(struct bench_load *load, const json_t *message)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    char token[BENCH_TOKEN_TEXT];
    struct vly_fault why;
    json_t *answer, *ports;
    unsigned n_ports;

    if (json_integer_value(json_object_get(message, "version")) != BENCH_LOAD_VERSION) {
        bench_load_fail(load, VLY_E_VERSION, "the server speaks version %d of the load generator",
                        BENCH_LOAD_VERSION);
        return;
    }
    load->session->asked = true;
    if (bench_request_from_json(&load->request, json_object_get(message, "request"), &why) != 0) {
        bench_load_fail(load, why.err, "%s", why.text);
        return;
    }
    load->session->request = load->request;
    crypto->random(crypto->random_ctx, load->token.bytes, sizeof(load->token.bytes));
    if (join(load) != 0)
        return;
    answer = bench_message("ready");
    ports = json_array();
    n_ports = load->flow->ops->n_ports != 0 ? load->flow->ops->n_ports : load->flow->n_conns;
    for (unsigned i = 0; i < n_ports; i++)
        (void)json_array_append_new(ports, json_integer(load->ports[i]));
    bench_token_text(&load->token, token);
    if (answer != NULL) {
        (void)json_object_set_new(answer, "token", json_string(token));
        (void)json_object_set(answer, "ports", ports);
        set_key(answer, load);
    }
    json_decref(ports);
    bench_control_send(&load->control, answer);
}

static void on_ready(struct bench_load *load, const json_t *message)
{
    const json_t *ports = json_object_get(message, "ports");
    size_t n = json_array_size(ports);

    if (bench_token_parse(&load->token, text_of(message, "token")) != 0 || n == 0 ||
        n > BENCH_CONNS_MAX) {
        bench_load_fail(load, VLY_E_PROTOCOL, "%s gives no token or no ports", load->peer);
        return;
    }
    if (!read_key(message, load)) {
        bench_load_fail(load, VLY_E_PROTOCOL, "%s gives no key", load->peer);
        return;
    }
    for (size_t i = 0; i < BENCH_CONNS_MAX; i++)
        load->ports[i] = (uint16_t)json_integer_value(json_array_get(ports, i < n ? i : 0));
    (void)join(load);
}

static void on_start(struct bench_load *load, const json_t *message)
{
    (void)message;
    bench_load_start(load, vly_clock_now_ns());
}

/* ---- running ---- */

static void on_sent(struct bench_load *load, const json_t *message)
{
    enum bench_way way;

    if (!bench_way_parse(message, &way) || load->halves[way].sends)
        return;
    load->halves[way].all_handed = load->request.protocol == BENCH_UDP_RAW;
    bench_load_wake(load);
}

static void on_stop(struct bench_load *load, const json_t *message)
{
    enum bench_way way;

    if (load->phase == BENCH_LOAD_RUNNING && bench_way_parse(message, &way) &&
        load->halves[way].used && load->halves[way].sends && !load->halves[way].over)
        bench_half_stop(load, &load->halves[way]);
}

static void on_interval(struct bench_load *load, const json_t *message)
{
    bench_half_take_interval(load, message);
}

static void on_state(struct bench_load *load, const json_t *message)
{
    bench_half_take_state(load, message);
}

/* ---- the end ---- */

/* Takes over what this end does not know. */
static void merge(struct bench_sample *s, const struct bench_sample *theirs)
{
#define X(name, text)             \
    if (s->name == BENCH_UNKNOWN) \
        s->name = theirs->name;
    BENCH_FIGURES(X)
#undef X
    if (s->cc[0] == '\0')
        memcpy(s->cc, theirs->cc, sizeof(s->cc));
    if (s->io[0] == '\0')
        memcpy(s->io, theirs->io, sizeof(s->io));
    if (s->suite[0] == '\0')
        memcpy(s->suite, theirs->suite, sizeof(s->suite));
    if (s->crypto[0] == '\0')
        memcpy(s->crypto, theirs->crypto, sizeof(s->crypto));
}

static void on_result(struct bench_load *load, const json_t *message)
{
    static const char *const keys[] = {"forward", "back"};

    for (unsigned way = 0; way < BENCH_WAYS; way++) {
        struct bench_sample theirs;
        int err;

        bench_sample_init(&theirs);
        err = bench_sample_from_json(&theirs, json_object_get(message, keys[way]));
        if (err == 0)
            merge(bench_load_sample(load, way), &theirs);
        bench_sample_fini(&theirs);
        if (err != 0) {
            bench_load_fail(load, VLY_E_PROTOCOL, "%s sent a result that cannot be read",
                            load->peer);
            return;
        }
    }
    load->peer_over = true;
    bench_load_half_over(load);
}

/* The peer gave up: nothing is to be said to it any more. */
static void on_error(struct bench_load *load, const json_t *message)
{
    int err = bench_err_of(text_of(message, "code"));

    if (load->phase == BENCH_LOAD_ENDED)
        return;
    if (load->out->forward.err == 0)
        (void)bench_sample_fail(&load->out->forward, err, "%s: %s", load->peer,
                                vly_shown(text_of(message, "message")).text);
    bench_load_end(load);
}

static void on_alive(struct bench_load *load, const json_t *message)
{
    (void)load;
    (void)message;
}

enum who { BY_SERVER = 1, BY_CLIENT = 2, BY_BOTH = 3 };

static const struct {
    const char *type;
    enum who by;
    enum bench_load_phase from, to; /* in which it may come */
    void (*handle)(struct bench_load *load, const json_t *message);
} messages[] = {
    {"hello", BY_SERVER, BENCH_LOAD_GREETING, BENCH_LOAD_GREETING, on_hello},
    {"request", BY_CLIENT, BENCH_LOAD_GREETING, BENCH_LOAD_GREETING, on_request},
    {"ready", BY_SERVER, BENCH_LOAD_ASKING, BENCH_LOAD_ASKING, on_ready},
    {"start", BY_SERVER, BENCH_LOAD_JOINING, BENCH_LOAD_JOINING, on_start},
    /* What is under way when the run ends at one end reaches it later. */
    {"sent", BY_BOTH, BENCH_LOAD_JOINING, BENCH_LOAD_ENDED, on_sent},
    {"stop", BY_BOTH, BENCH_LOAD_RUNNING, BENCH_LOAD_ENDED, on_stop},
    {"interval", BY_SERVER, BENCH_LOAD_RUNNING, BENCH_LOAD_ENDED, on_interval},
    {"state", BY_SERVER, BENCH_LOAD_RUNNING, BENCH_LOAD_ENDED, on_state},
    {"result", BY_SERVER, BENCH_LOAD_RUNNING, BENCH_LOAD_ENDED, on_result},
    {"alive", BY_BOTH, BENCH_LOAD_GREETING, BENCH_LOAD_ENDED, on_alive},
    {"error", BY_BOTH, BENCH_LOAD_GREETING, BENCH_LOAD_ENDED, on_error},
};

void bench_load_on_message(void *user, const char *type, const json_t *message)
{
    struct bench_load *load = user;
    enum who sender = load->server ? BY_CLIENT : BY_SERVER;

    if (load->phase == BENCH_LOAD_ENDED) /* there may be no flow to ask */
        return;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        if (strcmp(type, messages[i].type) != 0 || (messages[i].by & sender) == 0)
            continue;
        if (load->phase >= messages[i].from && load->phase <= messages[i].to) {
            messages[i].handle(load, message);
            return;
        }
    }
    bench_load_fail(load, VLY_E_PROTOCOL, "%s sent '%s' out of turn", load->peer,
                    vly_shown(type).text);
}

void bench_load_on_lost(void *user, const struct vly_fault *why)
{
    struct bench_load *load = user;

    if (load->phase == BENCH_LOAD_OVER && load->server) {
        bench_load_end(load);
        return;
    }
    if (load->phase == BENCH_LOAD_GREETING || why->err == VLY_E_PROTOCOL)
        bench_load_fail(load, VLY_E_PROTOCOL, "%s does not answer as volley bench serve does: %s",
                        load->peer, why->text);
    else
        bench_load_fail(load, VLY_E_LOST, "%s went away in the middle of the run: %s", load->peer,
                        why->text);
}
