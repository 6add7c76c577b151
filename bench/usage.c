#include "bench/usage.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATES 8 /* user nice system idle iowait irq softirq steal; guests are in user and nice */
#define SOFTIRQ 6
#define STEAL 7
#define STATUS_BYTES 4096

uint64_t bench_timeval_ns(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * VLY_S(1) + (uint64_t)t->tv_usec * VLY_US(1);
}

/* ---- the machine ---- */

void bench_machine_time_parse(const char *line, long ticks_per_s, struct bench_machine_time *out)
{
    uint64_t ticks[STATES], sum = 0, tick_ns = VLY_S(1);
    unsigned n = 0;

    *out = (struct bench_machine_time){BENCH_UNKNOWN, BENCH_UNKNOWN, BENCH_UNKNOWN};
    if (strncmp(line, "cpu ", 4) != 0 || ticks_per_s <= 0)
        return;
    tick_ns /= (uint64_t)ticks_per_s;
    for (const char *at = line + 3; n < STATES; n++) {
        char *end;
        at += strspn(at, " ");
        if (!isdigit((unsigned char)*at))
            break;
        ticks[n] = strtoull(at, &end, 10);
        sum += ticks[n];
        at = end;
    }
    if (n > SOFTIRQ)
        out->softirq_ns = ticks[SOFTIRQ] * tick_ns;
    if (n <= STEAL)
        return;
    out->steal_ns = ticks[STEAL] * tick_ns;
    out->all_ns = sum * tick_ns;
}

void bench_machine_time_now(struct bench_machine_time *out)
{
    char line[256] = "";
    FILE *f = fopen("/proc/stat", "re");

    if (f != NULL) {
        if (fgets(line, sizeof(line), f) == NULL)
            line[0] = '\0';
        (void)fclose(f);
    }
    bench_machine_time_parse(line, sysconf(_SC_CLK_TCK), out);
}

static uint64_t passed(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns == BENCH_UNKNOWN || then_ns == BENCH_UNKNOWN ? BENCH_UNKNOWN
                                                               : vly_time_since(now_ns, then_ns);
}

void bench_machine_time_since(const struct bench_machine_time *then, struct bench_sample *s)
{
    struct bench_machine_time now;

    bench_machine_time_now(&now);
    s->cpu_all_ns = passed(now.all_ns, then->all_ns);
    s->cpu_softirq_ns = passed(now.softirq_ns, then->softirq_ns);
    s->cpu_steal_ns = passed(now.steal_ns, then->steal_ns);
}

/* ---- memory ---- */

uint64_t bench_peak_rss_parse(const char *status)
{
    static const char name[] = "VmHWM:";
    const char *at = strstr(status, name);
    char *end;
    uint64_t kib;

    if (at == NULL)
        return BENCH_UNKNOWN;
    kib = strtoull(at + strlen(name), &end, 10);
    return strncmp(end, " kB", 3) == 0 ? kib * 1024 : BENCH_UNKNOWN;
}

uint64_t bench_peak_rss_bytes(void)
{
    char status[STATUS_BYTES];
    FILE *f = fopen("/proc/self/status", "re");
    size_t len = 0;

    if (f != NULL) {
        len = fread(status, 1, sizeof(status) - 1, f);
        (void)fclose(f);
    }
    status[len] = '\0';
    return bench_peak_rss_parse(status);
}
