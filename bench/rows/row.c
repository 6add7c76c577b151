/*
 * row - one run of a row, from the look for its programs to the sample.
 *
 * The processor time is what the kernel says of the two programs when they are waited for, the same
 * for all rows. A server that must be told its port may find it taken: it is started again with
 * another one.
 */
#include "bench/rows/row.h"

#include "bench/rows/peer.h"
#include "bench/usage.h"
#include "cli/quantity.h"
#include "net/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_TRIES 4
#define LISTEN_LOOK_NS VLY_MS(2) /* between two looks whether a server listens */
#define SERVER_END_NS VLY_S(5)   /* given to a server to end after its client */
#define PROGRAM_PATH_BYTES 512

static const struct bench_peer *peer_of(const struct bench_row *row, char why[BENCH_WHY_BYTES])
{
    const struct bench_peer *peer = bench_peer_find(row->protocol, row->kind);

    if (peer == NULL)
        (void)snprintf(why, BENCH_WHY_BYTES, "there is no protocol '%.15s' %s", row->protocol,
                       row->kind == BENCH_FILE ? "with files" : "from memory");
    return peer;
}

static bool programs_are_there(const struct bench_peer *peer, char why[BENCH_WHY_BYTES])
{
    char path[PROGRAM_PATH_BYTES];

    for (const struct bench_need *need = peer->needs; need->program != NULL; need++) {
        if (bench_program_find(need->program, path, sizeof(path)))
            continue;
        if (need->package != NULL)
            (void)snprintf(why, BENCH_WHY_BYTES, "%s is not installed; apt-get install %s",
                           need->program, need->package);
        else
            (void)snprintf(why, BENCH_WHY_BYTES,
                           "the program %s does not stand beside this one; build or install it",
                           need->program);
        return false;
    }
    return true;
}

bool bench_row_is_available(const struct bench_row *row, char why[BENCH_WHY_BYTES])
{
    const struct bench_peer *peer = peer_of(row, why);

    return peer != NULL && bench_peer_suits(peer, row, why) && programs_are_there(peer, why) &&
           (peer->usable == NULL || peer->usable(why));
}

void bench_row_cleanup(void)
{
    bench_workdir_close();
}

/* ---- the machine ---- */

/* TCP's default, for programs that do not say what they used. */
static void default_cc(char out[16])
{
    FILE *f = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");

    if (f != NULL && fgets(out, 16, f) != NULL)
        out[strcspn(out, "\n")] = '\0';
    if (f != NULL)
        (void)fclose(f);
}

/* A port that nobody has now; 0 when there is none. In a lab of its own any would do. */
static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 &&
                 getsockname(fd, (struct sockaddr *)&at, &len) == 0;

    if (fd >= 0)
        (void)close(fd);
    return bound ? ntohs(at.sin_port) : 0;
}

/* ---- the two programs ---- */

static int start(struct bench_job *job, enum bench_side side, struct bench_child **out,
                 char why[BENCH_WHY_BYTES])
{
    struct bench_argv argv;
    char path[PROGRAM_PATH_BYTES];

    bench_argv_init(&argv);
    if (side == BENCH_RIGHT)
        job->peer->server(job, &argv);
    else
        job->peer->client(job, &argv);
    if (bench_program_find(argv.at[0], path, sizeof(path)))
        argv.at[0] = path;
    return bench_child_start(&job->set, side, argv.at, out, why);
}

/* Why a child that ended has failed. Returns the error. */
static int failure(const struct bench_job *job, const struct bench_child *c,
                   char why[BENCH_WHY_BYTES])
{
    int err = VLY_E_FAILED;

    if (job->peer->reason == NULL || !job->peer->reason(c, &err, why))
        bench_child_tell(c, why);
    return err;
}

/* /proc/PID/net/tcp: "   0: 0100007F:1F90 00000000:0000 0A ...", 0A: it listens. */
static bool listens(const struct bench_child *c, uint16_t port)
{
    char path[64], line[256], wanted[32];
    bool found = false;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%jd/net/tcp", (intmax_t)c->pid);
    (void)snprintf(wanted, sizeof(wanted), ":%04X 00000000:0000 0A", port);
    f = fopen(path, "re");
    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
        found = strstr(line, wanted) != NULL;
    if (f != NULL)
        (void)fclose(f);
    return found;
}

static int wait_listening(struct bench_job *job)
{
    while (!listens(job->server, job->port)) {
        int err =
            job->server->pidfd < 0 ? VLY_E_CLOSED : bench_children_turn(&job->set, LISTEN_LOOK_NS);
        if (err != 0)
            return err;
    }
    return 0;
}

/* {"event":"listening","port":N} */
static int read_port(struct bench_job *job, char why[BENCH_WHY_BYTES])
{
    char *line;
    int err = bench_child_line(&job->set, job->server, &line);
    json_t *event;
    json_int_t port;

    if (err != 0)
        return err;
    event = json_loads(line, 0, NULL);
    port = json_integer_value(json_object_get(event, "port"));
    json_decref(event);
    if (port <= 0 || port > 65535) {
        (void)snprintf(why, BENCH_WHY_BYTES, "%s does not say its port, but: %.120s",
                       job->server->name, line);
        return VLY_E_MALFORMED;
    }
    job->port = (uint16_t)port;
    return 0;
}

static bool port_was_taken(const struct bench_child *c)
{
    static const char words[] = "ddress already in use";

    return strstr(c->err, words) != NULL || (c->out != NULL && strstr(c->out, words) != NULL);
}

static int server_start(struct bench_job *job, char why[BENCH_WHY_BYTES])
{
    int err;

    if (!job->peer->tells_port)
        job->port = free_port();
    err = start(job, BENCH_RIGHT, &job->server, why);
    if (err != 0)
        return err;
    err = job->peer->tells_port ? read_port(job, why) : wait_listening(job);
    if (err == VLY_E_CLOSED) { /* it ended instead */
        bench_child_end(&job->set, job->server);
        err = failure(job, job->server, why);
    }
    return err;
}

/* Tries other ports while the one chosen turns out to be taken. */
static int server_start_anywhere(struct bench_job *job, char why[BENCH_WHY_BYTES])
{
    size_t before = job->set.n;
    int err = server_start(job, why);

    for (int i = 1; err == VLY_E_FAILED && i < PORT_TRIES && !job->peer->tells_port; i++) {
        if (job->set.n == before || !port_was_taken(job->server))
            break;
        free(job->server->out);
        job->set.n = before;
        err = server_start(job, why);
    }
    return err;
}

/* Waits until the server is done with its client, and ends it. */
static int server_finish(struct bench_job *job)
{
    uint64_t until_ns = vly_clock_now_ns() + SERVER_END_NS;
    int err = 0;

    if (job->peer->ends_itself)
        err = bench_child_wait(&job->set, job->server, until_ns);
    while (err == 0 && bench_child_has_children(job->server) && vly_clock_now_ns() < until_ns)
        err = bench_children_turn(&job->set, LISTEN_LOOK_NS);
    if (err == VLY_E_CANCELLED)
        return err;
    bench_child_end(&job->set, job->server);
    return 0;
}

/* ---- a run ---- */

static int transfer(struct bench_job *job, struct bench_sample *out, char why[BENCH_WHY_BYTES])
{
    const struct bench_peer *peer = job->peer;
    uint64_t began_ns;
    int err = server_start_anywhere(job, why);

    if (err != 0)
        return err;
    began_ns = vly_clock_now_ns();
    err = start(job, BENCH_LEFT, &job->client, why);
    if (err == 0)
        err = bench_child_wait(&job->set, job->client, job->set.deadline_ns);
    if (err != 0)
        return err;
    if (!bench_child_succeeded(job->client))
        return failure(job, job->client, why);
    if (!peer->end_is_arrival && !job->row->reverse)
        err = bench_child_wait(&job->set, job->server, job->set.deadline_ns);
    if (err == 0 && job->row->kind == BENCH_FILE)
        out->duration_ns = vly_clock_now_ns() - began_ns;
    return err == 0 ? server_finish(job) : err;
}

/* What is the same for all rows with files. */
static void file_figures(const struct bench_job *job, struct bench_sample *out)
{
    out->bytes = job->row->bytes;
    out->sent_bytes = job->row->bytes;
    out->total_bytes = job->row->bytes;
    if (job->peer->io == NULL)
        return;
    (void)snprintf(out->io, sizeof(out->io), "%s", job->peer->io);
    (void)snprintf(out->cc, sizeof(out->cc), "%s", job->row->cc);
    if (out->cc[0] == '\0')
        default_cc(out->cc);
}

static void usage_figures(const struct bench_job *job, struct bench_sample *out)
{
    bool reverse = job->row->reverse;
    const struct bench_child *sender = reverse ? job->server : job->client;
    const struct bench_child *receiver = reverse ? job->client : job->server;

    out->cpu_sender_ns = sender->cpu_ns;
    out->cpu_receiver_ns = receiver->cpu_ns;
    /* What a program says of itself is nearer to the truth. */
    if (out->rss_sender_bytes == BENCH_UNKNOWN)
        out->rss_sender_bytes = sender->rss_bytes;
    if (out->rss_receiver_bytes == BENCH_UNKNOWN)
        out->rss_receiver_bytes = receiver->rss_bytes;
}

static int figures(struct bench_job *job, struct bench_sample *out)
{
    int err = 0;

    if (job->row->kind == BENCH_FILE)
        file_figures(job, out);
    if (job->peer->result != NULL)
        err = job->peer->result(job, out);
    usage_figures(job, out);
    return err;
}

/* Returns 0, an error with its line in `why`, or one the sample has its line of. */
static int measure(struct bench_job *job, struct bench_sample *out, char why[BENCH_WHY_BYTES])
{
    struct bench_machine_time before;
    int err;

    bench_machine_time_now(&before);
    err = transfer(job, out, why);
    if (err == 0)
        err = figures(job, out);
    bench_machine_time_since(&before, out); /* also of a run that failed */
    if (err == 0 && job->row->kind == BENCH_FILE)
        err = bench_workdir_verify(job->dir, job->set.stop, why);
    return err;
}

static int with_files(struct bench_job *job, char why[BENCH_WHY_BYTES])
{
    struct bench_workdir *dir;
    int err;

    if (job->row->kind != BENCH_FILE)
        return 0;
    err = bench_workdir_open(&dir, job->row->directory, job->row->bytes, job->set.stop, why);
    if (err == 0)
        job->dir = dir;
    return err;
}

/* The time that the source takes to be made does not count. */
static int run(struct bench_job *job, uint64_t timeout_ns, struct bench_sample *out,
               char why[BENCH_WHY_BYTES])
{
    int err = with_files(job, why);

    job->set.deadline_ns = vly_time_add(vly_clock_now_ns(), timeout_ns);
    if (err == 0 && job->peer->prepare != NULL)
        err = job->peer->prepare(job, why);
    if (err == 0)
        err = measure(job, out, why);
    bench_children_end(&job->set);
    if (job->peer->finish != NULL)
        job->peer->finish(job);
    if (job->dir != NULL)
        bench_workdir_clear(job->dir);
    return err;
}

int bench_row_run(const struct bench_lab *lab, const struct bench_row *row, uint64_t timeout_ns,
                  const volatile bool *stop, struct bench_sample *out)
{
    const struct passwd *user = getpwuid(geteuid());
    struct bench_job job = {
        .row = row,
        .host = bench_lab_address(lab, BENCH_RIGHT),
        .user = user != NULL ? user->pw_name : "root",
    };
    char why[BENCH_WHY_BYTES] = "";
    int err;

    bench_sample_init(out);
    bench_children_init(&job.set, lab, VLY_NEVER, stop);
    if (!bench_row_is_available(row, why)) {
        (void)bench_sample_fail(out, VLY_E_NOT_FOUND, "%s", why);
        return 0;
    }
    job.peer = bench_peer_find(row->protocol, row->kind);
    err = run(&job, timeout_ns, out, why);
    if (err == VLY_E_CANCELLED || *stop)
        return bench_sample_fail(out, VLY_E_CANCELLED, "interrupted");
    if (err == VLY_E_NO_ANSWER && why[0] == '\0')
        (void)snprintf(why, sizeof(why), "%s did not end within %s", row->protocol,
                       vly_duration_text(timeout_ns).s);
    if (err == VLY_E_NOMEM && why[0] == '\0')
        (void)snprintf(why, sizeof(why), "out of memory");
    if (err != 0 && out->err == 0)
        (void)bench_sample_fail(out, err, "%s", why);
    return 0;
}
