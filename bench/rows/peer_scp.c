/*
 * peer_scp - scp to an sshd of our own, with keys of our own and AES-128-GCM, its fastest cipher.
 *
 * sshd runs with -d: it serves one connection without another process that would take its place,
 * and ends, so that its CPU time can be known. As root it wants /run/sshd, which is made for the
 * run where the system has none.
 */
#include "bench/rows/peer.h"

#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRIVSEP_DIRECTORY "/run/sshd"
#define CIPHER "aes128-gcm@openssh.com"

static bool privsep_made;

/* sshd refuses accounts that are not for logging in. */
static bool usable(char why[BENCH_WHY_BYTES])
{
    const struct passwd *user = getpwuid(geteuid());
    const char *shell = user != NULL ? strrchr(user->pw_shell, '/') : NULL;

    if (user != NULL &&
        (shell == NULL || (strcmp(shell, "/nologin") != 0 && strcmp(shell, "/false") != 0)))
        return true;
    (void)snprintf(why, BENCH_WHY_BYTES,
                   "scp: sshd lets user %jd not in, who has no login shell; run as another user",
                   (intmax_t)geteuid());
    return false;
}

static void finish(struct bench_job *job)
{
    (void)job;
    if (privsep_made)
        (void)rmdir(PRIVSEP_DIRECTORY);
    privsep_made = false;
}

static int key_make(struct bench_job *job, const char *name, char why[BENCH_WHY_BYTES])
{
    struct bench_child *c;
    struct bench_argv argv;
    int err;

    bench_argv_init(&argv);
    bench_argv_add(&argv, "ssh-keygen");
    bench_argv_add(&argv, "-q");
    bench_argv_add(&argv, "-t");
    bench_argv_add(&argv, "ed25519");
    bench_argv_add(&argv, "-N");
    bench_argv_add(&argv, "%s", "");
    bench_argv_add(&argv, "-f");
    bench_argv_add(&argv, "%s/%s", job->dir->path, name);
    err = bench_child_start(&job->set, BENCH_LEFT, argv.at, &c, why);
    if (err == 0)
        err = bench_child_wait(&job->set, c, job->set.deadline_ns);
    if (err == 0 && !bench_child_succeeded(c)) {
        bench_child_tell(c, why);
        err = VLY_E_FAILED;
    }
    return err;
}

static int prepare(struct bench_job *job, char why[BENCH_WHY_BYTES])
{
    char path[BENCH_WORKDIR_PATH_BYTES + 16];
    int err;

    if (geteuid() == 0 && mkdir(PRIVSEP_DIRECTORY, 0755) == 0)
        privsep_made = true;
    if (geteuid() == 0 && access(PRIVSEP_DIRECTORY, X_OK) != 0) {
        (void)snprintf(why, BENCH_WHY_BYTES, "sshd needs " PRIVSEP_DIRECTORY ": %s",
                       strerror(errno));
        return VLY_E_IO;
    }
    (void)snprintf(path, sizeof(path), "%s/user.pub", job->dir->path);
    if (access(path, R_OK) == 0)
        return 0;
    err = key_make(job, "host", why);
    return err == 0 ? key_make(job, "user", why) : err;
}

static void add_option(struct bench_argv *argv, const char *option)
{
    bench_argv_add(argv, "-o");
    bench_argv_add(argv, "%s", option);
}

static void server(const struct bench_job *job, struct bench_argv *argv)
{
    static const char *const options[] = {
        "StrictModes no",
        "UsePAM no",
        "PidFile none",
        "PermitRootLogin yes",
        "UseDNS no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "Compression no",
        "IPQoS throughput",
        "Subsystem sftp internal-sftp",
    };

    bench_argv_add(argv, "sshd");
    bench_argv_add(argv, "-d");
    bench_argv_add(argv, "-f");
    bench_argv_add(argv, "/dev/null");
    bench_argv_add(argv, "-o");
    bench_argv_add(argv, "ListenAddress %s:%u", job->host, job->port);
    bench_argv_add(argv, "-o");
    bench_argv_add(argv, "HostKey %s/host", job->dir->path);
    bench_argv_add(argv, "-o");
    bench_argv_add(argv, "AuthorizedKeysFile %s/user.pub", job->dir->path);
    add_option(argv, "Ciphers " CIPHER);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        add_option(argv, options[i]);
}

static void client(const struct bench_job *job, struct bench_argv *argv)
{
    static const char *const options[] = {
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
        "Compression=no",
        "IPQoS=throughput",
    };

    bench_argv_add(argv, "scp");
    bench_argv_add(argv, "-q");
    bench_argv_add(argv, "-F");
    bench_argv_add(argv, "none");
    bench_argv_add(argv, "-P");
    bench_argv_add(argv, "%u", job->port);
    bench_argv_add(argv, "-i");
    bench_argv_add(argv, "%s/user", job->dir->path);
    bench_argv_add(argv, "-c");
    bench_argv_add(argv, CIPHER);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        add_option(argv, options[i]);
    if (!job->row->reverse)
        bench_argv_add(argv, "%s", job->dir->source);
    bench_argv_add(argv, "%s@%s:%s", job->user, job->host,
                   job->row->reverse ? job->dir->source : job->dir->target);
    if (job->row->reverse)
        bench_argv_add(argv, "%s", job->dir->target);
}

const struct bench_peer bench_peers_scp[] = {
    {
        .protocol = "scp",
        .kind = BENCH_FILE,
        .needs = {{"scp", "openssh-client"}, {"sshd", "openssh-server"}},
        .ends_itself = true,
        .end_is_arrival = true,
        .io = "tcp",
        .usable = usable,
        .prepare = prepare,
        .finish = finish,
        .server = server,
        .client = client,
    },
    {.protocol = NULL},
};
