/*
 * Which ends wait awake for what is next: through the whole of a UDP transport over loopback.
 *
 * Only such a wait asks poll without any patience (the loop itself has epoll), so it is counted
 * there. How many processors there are is the test's word, not the machine's.
 */
#include "support/tcp_world.h"

#include <poll.h>
#include <sched.h>

#define STREAM_BYTES 300000u

static unsigned processors = 2;
static unsigned looks;

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

    looks += timeout_ms == 0;
    return ppoll(fds, n, timeout_ms < 0 ? NULL : &timeout, NULL);
}

int sched_getaffinity(pid_t pid, size_t set_bytes, cpu_set_t *set)
{
    (void)pid;
    CPU_ZERO_S(set_bytes, set);
    for (unsigned i = 0; i < processors; i++)
        CPU_SET_S(i, set_bytes, set);
    return 0;
}

/* Opens a connection and sends one stream. */
static void transfer(struct tcp_world *w)
{
    uint64_t stream;

    tcp_world_open(w);
    stream = tcp_end_send(&w->client, STREAM_BYTES);
    while (!w->server.ended[stream / 2])
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(w->server.received[stream / 2], STREAM_BYTES);
}

static void test_driver_spin_only_plain_ends_wait_awake(void **state)
{
    static const struct {
        const char *name;
        bool sealed, no_spin;
        unsigned processors;
        bool awake;
    } cases[] = {
        {"plain", false, false, 2, true},
        {"plain, told not to", false, true, 2, false},
        {"plain, on one processor", false, false, 1, false},
        {"sealed", true, false, 2, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tcp_world *w;

        print_message("  %s\n", cases[i].name);
        processors = cases[i].processors;
        looks = 0;
        w = tcp_world_new();
        w->options.carrier = VLY_CARRIER_UDP;
        w->options.no_spin = cases[i].no_spin;
        if (cases[i].sealed)
            tcp_world_seal(w);
        transfer(w);
        tcp_world_free(w);
        if (cases[i].awake)
            assert_true(looks > 0);
        else
            assert_int_equal(looks, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_driver_spin_only_plain_ends_wait_awake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
