/*
 * load - the life of a run at one end: phases, the timer, failing, ending.
 *
 * Nothing is torn down from within a callback: a run that has ended stops the loop, and
 * bench_load_finish takes everything apart. Cost: one timer.
 */
#include "bench/load/load_internal.h"

#include "cli/quantity.h"
#include "file/path.h"
#include "net/clock.h"

#include <stdarg.h>
#include <stdio.h>

#define ALIVE_NS VLY_S(1)  /* between two signs of life, at most a third of the timeout */
#define LINGER_NS VLY_S(2) /* a server that has said all waits so long for the client to leave */

/* ---- figures of the system ---- */

static uint64_t cpu_ns_since(const struct rusage *then)
{
    struct rusage now;

    if (getrusage(RUSAGE_SELF, &now) != 0)
        return BENCH_UNKNOWN;
    return bench_timeval_ns(&now.ru_utime) - bench_timeval_ns(&then->ru_utime) +
           bench_timeval_ns(&now.ru_stime) - bench_timeval_ns(&then->ru_stime);
}

static void count_usage(struct bench_load *load)
{
    uint64_t cpu_ns = cpu_ns_since(&load->usage);
    uint64_t rss_bytes = bench_peak_rss_bytes();

    for (unsigned way = 0; way < BENCH_WAYS; way++) {
        struct bench_sample *s = bench_load_sample(load, way);

        if (!load->halves[way].used)
            continue;
        *(load->halves[way].sends ? &s->cpu_sender_ns : &s->cpu_receiver_ns) = cpu_ns;
        *(load->halves[way].sends ? &s->rss_sender_bytes : &s->rss_receiver_bytes) = rss_bytes;
        if (!load->server)
            bench_machine_time_since(&load->machine, s);
    }
}

/* ---- ending ---- */

void bench_load_set_phase(struct bench_load *load, enum bench_load_phase phase)
{
    load->phase = phase;
    load->phase_ns = vly_clock_now_ns();
    bench_load_wake(load);
}

void bench_load_end(struct bench_load *load)
{
    load->phase = BENCH_LOAD_ENDED;
    uv_stop(load->loop);
}

void bench_load_fail(struct bench_load *load, int err, const char *format, ...)
{
    char text[BENCH_ERROR_BYTES];
    json_t *message;
    va_list args;

    if (load->phase >= BENCH_LOAD_OVER && (load->server || load->phase == BENCH_LOAD_ENDED))
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)bench_sample_fail(&load->out->forward, err, "%s", text);
    message = bench_message("error");
    if (message != NULL) {
        (void)json_object_set_new(message, "code", json_string(vly_err_name(err)));
        (void)json_object_set_new(message, "message", json_string(text));
    }
    bench_control_send(&load->control, message);
    if (load->server && load->control.fd >= 0)
        bench_load_set_phase(load, BENCH_LOAD_OVER); /* the client has to read it */
    else
        bench_load_end(load);
}

bool bench_load_is_over(const struct bench_load *load, enum bench_way way)
{
    return load->phase >= BENCH_LOAD_OVER || load->halves[way].over;
}

/* The CPU went into both ways. */
static void share_total(struct bench_load *load)
{
    uint64_t *forward = &load->out->forward.total_bytes;
    uint64_t *back = &load->out->back.total_bytes;

    if (!load->halves[BENCH_BACK].used || *forward == BENCH_UNKNOWN || *back == BENCH_UNKNOWN)
        return;
    *forward = *back = *forward + *back;
}

void bench_load_half_over(struct bench_load *load)
{
    for (unsigned way = 0; way < BENCH_WAYS; way++)
        if (load->halves[way].used && !load->halves[way].over)
            return;
    if (load->phase == BENCH_LOAD_RUNNING) {
        count_usage(load);
        bench_load_set_phase(load, BENCH_LOAD_OVER);
        if (load->server)
            bench_load_tell_result(load);
    }
    if (!load->server && load->peer_over && load->phase == BENCH_LOAD_OVER) {
        share_total(load);
        bench_load_end(load);
    }
}

/* ---- time ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Gives up where an answer is overdue. Returns when the next one will be. */
static uint64_t check_silence(struct bench_load *load, uint64_t now_ns)
{
    uint64_t timeout_ns = load->request.timeout_ns;
    uint64_t deadline_ns = vly_time_add(load->control.heard_ns, timeout_ns);

    if (load->phase < BENCH_LOAD_RUNNING)
        deadline_ns = least(deadline_ns, vly_time_add(load->phase_ns, timeout_ns));
    if (load->phase == BENCH_LOAD_OVER && load->server)
        deadline_ns = load->phase_ns + LINGER_NS;
    if (now_ns < deadline_ns)
        return deadline_ns;
    if (load->phase == BENCH_LOAD_OVER && load->server)
        bench_load_end(load);
    else if (load->phase == BENCH_LOAD_GREETING && load->server)
        bench_load_fail(load, VLY_E_NO_ANSWER, "%s asks for nothing", load->peer);
    else if (load->phase == BENCH_LOAD_GREETING)
        bench_load_fail(load, VLY_E_NO_ANSWER,
                        "%s does not answer as volley bench serve does; is it another program?",
                        load->peer);
    else if (load->phase == BENCH_LOAD_JOINING)
        bench_load_fail(load, VLY_E_NO_ANSWER,
                        "no %s data connection with %s came about within %s; does a firewall "
                        "stand between?",
                        bench_protocol_name(load->request.protocol), load->peer,
                        vly_duration_text(timeout_ns).s);
    else
        bench_load_fail(load, VLY_E_NO_ANSWER, "nothing was heard from %s for %s", load->peer,
                        vly_duration_text(timeout_ns).s);
    return VLY_NEVER;
}

static uint64_t say_alive(struct bench_load *load, uint64_t now_ns)
{
    if (load->phase == BENCH_LOAD_GREETING || (load->server && load->phase == BENCH_LOAD_OVER))
        return VLY_NEVER;
    if (now_ns >= load->alive_ns) {
        bench_control_send(&load->control, bench_message("alive"));
        load->alive_ns = now_ns + least(ALIVE_NS, load->request.timeout_ns / 3);
    }
    return load->alive_ns;
}

static void on_timer(uv_timer_t *timer)
{
    struct bench_load *load = timer->data;
    uint64_t now_ns = vly_clock_now_ns();
    uint64_t next_ns = VLY_NEVER;

    for (unsigned way = 0; way < BENCH_WAYS && load->phase == BENCH_LOAD_RUNNING; way++)
        next_ns = least(next_ns, bench_half_tick(load, &load->halves[way], now_ns));
    if (load->phase != BENCH_LOAD_ENDED)
        next_ns = least(next_ns, say_alive(load, now_ns));
    if (load->phase != BENCH_LOAD_ENDED)
        next_ns = least(next_ns, check_silence(load, now_ns));
    if (load->phase == BENCH_LOAD_ENDED || next_ns == VLY_NEVER)
        return;
    uv_update_time(load->loop);
    now_ns = vly_clock_now_ns();
    (void)uv_timer_start(timer, on_timer, (vly_time_since(next_ns, now_ns) + 999999) / VLY_MS(1),
                         0);
}

void bench_load_wake(struct bench_load *load)
{
    (void)uv_timer_start(&load->timer, on_timer, 0, 0);
}

/* ---- beginning ---- */

int bench_load_begin(struct bench_load *load, int fd)
{
    (void)uv_timer_init(load->loop, &load->timer);
    load->timer.data = load;
    load->control.on_message = bench_load_on_message;
    load->control.on_lost = bench_load_on_lost;
    load->control.user = load;
    if (bench_control_open(&load->control, load->loop, fd) != 0)
        return VLY_E_IO;
    bench_load_set_phase(load, BENCH_LOAD_GREETING);
    return 0;
}

int bench_load_make_flow(struct bench_load *load, struct vly_fault *why)
{
    struct bench_flow_setup setup = {
        .load = load,
        .loop = load->loop,
        .request = &load->request,
        .token = &load->token,
        .ports = load->ports,
        .server_key = load->server_key,
        .server = load->server,
        .at = load->at,
    };
    int err = 0;

    (void)getrusage(RUSAGE_SELF, &load->usage);
    bench_machine_time_now(&load->machine);
    for (unsigned way = 0; way < (load->request.bidir ? 2u : 1u) && err == 0; way++)
        err = bench_half_init(load, way);
    if (err != 0)
        return vly_fault_plain(why, err);
    return bench_flow_open(&load->flow, &setup, why);
}

void bench_load_ready(struct bench_load *load)
{
    uint64_t now_ns;

    if (load->phase != BENCH_LOAD_JOINING || !load->server)
        return;                  /* the server says when all stand */
    now_ns = vly_clock_now_ns(); /* what the word to start takes counts */
    bench_control_send(&load->control, bench_message("start"));
    bench_load_start(load, now_ns);
}

void bench_load_start(struct bench_load *load, uint64_t now_ns)
{
    bench_load_set_phase(load, BENCH_LOAD_RUNNING);
    for (unsigned way = 0; way < BENCH_WAYS; way++)
        if (load->halves[way].used)
            bench_half_start(load, &load->halves[way], now_ns);
    load->flow->ops->start(load->flow);
    if (!load->server)
        bench_load_sample(load, BENCH_FORWARD)->connect_ns =
            load->flow->connect_ns != 0 ? load->flow->connect_ns : BENCH_UNKNOWN;
    bench_load_half_over(load); /* a little data may have overtaken the word to start */
}

void bench_load_finish(struct bench_load *load)
{
    while (load->phase != BENCH_LOAD_ENDED && uv_run(load->loop, UV_RUN_DEFAULT) != 0)
        ;
    bench_control_close(&load->control);
    uv_close((uv_handle_t *)&load->timer, NULL);
    if (load->flow != NULL)
        load->flow->ops->close(load->flow);
    (void)uv_run(load->loop, UV_RUN_DEFAULT);
    bench_flow_free(load->flow);
    for (unsigned way = 0; way < BENCH_WAYS; way++)
        bench_half_fini(&load->halves[way]);
}
