/*
 * interrupt - Ctrl-C, SIGTERM and SIGHUP as a flag, for commands without a loop of their own.
 */
#include "bench/matrix/interrupt.h"

#include "cli/cli.h"

#include <signal.h>

static volatile bool stop;
static volatile sig_atomic_t first;

/* Those that follow change nothing: the end takes a second or two at most, and to leave at once
 * would leave files behind. */
static void on_signal(int signum)
{
    if (!stop)
        first = signum;
    stop = true;
}

const volatile bool *bench_interrupt_open(void)
{
    static const int signums[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits come back */

    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signums) / sizeof(signums[0]); i++)
        (void)sigaction(signums[i], &action, NULL);
    return &stop;
}

int bench_interrupt_exit_code(void)
{
    return first != 0 ? VLY_EXIT_SIGNAL + (int)first : 0;
}
