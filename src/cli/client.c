/*
 * client - one get, put or ls from its arguments to its exit code.
 *
 * A host name can stand for several addresses. They are tried in turn; only an attempt that nobody
 * answered is followed by another one.
 */
#include "cli/client.h"

#include "cli/json_out.h"
#include "cli/progress.h"
#include "cli/protection.h"
#include "cli/quantity.h"
#include "cli/signals.h"
#include "cli/trust.h"
#include "file/path.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define TIMEOUT_DEFAULT_NS VLY_S(10)
#define JSON_PROGRESS_NS VLY_S(1)

struct run {
    const struct vly_client_job *job;
    uv_loop_t loop;
    struct vly_signals signals;
    uv_timer_t timer;
    struct vly_client *client; /* NULL before the start and after on_done */
    struct vly_protection protection;
    struct vly_trust trust;
    struct vly_progress progress;
    struct vly_meter meter;
    struct vly_file_progress latest; /* its path is `path` */
    char path[1024];
    uint64_t started_ns, reported_ns;
    bool heard;    /* the server has answered */
    bool more;     /* there are other addresses to try */
    bool again;    /* nobody answered: try the next one */
    int disbelief; /* VLY_E_HOST_UNKNOWN, VLY_E_HOST_CHANGED: the user has not been told yet */
    int exit_code;
};

/* ---- progress ---- */

static void progress_json(struct run *run, uint64_t now_ns)
{
    json_t *event;

    if (!run->job->cli.json || vly_time_since(now_ns, run->reported_ns) < JSON_PROGRESS_NS)
        return;
    run->reported_ns = now_ns;
    event = vly_json_event("progress");
    vly_json_count(event, "bytes_done", run->latest.total_done_bytes);
    vly_json_count(event, "bytes_total", run->latest.total_bytes);
    vly_json_count(event, "files_done", run->latest.files_done);
    vly_json_count(event, "files_total", run->latest.files);
    vly_json_emit(event);
}

static void progress_draw(struct run *run, uint64_t now_ns)
{
    const struct vly_file_progress *p = &run->latest;
    struct vly_shown name = vly_shown(run->path);
    double rate = vly_meter_bytes_per_s(&run->meter);
    uint64_t elapsed_ns = vly_time_since(now_ns, run->started_ns);
    char total[64];
    struct vly_progress_row rows[2] = {
        {name.text, p->file_done_bytes, p->file_bytes, rate, elapsed_ns},
        {total, p->total_done_bytes, p->total_bytes, rate, elapsed_ns},
    };

    (void)snprintf(total, sizeof(total), "%" PRIu64 " of %" PRIu64 " files", p->files_done,
                   p->files);
    vly_progress_draw(&run->progress, rows, p->files > 1 ? 2 : 1);
}

static void on_timer(uv_timer_t *timer)
{
    struct run *run = timer->data;
    uint64_t now_ns = uv_hrtime();

    if (!run->heard)
        return;
    vly_meter_add(&run->meter, now_ns, run->latest.total_done_bytes);
    progress_json(run, now_ns);
    progress_draw(run, now_ns);
}

/* ---- events ---- */

static void on_progress(void *ctx, const struct vly_file_progress *p)
{
    struct run *run = ctx;

    run->heard = true;
    run->latest = *p;
    run->latest.path = run->path;
    if (strncmp(run->path, p->path, sizeof(run->path) - 1) != 0)
        (void)snprintf(run->path, sizeof(run->path), "%s", p->path);
}

static void on_entry(void *ctx, const struct vly_list_entry *e)
{
    struct run *run = ctx;

    run->heard = true;
    if (run->job->on_entry != NULL)
        run->job->on_entry(run->job->ctx, e);
}

static void on_file_done(void *ctx, const char *path, uint64_t bytes, const struct vly_failure *why)
{
    struct run *run = ctx;
    const struct vly_cli *cli = &run->job->cli;

    run->heard = true;
    if (cli->json) {
        json_t *event = vly_json_event("file");
        vly_json_text(event, "path", path);
        vly_json_count(event, "bytes", bytes);
        vly_json_failure(event, why);
        vly_json_emit(event);
    }
    if (run->job->net->verbose && why == NULL) {
        vly_progress_clear(&run->progress);
        vly_cli_say(cli, "%s: %s", vly_shown(path).text, vly_bytes_text(bytes).s);
    }
}

static void on_notice(void *ctx, const char *text)
{
    struct run *run = ctx;
    const struct vly_cli *cli = &run->job->cli;

    if (cli->json) {
        json_t *event = vly_json_event("notice");
        vly_json_text(event, "message", text);
        vly_json_emit(event);
    }
    if (!run->job->net->quiet) {
        vly_progress_clear(&run->progress);
        vly_cli_say(cli, "%s", text);
    }
}

static void on_server_key(void *ctx, const uint8_t key[VLY_PUBLIC_KEY_BYTES],
                          const struct vly_failure *why)
{
    struct run *run = ctx;

    run->heard = true;
    vly_progress_clear(&run->progress);
    vly_trust_on_key(&run->trust, key, why);
}

/* ---- the end ---- */

static void say_details(const struct vly_client_job *job, const struct vly_transfer_stats *s)
{
    const struct vly_cli *cli = &job->cli;

    vly_cli_say(cli,
                "packets: %" PRIu64 " sent, %" PRIu64 " received, %" PRIu64
                " retransmitted, %" PRIu64 " lost (%" PRIu64 " of them arrived after all)",
                s->packets_sent, s->packets_received, s->retransmits, s->lost_packets,
                s->spurious_losses);
    vly_cli_say(cli, "round trip: %s smoothed, %s at best", vly_duration_text(s->smoothed_rtt_ns).s,
                vly_duration_text(s->min_rtt_ns).s);
    if (job->net->tcp)
        vly_cli_say(cli, "io: %s; congestion control: %s", s->io != NULL ? s->io : "-", s->cc);
    else
        vly_cli_say(cli,
                    "io: %s; datagrams dropped by the kernel: %" PRIu64 " here, %" PRIu64 " there",
                    s->io != NULL ? s->io : "-", s->kernel_drops_local, s->kernel_drops_peer);
    vly_cli_say(cli, "%s of up to %" PRIu64 " bytes sent, %" PRIu64 " received",
                job->net->tcp ? "segments" : "datagrams", s->datagram_bytes,
                s->datagram_received_bytes);
    if (job->verb == VLY_PUT) /* the others send nothing that could be slow */
        vly_cli_say_limits(cli, "sending", s);
}

static void say_success(const struct run *run, const struct vly_transfer_stats *s)
{
    const struct vly_client_job *job = run->job;
    double rate = s->duration_ns == 0 ? 0 : (double)s->bytes * 1e9 / (double)s->duration_ns;

    if (job->cli.json) {
        json_t *event = vly_json_event("done");
        vly_json_stats(event, s);
        vly_json_emit(event);
    }
    if (job->net->quiet)
        return;
    if (job->verb != VLY_LIST && !job->cli.json)
        vly_cli_say(&job->cli, "%" PRIu64 " %s, %s in %s: %s, verified", s->files,
                    s->files == 1 ? "file" : "files", vly_bytes_text(s->bytes).s,
                    vly_duration_text(s->duration_ns).s, vly_rate_text(rate).s);
    if (job->net->verbose)
        say_details(job, s);
}

static bool is_silence(int err)
{
    return err == VLY_E_NO_ANSWER || err == VLY_E_UNREACHABLE;
}

static int say_failure(struct run *run, const struct vly_failure *why)
{
    const struct vly_cli *cli = &run->job->cli;
    int signum = run->signals.first;

    if (signum != 0 && why->err == VLY_E_CANCELLED) {
        (void)vly_cli_fail(cli, why->err,
                           run->job->verb == VLY_LIST
                               ? "interrupted"
                               : "interrupted: what was not finished is dropped");
        return VLY_EXIT_SIGNAL + signum;
    }
    return vly_cli_fail(cli, why->err, "%s", why->text);
}

static void handles_close(struct run *run)
{
    vly_signals_close(&run->signals);
    uv_close((uv_handle_t *)&run->timer, NULL);
}

static void on_done(void *ctx, const struct vly_transfer_stats *s, const struct vly_failure *why)
{
    struct run *run = ctx;

    run->client = NULL;
    vly_progress_clear(&run->progress);
    handles_close(run);
    if (why == NULL) {
        say_success(run, s);
        run->exit_code = VLY_EXIT_OK;
    } else if (run->more && !run->heard && is_silence(why->err)) {
        run->again = true;
        if (!run->job->net->quiet)
            vly_cli_say(&run->job->cli, "%s; trying its next address", why->text);
    } else if (why->err == VLY_E_HOST_UNKNOWN || why->err == VLY_E_HOST_CHANGED) {
        run->disbelief = why->err;
    } else {
        run->exit_code = say_failure(run, why);
    }
}

static void on_signal(void *ctx, int signum)
{
    struct run *run = ctx;

    (void)signum;
    if (run->client != NULL)
        vly_client_cancel(run->client);
}

/* ---- running ---- */

static const struct vly_client_events client_events = {
    .on_progress = on_progress,
    .on_entry = on_entry,
    .on_file_done = on_file_done,
    .on_server_key = on_server_key,
    .on_notice = on_notice,
    .on_done = on_done,
};

static void options_fill(struct vly_client_options *opt, struct run *run,
                         const struct sockaddr *server)
{
    const struct vly_client_job *job = run->job;

    *opt = (struct vly_client_options){
        .size = sizeof(*opt),
        .verb = job->verb,
        .server = server,
        .server_name = job->server->name,
        .paths = job->paths,
        .n_paths = job->n_paths,
        .where = job->where,
        .force = job->force,
        .recursive = job->recursive,
        .events = &client_events,
        .ctx = run,
    };
    vly_net_fill(&opt->transport, job->net);
    if (run->protection.plain)
        return;
    vly_trust_fill(&run->trust, &run->protection.security);
    opt->transport.security = &run->protection.security;
}

/* Tries one address. run->again says that another one should be tried. */
static void attempt(struct run *run, const struct sockaddr *server)
{
    struct vly_client_options opt;
    struct vly_failure why = {0};

    run->again = false;
    run->disbelief = 0;
    run->started_ns = uv_hrtime();
    run->reported_ns = run->started_ns;
    vly_signals_open(&run->signals, &run->loop, on_signal, run);
    (void)uv_timer_init(&run->loop, &run->timer);
    run->timer.data = run;
    (void)uv_timer_start(&run->timer, on_timer, VLY_PROGRESS_NS / VLY_MS(1),
                         VLY_PROGRESS_NS / VLY_MS(1));
    options_fill(&opt, run, server);
    if (vly_client_start(&run->client, &run->loop, &opt, &why) != 0) {
        handles_close(run);
        run->exit_code = say_failure(run, &why);
    }
    (void)uv_run(&run->loop, UV_RUN_DEFAULT);
}

/* The same; of a server that is not believed the user may say otherwise. Here and not in an event:
 * he takes his time. */
static void attempt_believed(struct run *run, const struct sockaddr *server)
{
    attempt(run, server);
    while (run->disbelief != 0) {
        run->exit_code = vly_trust_fail(&run->trust, run->disbelief);
        if (run->exit_code != 0)
            return;
        attempt(run, server);
    }
}

static int attempts(struct run *run, const struct vly_addr_list *list)
{
    size_t n = run->job->reads_stdin ? 1 : list->n;

    for (size_t i = 0; i < n; i++) {
        run->more = i + 1 < n;
        attempt_believed(run, (const struct sockaddr *)&list->at[i]);
        if (!run->again)
            break;
    }
    return run->exit_code;
}

/* Nothing is drawn through what the terminal shows anyway. */
static bool wants_bars(const struct vly_client_job *job)
{
    bool terminal_taken = job->cli.json || job->writes_stdout;

    return !job->net->quiet && job->verb != VLY_LIST &&
           !(terminal_taken && isatty(STDOUT_FILENO) == 1);
}

static int run_job(struct run *run)
{
    const struct vly_client_job *job = run->job;
    uint64_t timeout_ns = job->net->timeout_ns != 0 ? job->net->timeout_ns : TIMEOUT_DEFAULT_NS;
    struct vly_addr_list list;
    const char *why;
    int err;

    if (uv_loop_init(&run->loop) != 0)
        return vly_cli_fail(&job->cli, VLY_E_NOMEM, "out of memory");
    vly_progress_open(&run->progress, wants_bars(job));
    err =
        vly_addr_resolve(&run->loop, job->server->host, job->server->port, timeout_ns, &list, &why);
    if (err != 0)
        run->exit_code = vly_cli_fail(&job->cli, err, "%s: %s; check the host name",
                                      vly_shown(job->server->name).text, why);
    if (err == VLY_E_NO_ANSWER) /* the thread that looks up would hold up a normal exit */
        _exit(run->exit_code);
    if (err == 0)
        (void)attempts(run, &list);
    (void)uv_loop_close(&run->loop);
    return run->exit_code;
}

int vly_client_run(const struct vly_client_job *job)
{
    static struct run run; /* static: a name look-up that hangs outlives this function */
    int code;

    if (job->net->tcp && job->net->udp)
        return vly_cli_usage(&job->cli, "one of --udp and --tcp; only a server does both");
    run = (struct run){.job = job, .exit_code = VLY_EXIT_FAILED};
    code = vly_trust_open(&run.trust, &job->cli, job->net, job->server);
    if (code == 0)
        code = vly_protection_open(&run.protection, &job->cli, job->net, VLY_END_CLIENT);
    if (code != 0)
        return code;
    code = run_job(&run);
    vly_protection_close(&run.protection);
    return code;
}
