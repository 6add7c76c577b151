/*
 * conn_path: when the server follows its client to another address, and when it does not. The
 * client is scripted (raw.h). An address here is a port, one byte, and a host.
 */
#include <string.h>

#include "proto/conn_internal.h"
#include "support/raw.h"

#define CHALLENGE_BYTES (17 + 9 + 16)
#define SMALLEST_BYTES (17 + 1 + 16) /* of a DATA packet */

static const struct vly_addr home = {3, {0, 'h', 'a'}}, other_port = {3, {1, 'h', 'a'}},
                             other_host = {3, {0, 'h', 'b'}}, third_host = {3, {0, 'h', 'c'}};

static struct vly_conn *server(const struct raw *r)
{
    return r->p->side[PAIR_SERVER].conn;
}

/* The sums of suite plain, under the name of a sealed one. */
static struct vly_suite_ops pretended;

static struct pair *start(struct raw *r, bool sealed)
{
    struct vly_endpoint_config cfg = pair_config(PAIR_SERVER);
    struct pair *p;

    cfg.addr_port_bytes = 1;
    p = pair_new(NULL, &cfg);
    raw_connect(r, p, &home, NULL);
    pretended = *server(r)->suite;
    pretended.id = VLY_SUITE_AES_256_GCM;
    if (sealed)
        server(r)->suite = &pretended;
    return p;
}

static void ping_from(struct raw *r, const struct vly_addr *from)
{
    r->addr = *from;
    vly_frame_ping_encode(raw_packet(r));
    raw_send(r);
}

static bool is_at(const struct raw *r, const struct vly_addr *addr)
{
    return vly_addr_equal(&server(r)->peer, addr);
}

/* What goes out, into r->seen; the challenge in it, if it went to `addr`, into `out`. Returns how
 * many datagrams went to `addr`. */
static size_t sent_to(struct raw *r, const struct vly_addr *addr, uint8_t out[8])
{
    struct pair_side *s = &r->p->side[PAIR_SERVER];
    size_t n = pair_flush(r->p, PAIR_SERVER), to = 0;

    for (size_t i = 0; i < n; i++) {
        const struct pair_datagram *d = &s->out[i];

        if (!vly_addr_equal(&d->to, addr))
            continue;
        to++;
        if (d->data[17] == VLY_FRAME_PATH_CHALLENGE) {
            assert_int_equal(d->len, CHALLENGE_BYTES); /* a packet of its own */
            memcpy(out, d->data + 18, 8);
        }
    }
    raw_take(r);
    return to;
}

static void respond_from(struct raw *r, const struct vly_addr *from, const uint8_t data[8])
{
    r->addr = *from;
    vly_frame_path_encode(raw_packet(r), VLY_FRAME_PATH_RESPONSE, data);
    raw_send(r);
}

/* ---- following ---- */

static void test_path_follows_a_port_in_plain(void **state)
{
    uint8_t challenge[8];
    uint64_t cwnd;
    struct raw r;
    struct pair *p = start(&r, false);

    (void)state;
    cwnd = server(&r)->cc.cwnd_bytes = 77777;
    ping_from(&r, &other_port);
    assert_int_equal(sent_to(&r, &other_port, challenge), 1);
    assert_true(is_at(&r, &home));
    respond_from(&r, &other_port, challenge);
    assert_true(is_at(&r, &other_port));
    assert_int_equal(p->side[PAIR_SERVER].events[VLY_EV_MOVED], 1);
    assert_int_equal(pair_stats(p, PAIR_SERVER).path_changes, 1);
    assert_int_equal(server(&r)->cc.cwnd_bytes, cwnd);
    assert_true(server(&r)->rtt.has_sample);
    assert_int_equal(sent_to(&r, &other_port, challenge), 1); /* the ACK, at once */
    pair_free(p);
}

/* What of another host comes in plain, anybody may have sent: it is not even opened. */
static void test_path_stays_with_its_host_in_plain(void **state)
{
    uint8_t challenge[8];
    struct raw r;
    struct pair *p = start(&r, false);
    uint64_t received = pair_stats(p, PAIR_SERVER).packets_received;

    (void)state;
    ping_from(&r, &other_host);
    assert_int_equal(sent_to(&r, &other_host, challenge), 0);
    assert_int_equal(pair_stats(p, PAIR_SERVER).packets_received, received);
    assert_int_equal(pair_endpoint_stats(p, PAIR_SERVER).datagrams_dropped, 1);
    pair_free(p);
}

/* RULE 6: what was learnt of the old network is forgotten. */
static void test_path_starts_anew_at_another_host(void **state)
{
    uint8_t challenge[8];
    struct raw r;
    struct pair *p = start(&r, true);

    (void)state;
    server(&r)->cc.cwnd_bytes = 77777;
    server(&r)->ecn.off = true;
    ping_from(&r, &other_host);
    assert_int_equal(sent_to(&r, &other_host, challenge), 1);
    respond_from(&r, &other_host, challenge);
    assert_true(is_at(&r, &other_host));
    assert_int_equal(server(&r)->cc.cwnd_bytes, 10 * 1472);
    assert_false(server(&r)->rtt.has_sample);
    assert_false(server(&r)->ecn.off);
    pair_free(p);
}

/* A copy of the response that comes first from elsewhere does not move the connection there. */
static void test_path_takes_the_response_from_anywhere(void **state)
{
    uint8_t challenge[8];
    struct raw r;
    struct pair *p = start(&r, true);

    (void)state;
    ping_from(&r, &other_host);
    assert_int_equal(sent_to(&r, &other_host, challenge), 1);
    respond_from(&r, &third_host, challenge);
    assert_true(is_at(&r, &other_host));
    pair_free(p);
}

/* What is in flight went to the old address: it goes out again, and is no congestion. */
static void test_path_repeats_what_is_in_flight(void **state)
{
    uint8_t challenge[8];
    struct raw r;
    struct pair *p = start(&r, true);
    uint64_t cwnd, in_flight;

    (void)state;
    pair_write(p, PAIR_SERVER, pair_open(p, PAIR_SERVER), 10000, true);
    raw_run(&r, VLY_MS(20)); /* the pacer's time, less than a PTO */
    cwnd = pair_stats(p, PAIR_SERVER).cwnd_bytes;
    in_flight = pair_stats(p, PAIR_SERVER).in_flight_bytes;
    assert_true(in_flight > 10000 && r.seen.stream_bytes == 10000);
    ping_from(&r, &other_port);
    sent_to(&r, &other_port, challenge);
    assert_int_equal(pair_stats(p, PAIR_SERVER).in_flight_bytes, in_flight);
    respond_from(&r, &other_port, challenge);
    assert_int_equal(pair_stats(p, PAIR_SERVER).in_flight_bytes, 0);
    raw_run(&r, VLY_MS(20));
    assert_int_equal(r.seen.stream_bytes, 20000);
    assert_true(pair_stats(p, PAIR_SERVER).in_flight_bytes > 10000);
    assert_int_equal(pair_stats(p, PAIR_SERVER).cwnd_bytes, cwnd);
    assert_int_equal(pair_stats(p, PAIR_SERVER).congestion_events, 0);
    raw_ack_all(&r); /* of the first copies as well: late, not undone */
    assert_int_equal(pair_stats(p, PAIR_SERVER).in_flight_bytes, 0);
    assert_int_equal(pair_stats(p, PAIR_SERVER).undos, 0);
    pair_free(p);
}

/* ---- not following ---- */

/* RULE 2, 6: the smallest packet pays for two challenges; each 250 ms one goes out while it is paid
 * for, for 3 s. */
static void test_path_challenges_are_few(void **state)
{
    uint8_t challenge[8];
    struct raw r;
    struct pair *p = start(&r, true);

    (void)state;
    ping_from(&r, &other_host);
    for (unsigned i = 0; i < 40; i++) {
        size_t n = sent_to(&r, &other_host, challenge);

        assert_int_equal(n, i == 0 || i == 5);
        pair_wait(p, VLY_MS(50));
        pair_serve_deadline(p, PAIR_SERVER);
    }
    assert_true(2 * CHALLENGE_BYTES <= 3 * SMALLEST_BYTES);
    raw_stream(&r, 0, 0, 1000, false); /* plenty */
    raw_send(&r);
    for (unsigned i = 40; i < 70; i++) {
        assert_int_equal(sent_to(&r, &other_host, challenge), i < 60 && i % 5 == 0);
        pair_wait(p, VLY_MS(50));
        pair_serve_deadline(p, PAIR_SERVER);
    }
    respond_from(&r, &other_host, challenge); /* too late */
    assert_true(is_at(&r, &home));
    pair_free(p);
}

/* RULE 41: no other eight bytes will do, and none without a challenge. */
static void test_path_believes_no_other_response(void **state)
{
    uint8_t challenge[8], last[8], wrong[8] = {0};
    struct raw r;
    struct pair *p = start(&r, true);

    (void)state;
    respond_from(&r, &home, wrong);
    ping_from(&r, &other_host);
    sent_to(&r, &other_host, challenge);
    for (unsigned bit = 0; bit < 64; bit++) {
        memcpy(wrong, challenge, 8);
        wrong[bit / 8] ^= (uint8_t)(1u << bit % 8);
        respond_from(&r, &other_host, wrong);
        raw_take(&r);
        assert_true(is_at(&r, &home));
    }
    respond_from(&r, &other_host, challenge);
    assert_true(is_at(&r, &other_host));
    memcpy(last, challenge, 8);
    ping_from(&r, &home);
    sent_to(&r, &home, challenge);
    assert_memory_not_equal(challenge, last, 8); /* another each time */
    respond_from(&r, &home, last);
    assert_true(is_at(&r, &other_host));
    pair_free(p);
}

/* Copies of what came before say nothing of where the client is. */
static void test_path_ignores_old_packets(void **state)
{
    uint8_t copy[SMALLEST_BYTES], challenge[8];
    struct raw r;
    struct pair *p = start(&r, true);
    struct vly_span sealed;

    (void)state;
    vly_frame_ping_encode(raw_packet(&r));
    sealed = raw_seal(&r, r.next_pn++);
    assert_int_equal(sealed.len, sizeof(copy));
    memcpy(copy, sealed.data, sizeof(copy));
    ping_from(&r, &home);
    pair_give(p, PAIR_SERVER, &other_host, VLY_ECN_NONE, (struct vly_span){copy, sizeof(copy)});
    pair_give(p, PAIR_SERVER, &third_host, VLY_ECN_NONE, (struct vly_span){copy, sizeof(copy)});
    assert_int_equal(sent_to(&r, &other_host, challenge), 0);
    assert_int_equal(sent_to(&r, &third_host, challenge), 0);
    pair_free(p);
}

static void test_path_client_never_follows(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    uint64_t received;
    struct raw r;

    (void)state;
    raw_accept(&r, p, NULL);
    received = pair_stats(p, PAIR_CLIENT).packets_received;
    ping_from(&r, &other_host);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).packets_received, received);
    pair_free(p);
}

/* ---- more than one who claims to be the client ---- */

/* One place: kept while its holder is heard, free after 250 ms of silence or 3 s. */
static void test_path_one_candidate(void **state)
{
    uint8_t challenge[8];
    struct raw r;
    struct pair *p = start(&r, true);

    (void)state;
    for (unsigned i = 0; i < 14; i++) {
        ping_from(&r, &other_host);
        assert_int_equal(sent_to(&r, &other_host, challenge), i % 2 == 0);
        ping_from(&r, &third_host);
        assert_int_equal(sent_to(&r, &third_host, challenge), 0);
        pair_wait(p, VLY_MS(200));
        pair_serve_deadline(p, PAIR_SERVER);
    }
    pair_wait(p, VLY_MS(50));
    ping_from(&r, &third_host);
    assert_int_equal(sent_to(&r, &third_host, challenge), 0); /* after a failure there is a lot */
    pair_wait(p, VLY_MS(20));
    pair_serve_deadline(p, PAIR_SERVER);
    assert_int_equal(sent_to(&r, &third_host, challenge), 1);
    pair_free(p);
}

/* Somebody copies each packet of the client and is always there before it, from a new address each
 * time; then the client moves. RULE 37: nothing is allocated for that; by lot the client's own
 * packets come to be asked too, within a few tries of 250 ms. */
static void test_path_found_among_copies(void **state)
{
    uint8_t challenge[8] = {0};
    struct raw r;
    struct pair *p = start(&r, true);
    struct pair_alloc *alloc = &p->side[PAIR_SERVER].alloc;
    unsigned packets = 0;
    uint64_t requests = 0;

    (void)state;
    while (!is_at(&r, &other_host)) {
        struct vly_addr racer = {3, {0, 'x', (uint8_t)packets}};
        struct vly_span sealed;
        size_t n;

        vly_frame_ping_encode(raw_packet(&r));
        sealed = raw_seal(&r, r.next_pn++);
        pair_give(p, PAIR_SERVER, &racer, VLY_ECN_NONE, sealed);
        pair_give(p, PAIR_SERVER, &other_host, VLY_ECN_NONE, sealed);
        n = sent_to(&r, &other_host, challenge);
        assert_true(is_at(&r, &home));
        if (n > 0)
            respond_from(&r, &other_host, challenge);
        pair_wait(p, VLY_MS(20));
        pair_serve_deadline(p, PAIR_SERVER);
        requests = packets++ == 0 ? alloc->counting.requests : requests;
        assert_in_range(packets, 1, 10 * 250 / 20);
    }
    assert_int_equal(alloc->counting.requests, requests);
    pair_free(p);
}

/* ---- the client's part ---- */

/* An answer does not wait for a window that only fills because the server looks elsewhere. */
static void test_path_response_needs_no_window(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    static const uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t in_flight;
    struct raw r;

    (void)state;
    raw_accept(&r, p, NULL);
    (void)pair_write_some(p, PAIR_CLIENT, pair_open(p, PAIR_CLIENT), 0, 100000, false);
    raw_run(&r, VLY_MS(20));
    in_flight = pair_stats(p, PAIR_CLIENT).in_flight_bytes;
    assert_true(in_flight + 1472 > pair_stats(p, PAIR_CLIENT).cwnd_bytes);
    vly_frame_path_encode(raw_packet(&r), VLY_FRAME_PATH_CHALLENGE, data);
    raw_send(&r);
    raw_take(&r);
    assert_int_equal(r.seen.frames[VLY_FRAME_PATH_RESPONSE], 1);
    assert_memory_equal(r.seen.path, data, 8);
    assert_int_equal(pair_stats(p, PAIR_CLIENT).in_flight_bytes, in_flight);
    pair_free(p);
}

/* Silence where data was awaited: one PING after 250 ms, and no other before data comes again. */
static void test_path_quiet_client_shows_itself(void **state)
{
    struct pair *p = pair_new(NULL, NULL);
    struct raw r;

    (void)state;
    raw_accept(&r, p, NULL);
    vly_conn_expect_answer(p->side[PAIR_CLIENT].conn, true);
    for (unsigned i = 0; i < 3; i++) {
        raw_stream(&r, 1, 100 * i, 100, false);
        raw_send(&r);
        raw_run(&r, VLY_MS(240));
        assert_int_equal(r.seen.frames[VLY_FRAME_PING], i);
        raw_run(&r, VLY_MS(20));
        assert_int_equal(r.seen.frames[VLY_FRAME_PING], i + 1);
        raw_ack_all(&r);
        raw_run(&r, VLY_S(4));
        assert_int_equal(r.seen.frames[VLY_FRAME_PING], i + 1);
    }
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_follows_a_port_in_plain),
        cmocka_unit_test(test_path_stays_with_its_host_in_plain),
        cmocka_unit_test(test_path_starts_anew_at_another_host),
        cmocka_unit_test(test_path_takes_the_response_from_anywhere),
        cmocka_unit_test(test_path_repeats_what_is_in_flight),
        cmocka_unit_test(test_path_challenges_are_few),
        cmocka_unit_test(test_path_believes_no_other_response),
        cmocka_unit_test(test_path_ignores_old_packets),
        cmocka_unit_test(test_path_client_never_follows),
        cmocka_unit_test(test_path_one_candidate),
        cmocka_unit_test(test_path_found_among_copies),
        cmocka_unit_test(test_path_response_needs_no_window),
        cmocka_unit_test(test_path_quiet_client_shows_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
